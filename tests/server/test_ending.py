"""What a stopped node says last."""

from __future__ import annotations

import errno
from pathlib import Path

import apsw
import pytest

from raftsql.cluster.opening import DatabaseBehind
from raftsql.database.errors import DatabaseDamaged, Diverged, MachineStopped
from raftsql.server.ending import (
    FAILED,
    TO_BE_REPLACED,
    Whereabouts,
    exit_code,
    is_full,
    last_words,
)
from raftsql.storage.errors import CorruptJournal, JournalLost, JournalPoisoned


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
    text = last_words(failure, Whereabouts(tmp_path))
    assert text.startswith(str(failure))
    assert str(tmp_path) in text
    assert "make room, and start this node again" in text


def test_other_failures_are_told_as_they_are(tmp_path: Path) -> None:
    failure = translated(OSError(errno.EIO, "Input/output error"), JournalPoisoned)
    assert not is_full(failure)
    assert last_words(failure, Whereabouts(tmp_path)) == str(failure)


def test_a_folder_that_is_gone_does_not_hide_the_reason(tmp_path: Path) -> None:
    failure = OSError(errno.ENOSPC, "No space left on device")
    assert "0 bytes are free" in last_words(failure, Whereabouts(tmp_path / "gone"))


BEYOND_REPAIR = [
    CorruptJournal(Path("/d/journal/1.segment"), 512, "a batch is damaged"),
    JournalLost("the journal is gone"),
    DatabaseBehind("the database ends at 3"),
    DatabaseDamaged(Path("/d/database.db"), apsw.CorruptError("malformed")),
    Diverged("3 rows here, 4 there"),
]


@pytest.mark.parametrize("failure", BEYOND_REPAIR, ids=lambda f: type(f).__name__)
def test_a_node_beyond_repair_names_the_commands_that_replace_it(failure: Exception) -> None:
    assert exit_code(failure) == TO_BE_REPLACED
    said = last_words(failure, Whereabouts(Path("/var/d"), 3, ["h1:4001", "h2:4001"]))
    assert said.splitlines() == [
        str(failure),
        'To replace this node (docs/operating.md, "A damaged node"):',
        "    raftsql remove 3 --url h1:4001",
        "    mv /var/d /var/d.damaged",
        "then start it with the settings it had",
    ]


def test_settings_with_which_an_emptied_node_could_not_join_are_named() -> None:
    said = last_words(BEYOND_REPAIR[0], Whereabouts(Path("/d"), 3, ["h:1", "h:2"], False, True))
    assert said.endswith(
        "but without node_id: a number is not given twice, and with --join h:1,h:2"
    )
    said = last_words(BEYOND_REPAIR[0], Whereabouts(Path("/d"), join=False))
    assert "remove N --url HOST:PORT" in said
    assert said.endswith("and with --join HOST:PORT")


def test_what_another_start_may_mend_has_another_exit_code() -> None:
    assert exit_code(JournalPoisoned("EIO")) == exit_code(MachineStopped("x")) == FAILED
