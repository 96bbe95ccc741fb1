"""What to ask of which node, and what to make of each answer. No network, no clock, no threads.

A flow is a generator. It yields steps, `Ask` and its like; whoever runs it carries each step out
and sends back what came of it: a frame of the server, or `Lost`. `sync.run` and `aio.run` are the
two runners. So each decision is written once, for both colours, and tested by sending answers.

The rules, in the order in which they matter:

1. What certainly did not happen may be tried again, until the caller's deadline: elsewhere when the
   node does not lead or stops, later when it is overloaded.
2. What may have happened is tried again under the same sequence, which the cluster applies once.
   If the deadline passes before anybody knows, the caller is told that: `OutcomeUnknown`.
3. A read changes nothing and is always tried again.
4. Inside a transaction nothing is tried again but its first statement and its COMMIT: the reads
   that the program has built on would not be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from inspect import GEN_CLOSED, getgeneratorstate
from itertools import count
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

from raftsql_driver.errors import Error, OperationalError, OutcomeUnknown, TimedOut, Unavailable
from raftsql_driver.refusals import PASSING, of_failed, of_refused
from raftsql_driver.routes import Routes
from raftsql_driver.session import Session
from raftsql_proto.frames import (
    Commit,
    Done,
    Examine,
    Failed,
    Fetch,
    Opened,
    OpenSession,
    Page,
    Refusal,
    Refused,
    Release,
    Result,
    Rollback,
    Run,
    Verdict,
    Why,
    decode_answer,
)

T = TypeVar("T")
Request: TypeAlias = Run | Fetch | Release | OpenSession | Commit | Rollback | Examine

PAUSE_S: Final = 0.005
PAUSE_MAX_S: Final = 0.25
KEEP_MS: Final = 300_000
"""How long the cluster remembers a silent session, at least; a longer silence costs a new one."""

next_id: Final = count(1).__next__
"""Numbers requests; unique in the process, and so in each stream."""


@dataclass(slots=True)
class Ask:
    """Send a request to a node and wait for the answer, until the deadline at most."""

    node: str
    frame: Any
    deadline: float
    serial: int = 0
    """The only stream that will do; 0: any to this node, and the runner writes here which."""


@dataclass(slots=True)
class Send:
    """Send a request; what is sent back is a ticket for its answer."""

    node: str
    frame: Any
    serial: int
    """The only stream that will do: on any other it has no meaning."""


@dataclass(slots=True)
class Wait:
    """Wait for the answer that a ticket stands for."""

    ticket: Any
    frame: Any
    node: str
    serial: int
    deadline: float


@dataclass(slots=True)
class Pause:
    """Do nothing for a moment, or until a leader is heard of."""

    seconds: float


@dataclass(slots=True)
class Lost:
    """There will be no answer."""

    reason: str
    sent: bool
    """Whether the node may have received the request."""
    late: bool = False
    """The caller's deadline passed."""


Step: TypeAlias = Ask | Send | Wait | Pause
Outcome: TypeAlias = Result | Page | Refused | Verdict | Lost
Flow: TypeAlias = Generator[Step, Any, T]


def has_ended(flow: Flow[Any]) -> bool:
    """Whether an error came out of a flow itself. Else its runner was interrupted, and tells it."""
    return getgeneratorstate(flow) == GEN_CLOSED


class State:
    """What one process knows of one cluster."""

    __slots__ = ("routes", "session", "clock")

    def __init__(self, routes: Routes, clock: Callable[[], float]) -> None:
        self.routes = routes
        self.session = Session()
        self.clock = clock

    def renew(self, session: Session) -> None:
        """The cluster does not know this session any more: the next write opens another."""
        if self.session is session:
            self.session = Session()


@dataclass(slots=True)
class Answered:
    """What a statement came to, and where."""

    done: Done | None
    page: Page | None
    index: int
    node: str
    serial: int


def budget_ms(deadline: float, now: float) -> int:
    """What a node is told of the deadline: a little less, so that its own word comes in time."""
    left = deadline - now
    return max(1, int((left - min(0.2, left * 0.1)) * 1000))


