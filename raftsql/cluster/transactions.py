"""One client's interactive transaction, from its first statement to its end.

It starts as nothing, reads at one moment of the past while it only reads, and takes the writer with
its first write: at once when IMMEDIATE, else only if nothing was written since that moment. Then
its statements run on the writer, one after another. When it has ended for a reason of the
cluster's, every later statement is told why, until the client rolls back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

from raftsql.cluster.patience import PATIENCE_UNITS
from raftsql.cluster.requests import (
    DEFAULT_FUEL,
    Read,
    Reply,
    Stage,
    Watcher,
    Write,
    out_of_time,
)
from raftsql.database.errors import TakesLonger
from raftsql.database.readers import OpenMoment, Page
from raftsql.database.transaction import OpenTransaction
from raftsql.raft.ready import Proposed
from raftsql.sql.commands import (
    Batch,
    CommandKind,
    Done,
    Failed,
    Refusal,
    Settings,
    Statement,
    Why,
    encode,
)

if TYPE_CHECKING:
    from raftsql.cluster.writer import Writer

BODY_BYTES_MAX = 64 << 20
"""What a transaction may add up to in the log; a larger load goes in several."""
STEP_BYTES = 32
"""What a step adds to it beside its statement, at most."""

SMALL_STATEMENTS = 16
"""A request of so few statements or rows runs in the event loop, while each of them is quick."""
SMALL_BYTES = 1 << 20
"""A transaction of more is committed beside the event loop."""

TOO_LARGE = encode(
    Failed(
        Refusal.SQL,
        18,
        f"a transaction holds at most {BODY_BYTES_MAX} bytes of statements and parameters, and this"
        " would be more; it did not run. COMMIT what was done before it, and go on in another"
        " transaction; or ROLLBACK",
    )
)
"""With SQLite's code for what is too big."""
NOTHING_DONE = encode(Done(0, 0))
INTERRUPTED = Failed(Refusal.SQL, 9, "interrupted")
"""Of a statement that nobody waits for any more, with SQLite's code for it."""


class State(Enum):
    """Where a transaction is."""

    FRESH = "fresh"
    """Nothing was asked yet."""
    READING = "reading"
    """It reads a moment of the past."""
    WAITING = "waiting"
    """It waits for the writer."""
    OPEN = "open"
    """It has the writer."""
    COMMITTING = "committing"
    """What it did is on its way through the log."""
    ENDED = "ended"


