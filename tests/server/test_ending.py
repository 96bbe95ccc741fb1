"""What a stopped node says last."""

from __future__ import annotations

import errno
from pathlib import Path

import apsw
import pytest

from raftsql.database.errors import MachineStopped
from raftsql.server.ending import is_full, last_words
from raftsql.storage.errors import JournalPoisoned


def translated(cause: Exception, error: type[Exception]) -> Exception:
    try:
        raise error(f"failed: {cause}") from cause
    except error as found:
        return found


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        translated(OSError(errno.ENOSPC, "No space left on device"), JournalPoisoned),
        translated(apsw.FullError("database or disk is full"), MachineStopped),
    ],
)
def test_a_full_disk_is_told_with_what_to_do(failure: Exception, tmp_path: Path) -> None:
    assert is_full(failure)
    text = last_words(failure, tmp_path)
    assert text.startswith(str(failure))
    assert str(tmp_path) in text
    assert "make room, and start this node again" in text


def test_other_failures_are_told_as_they_are(tmp_path: Path) -> None:
    failure = translated(OSError(errno.EIO, "Input/output error"), JournalPoisoned)
    assert not is_full(failure)
    assert last_words(failure, tmp_path) == str(failure)


def test_a_folder_that_is_gone_does_not_hide_the_reason(tmp_path: Path) -> None:
    failure = OSError(errno.ENOSPC, "No space left on device")
    assert "0 bytes are free" in last_words(failure, tmp_path / "gone")
