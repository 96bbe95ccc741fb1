"""The machine's own network interfaces: one test may change them while no other minds.

Chromium breaks off whatever it is loading when an interface comes or goes, and tests of networks
make and remove some. Both run at the same time when tests run in several processes, so a lock
between processes keeps them apart: shared by those who mind, exclusive for whoever changes.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

STEADY: Final = "raftsql-tests-interfaces"
"""The lock's file."""
NEXT: Final = "raftsql-tests-interfaces-next"
"""Whoever waits for the lock holds this one, so that many who share it keep nobody out for good."""


@contextmanager
def steady() -> Iterator[None]:
    """No interface comes or goes meanwhile; any number of tests may hold this."""
    with _held(fcntl.LOCK_SH):
        yield


@contextmanager
def changing() -> Iterator[None]:
    """Interfaces come and go: nobody minds now. Not within `steady`: that would never begin."""
    with _held(fcntl.LOCK_EX):
        yield


@contextmanager
def _held(kind: int) -> Iterator[None]:
    folder = Path(tempfile.gettempdir())
    lock = _opened(folder / STEADY)
    try:
        turn = _opened(folder / NEXT)
        try:
            fcntl.flock(turn, fcntl.LOCK_EX)
            fcntl.flock(lock, kind)
        finally:
            os.close(turn)
        yield
    finally:
        os.close(lock)


def _opened(path: Path) -> int:
    """The file, whoever made it: a lock asks for no right to write."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
