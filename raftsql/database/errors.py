"""The two kinds of error inside apply, and there is no third.

Either an error is the same on every node, since it follows from the rows and the command: then it
is the command's answer. Or it may be this node's own - a full disk, a failed read, memory, a
damaged page, anything not known to be the former: then nothing is committed and the machine stops,
because a guess would make this node differ from the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import apsw

from raftsql.database.faults import place_of_fault
from raftsql.sql.commands import Failed, Refusal


class MachineStopped(Exception):
    """This node can't go on: nothing of the batch was committed, and the machine is unusable.

    Reopening it, after what caused this was dealt with, is safe: the log applies the rest again.
    """


class DatabaseDamaged(MachineStopped):
    """The database file does not hold what was written to it."""

    def __init__(self, path: Path, error: Exception) -> None:
        what = f"{path}: {error}"
        if getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA:
            what = f"{place_of_fault(path)}: a page does not match its checksum"
        super().__init__(
            f"the database is damaged: {what}. Remove this node from the cluster, move its data"
            " directory away, and let it join anew: it is sent what the others hold. Where it was"
            " the only node, restore the newest backup into a new cluster"
        )


def stop_for(path: Path, error: apsw.Error) -> MachineStopped:
    """Why a database can't be used (any more) after an error that is this node's own."""
    if is_damage(error):
        return DatabaseDamaged(path, error)
    extended: int = getattr(error, "extendedresult", 0)
    return MachineStopped(f"the database {path} failed: {error} (SQLite's code {extended})")


def is_damage(error: apsw.Error) -> bool:
    """Whether SQLite found that a file does not hold what was written to it."""
    extended: int = getattr(error, "extendedresult", 0)
    return extended == apsw.SQLITE_IOERR_DATA or extended & 0xFF in _DAMAGE


_DAMAGE: Final = frozenset({apsw.SQLITE_NOTADB, apsw.SQLITE_CORRUPT})


class Diverged(MachineStopped):
    """A replayed transaction changed another number of rows here than on the leader."""


class TakesLonger(Exception):
    """The caller's patience is at its end, and what was under way is undone: nothing is broken.

    It may be asked for again, where there is more time.
    """

    def __init__(self, answers: Sequence[bytes | None] = ()) -> None:
        super().__init__("it takes longer than the caller has patience for")
        self.answers = list(answers)
        """Of the entries that were applied, and committed, before the one that takes so long."""


class RunAlone(Exception):
    """The command can't share its SQLite transaction: undo the batch and give it one of its own."""

    def __init__(self, answer: Failed, *, recount: bool) -> None:
        super().__init__(answer.message)
        self.answer = answer
        """What it is answered when it comes to the same alone."""
        self.recount = recount
        """Whether it came near its fuel, and has to be counted exactly."""


SAME_EVERYWHERE: Final = frozenset(
    {
        apsw.SQLITE_ERROR,
        apsw.SQLITE_TOOBIG,
        apsw.SQLITE_CONSTRAINT,
        apsw.SQLITE_MISMATCH,
        apsw.SQLITE_AUTH,
        apsw.SQLITE_RANGE,
    }
)
"""Primary result codes that follow from the rows and the command alone."""

BINDING_ERRORS: Final = (
    apsw.BindingsError,
    apsw.ExecTraceAbort,
    OverflowError,
    TypeError,
    KeyError,
    ValueError,
)
"""What apsw raises for parameters that do not fit a statement, before SQLite is asked."""

SQL_ERRORS: Final = (apsw.Error, *BINDING_ERRORS)

FOREIGN_KEY_FAILED: Final = Failed(
    Refusal.SQL, apsw.SQLITE_CONSTRAINT_FOREIGNKEY, "FOREIGN KEY constraint failed"
)
"""What COMMIT would say; said by the command itself, since it shares its COMMIT with others."""

OUT_OF_FUEL: Final = Failed(
    Refusal.FUEL,
    apsw.SQLITE_INTERRUPT,
    "the statement ran longer than its limit of steps, and was undone",
)


def answer_to(error: Exception, sql: str, *, refusal: str | None, disk_is_sound: bool) -> Failed:
    """Translate an error that is the same on every node; raise MachineStopped for any other.

    `refusal` is what the guard said; `disk_is_sound` tells SQLITE_FULL for want of row numbers
    (an AUTOINCREMENT that reached the last) from a full disk.
    """
    if refusal is not None:
        return Failed(Refusal.DETERMINISM, apsw.SQLITE_AUTH, refusal)
    if isinstance(error, BINDING_ERRORS):
        return Failed(Refusal.SQL, apsw.SQLITE_MISUSE, f"the parameters do not fit: {error}")
    assert isinstance(error, apsw.Error), f"only SQL errors are answers, not {error!r}"
    code: int = getattr(error, "result", apsw.SQLITE_INTERNAL)
    extended: int = getattr(error, "extendedresult", code)
    exhausted = code == apsw.SQLITE_FULL and disk_is_sound
    # A virtual table's own contents contradict each other. Users can bring that about with plain
    # SQL (FTS5's external content), on every node alike; stopping would stop the whole cluster,
    # again at each restart. The pages themselves are sound, or the code would be another.
    inconsistent = extended == apsw.SQLITE_CORRUPT_VTAB
    if code in SAME_EVERYWHERE or exhausted or inconsistent:
        return Failed(Refusal.SQL, extended, str(error), position_of(error, sql))
    raise MachineStopped(f"SQLite failed with code {extended}: {error}") from error


def position_of(error: apsw.Error, sql: str) -> int:
    """Turn SQLite's offset in bytes into one in characters."""
    offset: int = getattr(error, "error_offset", -1)
    if offset < 0 or sql.isascii():
        return offset
    return len(sql.encode()[:offset].decode("utf-8", "ignore"))
