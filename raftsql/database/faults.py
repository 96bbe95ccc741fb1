"""What SQLite says aside: which page of which file did not match its checksum.

The error that reaches whoever read the page is "disk I/O error", and names nothing; the file and
the offset are only in SQLite's own log, which is one for the whole process. So this listens to that
log and remembers, for each file, the place that failed last.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import apsw

_FAULT: Final = re.compile(r'checksum fault offset (\d+) of "(.*)"', re.DOTALL)
_last: Final[dict[str, int]] = {}
"""The offset that failed last, by file: as global as the log that it comes from."""


def listen() -> None:
    """Hear SQLite's log from now on."""
    apsw.config(apsw.SQLITE_CONFIG_LOG, _heard)


def _heard(code: int, message: str) -> None:
    """Everything else in there has reached its caller as an error, and may quote people's SQL."""
    if code == apsw.SQLITE_IOERR_DATA and (found := _FAULT.fullmatch(message)):
        _last[found[2]] = int(found[1])


def place_of_fault(path: Path) -> str:
    """Where a page of the database did not match its checksum: its file and offset, or the file."""
    for name in (path, path.with_name(path.name + "-wal")):
        offset = _last.get(str(name.resolve()))
        if offset is not None:
            return f"{name}, offset {offset}"
    return str(path)