@dataclass(slots=True, eq=False)
class Step:
    """Statements of one request that wait for their turn in a transaction."""

    statements: list[Statement] | list[Batch]
    size: int
    """The bytes of the request, which it adds to the transaction's command."""
    reply: Reply
    deadline_ms: int = 0
    fuel: int = DEFAULT_FUEL
    cancelled: bool = False
    watcher: Watcher | None = None
    read: Read | None = None
    """The read in whose place it runs, where the writer is its transaction's."""

    @property
    def request(self) -> Read | Step:
        """What its client gives up when it does not want it any more."""
        return self.read or self

    @property
    def is_small(self) -> bool:
        """Whether it runs in the event loop, as long as it is quick."""
        rows = sum(len(s.many.rows) if isinstance(s, Batch) else 1 for s in self.statements)
        return rows <= SMALL_STATEMENTS


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A step turned out to take long: what is left of it."""

    rest: Turn


Turn = Callable[[], Done | Failed | Unfinished]


class Transaction:
    """A transaction as the replica sees it; the client's stream holds it by number."""

    def __init__(self, writer: Writer, settings: Settings, *, immediate: bool) -> None:
        """Begun by a client; takes nothing yet."""
        self._writer = writer
        self.settings = settings
        self.immediate = immediate
        self.state = State.FRESH
        self.open: OpenTransaction | None = None
        self.place: Proposed | None = None
        """Where its command stands in the log, once proposed."""
        self._moment: OpenMoment | None = None
        self._steps: deque[Step] = deque()
        self._asides = 0
        """Reads of its moment that are not answered yet."""
        self.seen = False
        """Its client has seen something of the database: it can't begin again unnoticed."""
        self._busy = False
        self._turns = False
        """It is running what waits, one after another."""
        self._size = 0
        self._at_length: tuple[Step, Turn] | None = None
        """A statement that takes long, until what it is built upon is committed."""
        self._noted = 0
        """Statements of those that have run, that its command repeats."""
        self._wish: Write | None = None
        """The COMMIT that waits for the statements before it."""
        self._touched_ms = writer.replica.node.now
        self.is_over = False
        """Its COMMIT was taken: the client will not ask for it again."""
        self._why = Why.TRANSACTION_GONE
        self._reason = "the transaction is over"

    def execute(self, step: Step, read: Read | None) -> None:
        """Run a statement; `read` is set when it is known only to read."""
        self._touched_ms = self._writer.replica.node.now
        if self.state is State.ENDED:
            step.reply.refused(self._why, self._reason)
        elif self.state is State.COMMITTING or self._wish is not None:
            step.reply.refused(Why.BAD_REQUEST, "the transaction is being committed")
        elif read is not None and self._may_read_aside:
            self._read_aside(read)
        else:
            step.read = read
            self._steps.append(step)
            if self.state in _WITHOUT_WRITER and not self._asides:
                self._take_writer()
            else:
                self._next_step()

    @property
    def _may_read_aside(self) -> bool:
        """Whether a read need not wait for the writer. Behind a write that waits it must: it has to
        see what that one writes, though its client has not waited for the answer."""
        return not self.immediate and self.state in _WITHOUT_WRITER and not self._steps

    def _read_aside(self, read: Read) -> None:
        """Read at this transaction's moment; the first read chooses it."""
        self.state = State.READING
        self._asides += 1
        read.reply = _Aside(self, read.reply)
        if self._moment is not None:
            read.moment = self._moment
            self._writer.world.query([read])
        else:
            read.hold = self._hold
            self._writer.replica.read(read)

    def _hold(self, moment: OpenMoment) -> OpenMoment:
        if self.state is not State.READING or self._moment is not None:
            moment.close()
            return self._moment or moment
        self._moment = moment
        return moment

    def aside_answered(self) -> None:
        """A read of its moment was answered: a write that came meanwhile may go on."""
        self._asides -= 1
        self.seen = True
        self._touched_ms = self._writer.replica.node.now
        if self._steps and not self._asides and self.state is State.READING:
            self._take_writer()
        elif self._wish is not None:
            self.commit(self._wish)

    def _take_writer(self) -> None:
        self.state = State.WAITING
        self._writer.wait(self)

    def opened(self, open_: OpenTransaction) -> None:
        """The writer is this transaction's."""
        self.open = open_
        if self.state is State.ENDED:
            self._writer.ended(self)
            return
        self.state = State.OPEN
        self._touched_ms = self._writer.replica.node.now
        if self._moment is not None:
            if self._moment.position.index < self._writer.last_seen:
                self.end(
                    Why.SERIALIZATION,
                    "what the transaction read has been written to since; run it again",
                )
                return
            self._finish_reading()
        self._next_step()

    def _finish_reading(self) -> None:
        """Nothing more is read at its moment but the rest of what was begun there."""
        if self._moment is not None:
            self._moment.finish()
            self._moment = None

    def _next_step(self) -> None:
        """Run what waits, one after another: those that run in place would nest otherwise."""
        if self._turns:
            return
        self._turns = True
        while self._steps and not self._busy and self.state is State.OPEN:
            self._turn_of(self._steps.popleft())
        self._turns = False
        self._commit_if_wished()

    def _turn_of(self, step: Step) -> None:
        assert self.open is not None, "an open transaction has the writer"
        if self._size + _added_by(step) > BODY_BYTES_MAX:
            step.reply.result(TOO_LARGE, 0)
            return
        self._busy = True
        if step.watcher is not None:
            step.watcher.reached(Stage.RUNS)
        replica = self._writer.replica
        # What is begun in place and turns out to be long costs the whole transaction once more, and
        # a long one is sure to have a costly past.
        small = step.is_small and not self.open.is_long
        run = partial(
            _run, self.open, step, clock_ms=replica.next_clock(), seed=replica.world.seed,
            unwanted=partial(self._is_unwanted, step), patience=PATIENCE_UNITS if small else None,
        )  # fmt: skip
        if small:
            replica.world.on_database(run, partial(self._answered, step))
        else:
            self._take_time(step, run)

    def _take_time(self, step: Step, run: Turn) -> None:
        """Run what takes long beside the event loop. Commits beneath it are waited for first: they
        could not be applied, nor seen by anybody, before it has ended."""
        self._at_length = step, run
        self.go_on()

    def go_on(self) -> None:
        """Commits have been applied: what waited for them may have its turn."""
        if self._at_length is not None and not self._writer.has_sealed:
            (step, run), self._at_length = self._at_length, None
            self._writer.world.on_database(run, partial(self._answered, step), small=False)

    def _is_unwanted(self, step: Step) -> bool:
        """Whether nobody waits for a statement that runs; asked from the lane's thread."""
        return step.request.cancelled or self.state is State.ENDED

    def _answered(self, step: Step, answer: Done | Failed | Unfinished) -> None:
        if isinstance(answer, Unfinished):
            if self.state is State.OPEN:
                self._take_time(step, answer.rest)
            else:
                step.reply.refused(self._why, self._reason)
            return
        self._busy = False
        self.seen = True
        self._touched_ms = self._writer.replica.node.now
        if answer is INTERRUPTED and self.state is State.ENDED:
            step.reply.refused(self._why, self._reason)
            return
        if answer is INTERRUPTED:
            step.reply.refused(Why.CANCELLED, "it was cancelled, and its transaction rolled back")
            self.end(Why.TRANSACTION_GONE, "it was rolled back: a statement of it was cancelled")
            return
        step.reply.result(encode(answer), 0)
        if self.open is not None and self.open.step_count > self._noted:
            self._noted = self.open.step_count
            self._size += _added_by(step)
        self._next_step()

    def commit(self, write: Write) -> None:
        """Make what was written durable everywhere; `write` carries session and reply."""
        if self.state is State.ENDED:
            write.reply.refused(self._why, self._reason)
            return
        if self.state is State.COMMITTING or self._wish not in (None, write):
            write.reply.refused(Why.UNKNOWN, "the transaction is being committed already")
            return
        if self._asides:
            self._wish = write
            return
        self._wish = None
        if self.state in _WITHOUT_WRITER:
            self.is_over = True
            self._finish_reading()
            self.end(Why.TRANSACTION_GONE, "the transaction is over")
            write.reply.result(NOTHING_DONE, 0)
            return
        self._wish = write
        self._commit_if_wished()

    def _commit_if_wished(self) -> None:
        """Commit when all statements before it have run."""
        if self._wish is None or self._busy or self._steps or self.state is not State.OPEN:
            return
        assert self.open is not None, "an open transaction has the writer"
        self._busy = True
        self._writer.world.on_database(self.open.problem, self._judged, small=self.open.is_quick)

    def _judged(self, problem: Failed | None) -> None:
        """Whether it can be committed is known."""
        self._busy = False
        write, self._wish = self._wish, None
        if self.state is not State.OPEN or write is None:
            return  # It has ended meanwhile, and its client was told.
        assert self.open is not None, "an open transaction has the writer"
        if problem is not None:
            write.reply.result(encode(problem), 0)
            return
        self.is_over = True
        done = self.open.steps()
        # What it has only read is confirmed by the log as well: it may be of a commit that is still
        # on its way, and only a majority knows whether this node leads.
        if not (done.steps or self.seen):
            self.end(Why.TRANSACTION_GONE, "the transaction is over")
            write.reply.result(NOTHING_DONE, 0)
            return
        write.kind, write.body = CommandKind.TRANSACTION, encode(done)
        self.state = State.COMMITTING
        self._writer.propose(self, write)

    def rollback(self) -> None:
        """The client does not want it."""
        if self.state is not State.COMMITTING:
            self._finish_reading()
            self.end(Why.TRANSACTION_GONE, "the transaction was rolled back")

    def send_away(self, reason: str) -> None:
        """This node can't go on with it. One that only waits may begin anew with the next leader,
        and its client need not know."""
        if self.state is State.ENDED:
            return
        if self.state is State.WAITING and not self.seen:
            self.end(Why.NOT_LEADER, reason)
        else:
            self.end(Why.TRANSACTION_GONE, f"it was rolled back: {reason}")

    def end(self, why: Why, reason: str) -> None:
        """It is over, without a commit that this node performs."""
        if self.state is State.ENDED:
            return
        self.state, self._why, self._reason = State.ENDED, why, reason
        if self._moment is not None:
            self._moment.close()
            self._moment = None
        if self._at_length is not None:
            self._steps.appendleft(self._at_length[0])
            self._at_length = None
        for step in self._steps:
            step.reply.refused(why, reason)
        self._steps.clear()
        if self._wish is not None:
            self._wish.reply.refused(why, reason)
            self._wish = None
        self._writer.ended(self)

    @property
    def is_small(self) -> bool:
        """Whether what it did can be committed, or undone, in no time."""
        return self._size <= SMALL_BYTES and not (self.open and self.open.is_long)

    def idle_since(self, now_ms: int, bound_ms: int) -> bool:
        """Whether it holds the writer and its client has been silent for so long."""
        return self.state is State.OPEN and not self._busy and now_ms - self._touched_ms > bound_ms

    def reads_idly(self, now_ms: int, bound_ms: int) -> bool:
        """Whether it holds a moment and its client has been silent for so long."""
        silent = now_ms - self._touched_ms > bound_ms
        return self.state is State.READING and not self._asides and silent

    def end_if_late(self, now_ms: int) -> None:
        """End it when the client of a statement that waits for the writer has stopped waiting."""
        asked = [step.request for step in self._steps]
        late = [request for request in asked if 0 < request.deadline_ms <= now_ms]
        if late:
            self.end(*out_of_time(late[0], "the writer was free"))


