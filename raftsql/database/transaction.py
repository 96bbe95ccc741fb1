"""An interactive transaction: a client's statements run for real on the leader's writer.

The client sees its own writes, counts and errors at once, and nobody else's. What it did becomes
the body of one command (`steps`), and nothing can be added to it any more (`seal`). When that
command is committed by the cluster, `commit` ends the SQLite transaction as the application of its
entry, while the other nodes replay the steps and compare; or, where another transaction was begun
upon it meanwhile, it is replayed here too (`chain`). If it does not come to that, `roll_back`
leaves no trace; should the entry be committed after all, it arrives through the log as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

import apsw
import msgspec

from raftsql.database import many
from raftsql.database.chain import Chain
from raftsql.database.errors import TakesLonger
from raftsql.database.fuel import exact
from raftsql.database.headers import COMMAND, MEMBERSHIP, Header, header_of
from raftsql.database.replay import TRANSACTION_DONE
from raftsql.database.statements import COMMAND_ERRORS
from raftsql.database.writer import Writer
from raftsql.raft.messages import Entry
from raftsql.sql.commands import (
    Batch,
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
Guarded = Callable[[], AbstractContextManager[None]]
"""Within it any error that is not an answer stops the machine."""


class OpenTransaction:
    """A transaction from its BEGIN to its COMMIT or ROLLBACK."""

    def __init__(
        self, writer: Writer, chain: Chain, settings: Settings, apply: Apply, guarded: Guarded
    ) -> None:
        self._writer = writer
        self._chain = chain
        self._apply = apply
        self._guarded = guarded
        self._steps: list[Step] = []
        self.size = 0
        """The bytes of their texts and parameters, nearly."""
        self._clock_ms = writer.clock_ms
        self.settings = int(settings)
        self.is_long = False
        """Whether a statement took longer than a caller in a hurry has patience for."""
        self.aborted = False
        """Whether an error has ended it; all that is left is `roll_back`."""
        self.is_open = True
        self.is_sealed = False
        """Whether its command is in the log: nothing can be added to it."""
        self.index = 0
        """Where its command stands in the log, once sealed."""
        self._header: Header | None = None
        self.is_noted = False
        """Whether its session remembers it, within the open SQLite transaction."""
        self._moves_savepoints = False
        with self._guarded():
            chain.join(self)

    @property
    def _goes_on(self) -> bool:
        return self.is_open and not self.is_sealed

    @property
    def is_quick(self) -> bool:
        """Whether it can go on without doing much again."""
        return not self._chain.torn or self._chain.is_quick

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
        assert self._goes_on, "the transaction has ended"
        if self.aborted:
            return ABORTED
        if len(self._steps) >= STEPS_MAX:
            return TOO_LONG
        self._clock_ms = max(self._clock_ms, clock_ms)
        meter = self._writer.meter
        with self._guarded():
            self._mend(patience)
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
            self._chain.unwind()

    def _mend(self, patience: int | None) -> None:
        """Do again what is not there; TakesLonger where that takes too long for the caller."""
        if self._chain.torn and not self._chain.is_quick:
            self._writer.meter.wait(patience)
            self._writer.meter.hurry()
        self._writer.meter.wait(None)
        self._chain.mend()

    def _execute(self, statement: Statement | Batch, seed: int, fuel: int) -> Done | Failed:
        writer = self._writer
        writer.pinned.set(self._clock_ms, seed)
        writer.meter.start(exact(fuel))
        before = writer.connection.total_changes()
        answer: Done | Failed
        try:
            answer, reads = self._run(statement)
        except COMMAND_ERRORS as error:
            answer, reads = self._failure(error, statement), writer.meter.exhausted
        self.is_long = self.is_long or writer.meter.burnt > LONG_UNITS
        self._moves_savepoints |= writer.guard.moves_savepoints
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
        elif writer.meter.exhausted and writer.statements.gathering:
            self._abort()  # It may have written on its way, which no node can do again so far.
        return failed

    def _abort(self) -> None:
        self.aborted = True
        self._chain.unwind()

    def _note(self, statement: Statement | Batch, seed: int, changes: int, *, failed: bool) -> None:
        clock_ms = self._clock_ms
        self.size += _size(statement)
        if isinstance(statement, Batch):
            step = Step("", None, clock_ms, seed, changes, failed, statement.body)
        else:
            step = Step(statement.sql, statement.parameters, clock_ms, seed, changes, failed)
        self._steps.append(step)

    def steps(self) -> Transaction:
        """The body of the command that makes this happen on every node."""
        return Transaction(self._steps)

    def problem(self, *, patience: int | None = None) -> Failed | None:
        """Why COMMIT would fail now; to be asked before proposing. It leaves things as they are."""
        assert self._goes_on, "the transaction has ended"
        if self.aborted:
            return ABORTED
        with self._guarded():
            self._mend(patience)
            return self._writer.statements.unresolved()

    def seal(self, index: int, payload: bytes) -> bool:
        """Its command has this place in the log; whether another may begin upon what it did.

        Not when the database has to be left in between, for the next one to see what it would see
        on any other node: after a change of the schema, or of what full-text tables gather; nor
        when its session may refuse it, nor when doing it again would take long.
        """
        self.is_sealed, self.index = True, index
        self._header = header = header_of(payload)
        chain, writer = self._chain, self._writer
        if chain.torn or not chain.is_quick or self._moves_savepoints:
            return False
        if writer.statements.stale or writer.statements.gathering:
            return False
        if header.session:
            known = writer.sessions.known(header.session, header.sequence, header.floor)
            if known is not None:
                return False
        self.note()
        self.is_noted = True
        return True

    def note(self) -> None:
        """Move the log's clock, and let the session remember that this has happened."""
        header = self._header
        assert header is not None, "what is noted was sealed"
        clock_ms = self._writer.hear(max(header.clock_ms, self._clock_ms))
        if header.session:
            self._writer.sessions.note(
                self.index,
                header.session,
                header.sequence,
                header.floor,
                clock_ms,
                TRANSACTION_DONE,
            )

    def roll_back(self) -> None:
        """End it without a trace."""
        if not self.is_open:
            return
        self.is_open = False
        if self not in self._chain.members:
            return  # It was left to the log.
        with self._guarded():
            self._chain.leave(self)

    def commit(self, entries: Sequence[Entry]) -> list[bytes | None]:
        """End it as the application of its entry, the last of `entries`; no other has begun upon
        it.

        Only entries that are no commands may come before it.
        """
        assert self.is_sealed, "only what was sealed can be committed"
        assert self._chain.members == [self], "others live in the same SQLite transaction"
        *earlier, entry = entries
        assert entry.index == self.index, "the entry is another command's"
        writer = self._writer
        if self._chain.torn or not self._note_once():
            # The write happened before, or its session is gone: what other nodes do with the entry
            # has to be done here, and that is not to apply it.
            self.roll_back()
            return self._apply(entries)
        with self._guarded():
            self._take(earlier)
            writer.guard.savepoints = False
            writer.commit(entry)
        self.is_open = False
        self._chain.clear()
        return [None] * len(earlier) + [TRANSACTION_DONE]

    def _note_once(self) -> bool:
        """Whether it is noted now; not when its session refuses it."""
        header = self._header
        assert header is not None, "it was sealed"
        if self.is_noted:
            return True
        known = self._writer.sessions.known(header.session, header.sequence, header.floor)
        if header.session and known is not None:
            return False
        self.note()
        return True

    def _take(self, earlier: Sequence[Entry]) -> None:
        for entry in earlier:
            assert entry.kind != COMMAND, "a command can't be applied beside an open transaction"
            if entry.kind == MEMBERSHIP:
                self._writer.take_membership(entry.payload)


def _size(statement: Statement | Batch) -> int:
    """What it holds; numbers weigh nothing."""
    if isinstance(statement, Batch):
        return len(statement.body)
    parameters = statement.parameters or ()
    values = parameters.values() if isinstance(parameters, dict) else parameters
    return len(statement.sql) + sum(len(v) for v in values if isinstance(v, str | bytes))