class Trial:
    """A request on its way to an answer: how often it was tried, and what is certain so far."""

    __slots__ = ("state", "deadline", "unsure", "_tries", "_repeatable")

    def __init__(self, state: State, deadline: float, *, repeatable: bool = False) -> None:
        self.state = state
        self.deadline = deadline
        self.unsure = False
        """An earlier try may have happened, or may still happen."""
        self._tries = 0
        self._repeatable = repeatable
        """Doing it twice is as good as once: nothing to be unsure about."""

    def again(self, ask: Ask, outcome: Lost | Refused) -> Pause:
        """How to go on without a result; raises what the caller has to know when it can't."""
        pause = min(PAUSE_MAX_S, PAUSE_S * 2 ** min(self._tries, 10))
        self._tries += 1
        now = self.state.clock()
        if type(outcome) is Lost:
            self.unsure |= outcome.sent and not self._repeatable
        elif type(outcome) is Refused:
            if outcome.why == Why.UNKNOWN:
                self.unsure |= not self._repeatable
            elif outcome.why not in PASSING:
                raise self.final(of_refused(outcome))
            elif outcome.why == Why.NOT_LEADER:
                self.state.routes.not_leader(ask.node, outcome.leader, now)
                if outcome.leader and self._tries == 1:
                    pause = 0.0
            elif outcome.why == Why.SHUTTING_DOWN:
                self.state.routes.unreachable(ask.node, now)
            pause = max(pause, outcome.retry_after_ms / 1000)
        if now + pause >= self.deadline:
            raise self.final(_too_late(ask, outcome))
        return Pause(pause)

    def give_up(self, error: Error) -> NoReturn:
        """End with this error, or with the doubt that an earlier try has left."""
        final = self.final(error)
        if final is error:
            raise error
        raise final from error

    def final(self, error: Error) -> Error:
        """The error to end with: what an earlier try may have done comes before all else."""
        if not self.unsure:
            return error
        unknown = OutcomeUnknown(
            "the statement may have been carried out, or may still be: its answer was lost and "
            f"could not be had again in time ({error}). Look at the data before you repeat it"
        )
        unknown.__cause__ = error
        return unknown


def _too_late(ask: Ask, outcome: Lost | Refused) -> Error:
    if type(outcome) is Refused:
        reason = outcome.message or Why(outcome.why).name
        return Unavailable(f"{ask.node}: {reason}; time was up before another try")
    assert type(outcome) is Lost, "there is no third kind"
    if outcome.late:
        return TimedOut(f"{ask.node} gave no answer in time; raise timeout= if that is expected")
    return Unavailable(f"{outcome.reason}; no node could answer before the time was up")


def read(state: State, run: Run, deadline: float) -> Flow[Answered]:
    """A statement that surely changes nothing, outside of a transaction."""
    trial: Trial | None = None
    while True:
        run.id = next_id()
        run.timeout_ms = budget_ms(deadline, state.clock())
        ask = Ask(state.routes.reader(run.level), run, deadline)
        outcome = yield ask
        if type(outcome) is Page:
            return Answered(None, outcome, outcome.index, ask.node, ask.serial)
        if type(outcome) is Result:
            return answered(ask, outcome)
        trial = trial or Trial(state, deadline, repeatable=True)
        yield trial.again(ask, outcome)


def write(state: State, run: Run, deadline: float) -> Flow[Answered]:
    """Any other statement outside of a transaction: it happens once, however often it is sent."""
    while True:
        session = yield from ready_session(state, deadline)
        run.session, run.sequence = session.number, session.take()
        try:
            outcome, trial, ask = yield from _insist(state, session, run, deadline)
        finally:
            session.settle(run.sequence)
        if type(outcome) is Page:
            return Answered(None, outcome, outcome.index, ask.node, ask.serial)
        answer = decode_answer(outcome.answer)
        if type(answer) is Done:
            return Answered(answer, None, outcome.index, ask.node, ask.serial)
        assert type(answer) is Failed, "a statement is not answered by a session's number"
        if answer.refusal == Refusal.SESSION_UNKNOWN:
            state.renew(session)
            if not trial.unsure:
                continue
        raise _refused_after(trial, answer)


