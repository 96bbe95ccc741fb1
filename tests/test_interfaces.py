"""Tests that change the machine's interfaces and tests that mind keep out of each other's way."""

from __future__ import annotations

import fcntl
import tempfile
import threading
from pathlib import Path

import pytest

from tests.interfaces import NEXT, STEADY, changing, steady
from tests.server.processes import until


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for the locks where no other test has any."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with steady():
        pass
    return tmp_path


def is_free(path: Path, kind: int) -> bool:
    """Whether another process could have this lock now."""
    with path.open() as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_many_may_mind_at_the_same_time_and_keep_out_who_would_change(place: Path) -> None:
    with steady():
        assert is_free(place / STEADY, fcntl.LOCK_SH)
        assert not is_free(place / STEADY, fcntl.LOCK_EX)
    assert is_free(place / STEADY, fcntl.LOCK_EX)


def test_whoever_changes_is_alone(place: Path) -> None:
    with changing():
        assert not is_free(place / STEADY, fcntl.LOCK_SH)
    assert is_free(place / STEADY, fcntl.LOCK_SH)


def test_those_who_come_later_do_not_overtake_who_waits_to_change(place: Path) -> None:
    changed: list[str] = []

    def change() -> None:
        with changing():
            changed.append("an interface")

    waiting = threading.Thread(target=change)
    with steady():
        waiting.start()
        until(lambda: not is_free(place / NEXT, fcntl.LOCK_EX), "who waits")
        assert not changed
    waiting.join()
    with steady():
        assert changed
    assert is_free(place / NEXT, fcntl.LOCK_EX)