_WITHOUT_WRITER = frozenset({State.FRESH, State.READING})


class _Aside:
    """The reply to a read of a transaction's moment, which tells the transaction too."""

    def __init__(self, transaction: Transaction, reply: Reply) -> None:
        self._transaction = transaction
        self._reply = reply

    def result(self, answer: bytes, index: int) -> None:
        self._reply.result(answer, index)
        self._transaction.aside_answered()

    def page(self, page: Page, index: int, age_ms: int) -> None:
        self._reply.page(page, index, age_ms)
        self._transaction.aside_answered()

    def refused(self, why: Why, message: str) -> None:
        self._reply.refused(why, message)
        self._transaction.aside_answered()


def _run(
    open_: OpenTransaction,
    step: Step,
    *,
    clock_ms: int,
    seed: Callable[[], int],
    unwanted: Callable[[], bool],
    patience: int | None,
) -> Done | Failed | Unfinished:
    """Run a step in place; from a statement that takes long on, leave it to the lane's thread."""
    work = _work(open_, step, clock_ms=clock_ms, seed=seed, unwanted=unwanted, patience=patience)

    def go_on() -> Done | Failed | Unfinished:
        try:
            next(work)
        except TakesLonger:  # In a hurry no more, so nobody wants it.
            return INTERRUPTED
        except StopIteration as stop:
            answer: Done | Failed = stop.value
            return answer
        return Unfinished(go_on)

    return go_on()


