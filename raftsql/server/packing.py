"""Files of backups on the operator's machine: unfinished ones, packed ones, those that last."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import apsw

from raftsql.database.restore import damage_of
from raftsql.database.snapshot import open_closed
from raftsql.server import compression
from raftsql.server.reaching import PART_BYTES

HEAD_BYTES: Final = 16


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """A name for what is not a backup yet; what has it at the end is removed."""
    descriptor, name = tempfile.mkstemp(prefix=".raftsql-backup-", dir=folder)
    os.close(descriptor)
    path = Path(name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def is_packed(path: Path) -> bool:
    """Whether it has to be unpacked to be read."""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES).startswith(compression.PACKED)


@contextmanager
def plain(path: Path) -> Iterator[Any]:
    """The file opened for reading, as it was before it was packed."""
    with path.open("rb") as file:
        packed = compression.unpacked(file)
        if packed is None:
            yield file
            return
        with packed as content:
            yield content


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """A path to the file as it was before it was packed."""
    if not is_packed(path):
        yield path
        return
    with unfinished(Path(tempfile.gettempdir())) as target_path:
        with plain(path) as source, target_path.open("wb") as target:
            shutil.copyfileobj(source, target, PART_BYTES)
        yield target_path


def damage(path: Path) -> str:
    """What is wrong with a closed database file, or "". A copy of a damaged page is damaged too,
    and nobody wants to hear of it first when the copy is needed."""
    with closing(open_closed(path)) as connection:
        try:
            ((finding,), *_) = connection.execute("PRAGMA quick_check(1)").fetchall()
        except apsw.Error as error:
            return damage_of(error)
    return "" if finding == "ok" else str(finding)


@contextmanager
def rewritten(path: Path) -> Iterator[Path]:
    """A file as another program has left it, written anew without the checksums that it broke."""
    folder = Path(tempfile.gettempdir())
    with unpacked(path) as source, unfinished(folder) as target:
        uri = f"file:{quote(str(source.absolute()))}?immutable=1&vfs=unix"
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        with closing(apsw.Connection(uri, flags=flags)) as connection:
            into = f"file:{quote(str(target))}?reserve=0&vfs=unix"
            connection.execute("VACUUM INTO ?", (into,))
        yield target


def settle(file: Path, target: Path) -> None:
    """Give a finished file its name, durably."""
    mask = os.umask(0)
    os.umask(mask)
    file.chmod(0o666 & ~mask)
    with file.open("rb+") as written:
        os.fsync(written.fileno())
    file.replace(target)
    folder = os.open(target.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
