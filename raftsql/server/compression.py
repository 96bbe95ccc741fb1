"""How a backup is packed: with gzip, which every Python has, or zstd, which is faster and denser.

Zstandard is part of Python from 3.14 on; before that it is the extra `raftsql[zstd]`, the same code
under another name.
"""

from __future__ import annotations

import gzip
import importlib
import sys
import zlib
from contextlib import AbstractContextManager
from typing import IO, Any, Final

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
PACKED: Final = (GZIP, ZSTD)
"""How packed files begin."""
METHODS: Final = ("gzip", "zstd")

File = AbstractContextManager[Any]


class CannotPack(Exception):
    """What packs it is not installed, or what was packed can't be read; why."""


def packed(method: str, out: IO[bytes]) -> File:
    """A file that packs what is written to it into another. The least effort: a backup is large,
    and the next level costs more time than it saves in bytes."""
    if method == "gzip":
        return gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, filename="", mtime=0)
    file: File = _zstd().ZstdFile(out, "wb", level=1)
    return file


def unpacked(file: IO[bytes]) -> File | None:
    """A file that reads another as it was before it was packed; None where it was not."""
    start = file.read(len(ZSTD))
    file.seek(0)
    if start.startswith(GZIP):
        return gzip.GzipFile(fileobj=file)
    if start.startswith(ZSTD):
        found: File = _zstd().ZstdFile(file)
        return found
    return None


def errors() -> tuple[type[Exception], ...]:
    """What reading a packed file may raise, when it was cut or is damaged."""
    own: tuple[type[Exception], ...] = (EOFError, zlib.error)
    module = sys.modules.get(_name())
    return own if module is None else (*own, module.ZstdError)


def _name() -> str:
    return "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"


def _zstd() -> Any:
    try:
        return importlib.import_module(_name())
    except ImportError as error:
        raise CannotPack(
            "zstd needs a package: pip install 'raftsql[zstd]', or use --gzip"
        ) from error