Work = Generator[None, None, Done | Failed]
"""Yields where it has to go on elsewhere."""


def _work(
    open_: OpenTransaction,
    step: Step,
    *,
    clock_ms: int,
    seed: Callable[[], int],
    unwanted: Callable[[], bool],
    patience: int | None,
) -> Work:
    """Run a step's statements: all of them, or none if one fails; and sum up what they did. Rows of
    one statement stay up to the one that fails."""

    def execute(statement: Statement | Batch) -> Work:
        nonlocal patience
        run = partial(
            open_.execute, statement, clock_ms=clock_ms, seed=seed(), fuel=step.fuel,
            unwanted=unwanted,
        )  # fmt: skip
        if patience is not None:
            try:
                return run(patience=patience)
            except TakesLonger:
                patience = None
            yield
        return run()

    if len(step.statements) == 1:
        return (yield from execute(step.statements[0]))
    yield from execute(_SAVEPOINT)
    done = Done(0, 0)
    changes = 0
    for statement in step.statements:
        answer = yield from execute(statement)
        if isinstance(answer, Failed):
            for back in () if open_.aborted else (_ROLLBACK_TO, _RELEASE):
                yield from execute(back)
            return answer
        done = answer
        changes += max(answer.changes, 0)
    yield from execute(_RELEASE)
    return Done(changes, done.last_insert_rowid)


def _added_by(step: Step) -> int:
    return step.size + STEP_BYTES * len(step.statements)


_SAVEPOINT = Statement("SAVEPOINT raftsql_request")
_ROLLBACK_TO = Statement("ROLLBACK TO raftsql_request")
_RELEASE = Statement("RELEASE raftsql_request")