def _insist(
    state: State, session: Session, frame: Run, deadline: float
) -> Flow[tuple[Any, Trial, Ask]]:
    """Send a write, and again under the same sequence, until it has a result."""
    trial = Trial(state, deadline)
    while True:
        frame.id = next_id()
        frame.floor = session.floor
        frame.timeout_ms = budget_ms(deadline, state.clock())
        ask = Ask(state.routes.writer(), frame, deadline)
        try:
            outcome = yield ask
        except Error as error:  # A node that will not have us; an earlier one may have done it.
            trial.give_up(error)
        if type(outcome) is Result or type(outcome) is Page:
            session.heard_at = state.clock()
            return outcome, trial, ask
        yield trial.again(ask, outcome)


def _refused_after(trial: Trial, failed: Failed) -> Error:
    """The error for a command's refusal; some refusals say nothing of an earlier try."""
    if failed.refusal in (Refusal.SESSION_UNKNOWN, Refusal.SEQUENCE_FORGOTTEN):
        return trial.final(of_failed(failed))
    return of_failed(failed)


def answered(ask: Ask, result: Result) -> Answered:
    """A result's content; raises what it refuses."""
    answer = decode_answer(result.answer)
    if type(answer) is not Done:
        assert type(answer) is Failed, "a statement is not answered by a session's number"
        raise of_failed(answer)
    return Answered(answer, None, result.index, ask.node, ask.serial)


def ready_session(state: State, deadline: float) -> Flow[Session]:
    """The process's session, registered, and heard of lately enough to be known still."""
    session = state.session
    if session.number and state.clock() - session.heard_at > KEEP_MS / 2000:
        state.renew(session)
        session = state.session
    if not session.number:
        yield from open_session(state, session, deadline)
    return session


def open_session(state: State, session: Session, deadline: float) -> Flow[None]:
    """Register with the cluster. Several may do it at once: the nonce makes it one session."""
    trial = Trial(state, deadline, repeatable=True)
    while not session.number:
        left_ms = budget_ms(deadline, state.clock())
        frame = OpenSession(next_id(), session.nonce, max(KEEP_MS, 2 * left_ms), left_ms)
        ask = Ask(state.routes.writer(), frame, deadline)
        outcome = yield ask
        if type(outcome) is not Result:
            yield trial.again(ask, outcome)
            continue
        answer = decode_answer(outcome.answer)
        if type(answer) is not Opened:
            assert type(answer) is Failed, "a session is answered by its number"
            raise of_failed(answer)
        session.number, session.heard_at = answer.session, state.clock()


def examine(state: State, sql: str, strict: bool, deadline: float) -> Flow[Verdict]:
    """What the cluster would say to a statement."""
    trial = Trial(state, deadline, repeatable=True)
    while True:
        ask = Ask(state.routes.home, Examine(next_id(), sql, strict), deadline)
        outcome = yield ask
        if type(outcome) is Verdict:
            return outcome
        yield trial.again(ask, outcome)


def next_page(
    node: str, serial: int, cursor: int, deadline: float, now: float, ticket: Any = None
) -> Flow[Page]:
    """More rows of a result. `ticket`: they were asked for before."""
    if ticket is not None:
        outcome = yield ticket
    else:
        frame = Fetch(next_id(), cursor, timeout_ms=budget_ms(deadline, now))
        outcome = yield Ask(node, frame, deadline, serial)
    if type(outcome) is Page:
        return outcome
    if type(outcome) is Refused:
        if outcome.why == Why.CURSOR_GONE:
            raise OperationalError(f"{_ROWS_GONE}: {outcome.message}; ask again")
        raise of_refused(outcome)
    if type(outcome) is Lost and outcome.late:
        raise TimedOut(f"{node} did not send the next rows in time")
    reason = outcome.reason if type(outcome) is Lost else "it was not answered with rows"
    raise OperationalError(f"{_ROWS_GONE}: {reason}; ask again")


_ROWS_GONE: Final = "the rest of the rows can't be had any more"
