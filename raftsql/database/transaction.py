"""An interactive transaction: a client's statements run for real on the leader's writer.

The client sees its own writes, counts and errors at once, and nobody else's. What it did becomes
the body of one command (`steps`); when that command is committed by the cluster, `commit` ends
the SQLite transaction as the application of its entry, while the other nodes replay the steps and
compare. If it does not come to that, `roll_back` leaves no trace; should the entry be committed
after all, it arrives through the log as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

import apsw
import msgspec

from raftsql.database import many, text
from raftsql.database.errors import MachineStopped, TakesLonger, stop_for
from raftsql.database.fuel import ENDLESS, exact
from raftsql.database.headers import COMMAND, MEMBERSHIP, header_of
from raftsql.database.replay import TRANSACTION_DONE, run_step
from raftsql.database.statements import COMMAND_ERRORS
from raftsql.database.writer import Writer
from raftsql.raft.messages import Entry
from raftsql.sql.commands import (
    Batch,
    CommandKind,
    Done,
    Failed,
    Refusal,
    Settings,
    Statement,
    Step,
    Transaction,
)

STEPS_MAX: Final = 100_000
"""Statements in one transaction: they travel in one entry, and are held in memory until then. One
for many rows of parameters is one."""
LONG_UNITS: Final = 20
"""A statement that burns more leaves more behind than can be committed in no time."""

ABORTED: Final = Failed(
    Refusal.SQL,
    apsw.SQLITE_ABORT_ROLLBACK,
    "an error has ended this transaction; nothing of it happened. ROLLBACK, then begin anew",
)
TOO_LONG: Final = Failed(
    Refusal.SQL,
    apsw.SQLITE_TOOBIG,
    f"a transaction holds at most {STEPS_MAX} statements: COMMIT what is done and go on in another,"
    " or send rows of one statement together (executemany), which counts once for many rows",
)


Apply = Callable[[Sequence[Entry]], list[bytes | None]]


class Ended(Protocol):
    """Tells the machine that the writer is free again, or that it must stop."""

    def __call__(self, *, stopped: bool) -> None: ...


class OpenTransaction:
    """A transaction from its BEGIN to its COMMIT or ROLLBACK."""

    def __init__(self, writer: Writer, settings: Settings, apply: Apply, ended: Ended) -> None:
        self._writer = writer
        self._apply = apply
        self._ended = ended
        self._steps: list[Step] = []
        self._clock_ms = writer.clock_ms
        self._settings = int(settings)
        self.is_long = False
        """Whether a statement took longer than a caller in a hurry has patience for."""
        self._torn = False
        """Whether a statement that took too long has taken the others with it, for now."""
        self.aborted = False
        """Whether an error has ended it; all that is left is `roll_back`."""
        self.is_open = True
        with self._guarded():
            self._begin()

    def _begin(self) -> None:
        self._writer.begin(self._settings)
        self._writer.statements.reset_counters()
        self._writer.guard.savepoints = True

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Stop the machine for any error that is not an answer."""
        token = text.begin_replacing()
        try:
            yield
        except TakesLonger:
            raise
        except BaseException as error:
            self.is_open = False
            self._ended(stopped=True)
            own = error.__cause__ if isinstance(error, MachineStopped) else error
            if isinstance(own, apsw.Error):
                raise stop_for(self._writer.path, own) from error
            raise
        finally:
            text.end(token)

    @property
    def step_count(self) -> int:
        """Statements that the command has to repeat so far."""
        return len(self._steps)

    def execute(
        self,
        statement: Statement | Batch,
        *,
        clock_ms: int,
        seed: int,
        fuel: int,
        patience: int | None = None,
        unwanted: Callable[[], bool] | None = None,
    ) -> Done | Failed:
        """Run one statement now. An error leaves the transaction open where SQLite does, and of a
        batch the rows before the one that failed.

        TakesLonger when it burns more than `patience` units, or once it is `unwanted`: then it has
        not run, and may be run again, which is where all that it takes is done.
        """
        assert self.is_open, "the transaction has ended"
        if self.aborted:
            return ABORTED
        if len(self._steps) >= STEPS_MAX:
            return TOO_LONG
        self._clock_ms = max(self._clock_ms, clock_ms)
        meter = self._writer.meter
        with self._guarded():
            if self._torn:
                meter.wait(patience)
                meter.hurry()
                self._mend()
            meter.wait(patience)
            meter.unwanted = unwanted
            try:
                return self._execute(statement, seed, fuel)
            except TakesLonger:
                self.is_long = True
                self._tear(whole=isinstance(statement, Batch))
                raise
            finally:
                meter.wait(None)
                meter.unwanted = None

    def _tear(self, *, whole: bool) -> None:
        """Undo the statement that took too long. SQLite undoes all of a transaction that is
        interrupted in a write: then it waits to be mended, where there is time. The earlier rows
        of a batch are undone with it in any case."""
        if whole or not self._writer.connection.in_transaction:
            self._torn = True
            self._writer.roll_back()

    def _mend(self) -> None:
        """Do again what was done before the statement that took too long, as replicas will."""
        writer = self._writer
        clock_ms = writer.clock_ms
        self._begin()
        writer.meter.start(ENDLESS)
        for number, step in enumerate(self._steps, start=1):
            run_step(writer, number, step)
        writer.clock_ms = clock_ms  # It moves when the transaction is committed, and not before.
        self._torn = False

    def _execute(self, statement: Statement | Batch, seed: int, fuel: int) -> Done | Failed:
        writer = self._writer
        writer.pinned.set(self._clock_ms, seed)
        writer.meter.start(exact(fuel))
        before = writer.connection.total_changes()
        answer: Done | Failed
        try:
            answer, reads = self._run(statement)
        except COMMAND_ERRORS as error:
            answer, reads = self._failure(error, statement), False
        self.is_long = self.is_long or writer.meter.burnt > LONG_UNITS
        if not reads and not self.aborted:
            changes = writer.statements.changed_since(before)
            self._note(statement, seed, changes, failed=isinstance(answer, Failed))
        return answer

    def _run(self, statement: Statement | Batch) -> tuple[Done, bool]:
        """Its answer, and whether it only reads."""
        writer = self._writer
        if isinstance(statement, Batch):
            answer, reads = many.run_step(writer.statements, statement.many), False
        else:
            plan, answer = writer.statements.step(statement.sql, statement.parameters)
            # A full-text table that is read may write what it has gathered: replicas do it too.
            gathering = writer.statements.gathering
            reads = plan.reads and not (writer.guard.moves_savepoints or gathering)
        if writer.meter.impatient:
            writer.roll_back()
            raise TakesLonger  # It went on regardless of having been interrupted.
        return answer, reads

    def _failure(self, error: Exception, statement: Statement | Batch) -> Failed:
        writer = self._writer
        failed = writer.statements.failure(error, statement.sql)
        if isinstance(statement, Batch):
            failed = msgspec.structs.replace(failed, row=writer.statements.row)
        if writer.statements.must_undo(error) or not writer.connection.in_transaction:
            self._abort()
        return failed

    def _abort(self) -> None:
        self.aborted = True
        self._writer.guard.savepoints = False
        self._writer.roll_back()

    def _note(self, statement: Statement | Batch, seed: int, changes: int, *, failed: bool) -> None:
        clock_ms = self._clock_ms
        if isinstance(statement, Batch):
            step = Step("", None, clock_ms, seed, changes, failed, statement.body)
        else:
            step = Step(statement.sql, statement.parameters, clock_ms, seed, changes, failed)
        self._steps.append(step)

    def steps(self) -> Transaction:
        """The body of the command that makes this happen on every node."""
        return Transaction(self._steps)

    def problem(self) -> Failed | None:
        """Why COMMIT would fail now; to be asked before proposing. It leaves things as they are."""
        assert self.is_open, "the transaction has ended"
        assert not self._torn, "the statement that took too long was not run again"
        return ABORTED if self.aborted else self._writer.statements.unresolved()

    def roll_back(self) -> None:
        """End it without a trace."""
        if not self.is_open:
            return
        with self._guarded():
            self._writer.guard.savepoints = False
            self._writer.roll_back()
        self.is_open = False
        self._ended(stopped=False)

    def commit(self, entries: Sequence[Entry]) -> list[bytes | None]:
        """End it as the application of its entry, the last of `entries`.

        Only entries that are no commands may come before it.
        """
        assert self.is_open, "the transaction has ended"
        assert not self.aborted, "nothing is left to commit"
        assert not self._torn, "the statement that took too long was not run again"
        *earlier, entry = entries
        header = header_of(entry.payload)
        assert header.kind == CommandKind.TRANSACTION, "the entry is another command's"
        writer = self._writer
        known = writer.sessions.known(header.session, header.sequence, header.floor)
        if header.session and known is not None:
            # The write happened before, or its session is gone: what other nodes do with the entry
            # has to be done here, and that is not to apply it.
            self.roll_back()
            return self._apply(entries)
        with self._guarded():
            writer.guard.savepoints = False
            self._take(earlier)
            clock_ms = writer.hear(max(header.clock_ms, self._clock_ms))
            if header.session:
                writer.sessions.note(
                    entry.index,
                    header.session,
                    header.sequence,
                    header.floor,
                    clock_ms,
                    TRANSACTION_DONE,
                )
            writer.commit(entry)
        self.is_open = False
        self._ended(stopped=False)
        return [None] * len(earlier) + [TRANSACTION_DONE]

    def _take(self, earlier: Sequence[Entry]) -> None:
        for entry in earlier:
            assert entry.kind != COMMAND, "a command can't be applied beside an open transaction"
            if entry.kind == MEMBERSHIP:
                self._writer.take_membership(entry.payload)
