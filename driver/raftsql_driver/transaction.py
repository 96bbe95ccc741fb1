"""A transaction as its client sees it: opened by its first statement, alive on one stream.

idle -> open    with the first statement, which carries BEGIN along; it alone is tried again
open -> lost    the node, its lead or the stream was lost: every statement says so
open -> over    COMMIT, ROLLBACK; a COMMIT is sent until its outcome is known
lost -> over    ROLLBACK
"""

from __future__ import annotations

from itertools import count
from typing import Any, Final

from raftsql_driver.errors import Error, OperationalError, TimedOut, TransactionLost
from raftsql_driver.flows import (
    Answered,
    Ask,
    Flow,
    Lost,
    Send,
    State,
    Trial,
    answered,
    budget_ms,
    next_id,
    ready_session,
)
from raftsql_driver.refusals import PASSING, of_failed, of_refused
from raftsql_proto.frames import (
    Begin,
    Commit,
    Done,
    Failed,
    Page,
    Refusal,
    Refused,
    Result,
    Rollback,
    Run,
    Why,
    decode_answer,
)

ROLLBACK_S: Final = 5.0
"""How long a rollback waits for a node's word; it counts as done then too."""
_CONSTRAINT: Final = 19
"""SQLITE_CONSTRAINT."""

_next_number: Final = count(1).__next__
"""Numbers transactions; unique in the process, so that a COMMIT sent again on another stream
can't meet a stranger there."""


class Transaction:
    """One transaction."""

    __slots__ = (
        "number",
        "begin",
        "node",
        "serial",
        "open",
        "reads_only",
        "lost",
        "savepoints",
        "span",
    )

    def __init__(self, begin: Begin) -> None:
        self.number = _next_number()
        self.begin = begin
        self.node = ""
        self.serial = 0
        """The stream that it lives and dies with."""
        self.open = False
        """The node has it."""
        self.reads_only = True
        """Nothing that could write was sent: its COMMIT has nothing to make durable."""
        self.lost: Error | None = None
        """Why it can only be rolled back."""
        self.savepoints: list[str] = []
        self.span: Any = None
        """Where its statements are recorded: see `tracing`."""

    def usable(self) -> None:
        """Raise what happened to a transaction that can only be rolled back."""
        if self.lost is not None:
            error = type(self.lost)(f"roll back first, then run the transaction again: {self.lost}")
            raise error from self.lost


def statement(
    state: State, transaction: Transaction, run: Run, deadline: float, *, reads: bool
) -> Flow[Answered]:
    """Run a statement in the transaction; the first one opens it."""
    transaction.usable()
    takes_writer = not reads or transaction.begin is Begin.IMMEDIATE
    if takes_writer and transaction.reads_only:
        # Its COMMIT needs a session, which could not be opened while it holds the writer.
        yield from ready_session(state, deadline)
        transaction.reads_only = False
    run.transaction = transaction.number
    if not transaction.open:
        return (yield from _first(state, transaction, run, deadline))
    run.id = next_id()
    run.timeout_ms = budget_ms(deadline, state.clock())
    ask = Ask(transaction.node, run, deadline, transaction.serial)
    settled = False
    try:
        outcome = yield ask
        settled = True
    finally:
        if not settled:
            transaction.lost = TransactionLost("a statement was interrupted before its answer came")
    return _content(transaction, ask, outcome)


def _first(state: State, transaction: Transaction, run: Run, deadline: float) -> Flow[Answered]:
    """Nobody has seen anything of the transaction yet, so this may be tried elsewhere."""
    trial = Trial(state, deadline, repeatable=True)
    run.begin = transaction.begin
    try:
        while True:
            run.id = next_id()
            run.timeout_ms = budget_ms(deadline, state.clock())
            ask = Ask(state.routes.writer(), run, deadline)
            try:
                outcome = yield ask
                if type(outcome) is Page or (type(outcome) is Result and _begun(outcome)):
                    transaction.node, transaction.serial = ask.node, ask.serial
                    transaction.open = True
            except BaseException:  # The caller gives up: the node must not keep it open.
                transaction.open = False
                yield Send(ask.node, Rollback(next_id(), transaction.number), ask.serial)
                transaction.number = _next_number()
                raise
            if transaction.open:
                return _content(transaction, ask, outcome)
            # Whether it was begun or not: nothing of it may stay, and its number is used up.
            yield Send(ask.node, Rollback(next_id(), transaction.number), ask.serial)
            run.transaction = transaction.number = _next_number()
            if type(outcome) is Result:
                return answered(ask, outcome)
            yield trial.again(ask, outcome)
    finally:
        run.begin = Begin.NO


def _begun(result: Result) -> bool:
    """Whether a first statement's answer leaves its transaction open.

    A text that may not run is refused before a transaction begins. A constraint is checked inside
    of it, and OR FAIL leaves rows behind; so does a later row of many that fails.
    """
    answer = decode_answer(result.answer)
    if type(answer) is not Failed:
        return type(answer) is Done
    return answer.row > 0 or answer.code & 0xFF == _CONSTRAINT


def _content(transaction: Transaction, ask: Ask, outcome: Any) -> Answered:
    if type(outcome) is Page:
        return Answered(None, outcome, outcome.index, ask.node, ask.serial)
    if type(outcome) is Result:
        return answered(ask, outcome)
    error = _loss(outcome)
    if type(outcome) is Lost or outcome.why not in (Why.TIMEOUT, Why.CANCELLED, Why.BAD_REQUEST):
        transaction.lost = error
    raise error


def _loss(outcome: Any) -> Error:
    """The error for a statement in the middle of a transaction that has no result."""
    if type(outcome) is Lost:
        if outcome.late:
            return TimedOut("no answer in time inside a transaction, which is now rolled back")
        return TransactionLost(f"the cluster rolled the transaction back: {outcome.reason}")
    if outcome.why in PASSING or outcome.why == Why.UNKNOWN:
        reason = outcome.message or Why(outcome.why).name
        return TransactionLost(f"the cluster rolled the transaction back: {reason}")
    return of_refused(outcome)


def commit(state: State, transaction: Transaction, deadline: float) -> Flow[int]:
    """Make it durable. Answers where in the log it happened; 0 where nothing was written."""
    transaction.usable()
    if not transaction.open:
        return 0
    if transaction.reads_only:
        yield from rollback(state, transaction)
        return 0
    while True:
        session, trial = state.session, Trial(state, deadline)
        sequence = session.take() if session.number else 0
        frame = Commit(0, transaction.number, session.number, sequence)
        try:
            result = yield from _commit(state, transaction, frame, trial, session)
        finally:
            if sequence:
                session.settle(sequence)
        session.heard_at = state.clock()
        answer = decode_answer(result.answer)
        if type(answer) is Done:
            return int(result.index)
        assert type(answer) is Failed, "a COMMIT is not answered by a session's number"
        if answer.refusal == Refusal.SESSION_UNKNOWN:
            state.renew(session)
            if not trial.unsure:
                continue  # Without a session: it will be sent just once.
        if answer.refusal in (Refusal.SESSION_UNKNOWN, Refusal.SEQUENCE_FORGOTTEN):
            raise trial.final(of_failed(answer))
        error = of_failed(answer)
        if answer.refusal == Refusal.NEVER_HAPPENED:
            transaction.lost = error
        raise error


def _commit(
    state: State, transaction: Transaction, frame: Commit, trial: Trial, session: Any
) -> Flow[Result]:
    """Send COMMIT to where the transaction lives; once that is gone, ask what became of it."""
    node, serial = transaction.node, transaction.serial
    while True:
        frame = Commit(
            next_id(),
            frame.transaction,
            frame.session,
            frame.sequence,
            session.floor,
            budget_ms(trial.deadline, state.clock()),
        )
        ask = Ask(node, frame, trial.deadline, serial)
        try:
            outcome = yield ask
        except Error as error:  # A node that will not have us; an earlier one may have done it.
            trial.give_up(error)
        if type(outcome) is Result:
            return outcome
        if type(outcome) is Refused and outcome.why == Why.TRANSACTION_GONE:
            raise _gone(transaction, outcome)
        pause = trial.again(ask, outcome)
        if trial.unsure and not frame.session:
            raise trial.final(_loss(outcome))
        elsewhere = type(outcome) is Lost or outcome.why in (Why.NOT_LEADER, Why.SHUTTING_DOWN)
        if elsewhere and not trial.unsure:
            raise _gone(transaction, outcome)
        yield pause
        if trial.unsure:
            node, serial = state.routes.writer(), 0


def _gone(transaction: Transaction, outcome: Lost | Refused) -> Error:
    reason = outcome.reason if type(outcome) is Lost else getattr(outcome, "message", "")
    error = TransactionLost(f"not committed: the cluster rolled it back ({reason})")
    transaction.lost = error
    return error


def abandon(transaction: Transaction) -> Flow[None]:
    """Have the node forget it, if it is still there; nobody waits for that."""
    if transaction.open:
        frame = Rollback(next_id(), transaction.number)
        yield Send(transaction.node, frame, transaction.serial)


def rollback(state: State, transaction: Transaction) -> Flow[None]:
    """Forget it, and have the writer free for the next one when this returns.

    A node never refuses, and rolls back by itself what it can't be told of.
    """
    if not transaction.open:
        return
    farewell = Send(transaction.node, Rollback(next_id(), transaction.number), transaction.serial)
    if transaction.reads_only:
        yield farewell
        return
    frame = Rollback(next_id(), transaction.number)
    deadline = state.clock() + ROLLBACK_S
    try:
        yield Ask(transaction.node, frame, deadline, transaction.serial)
    except BaseException:  # The caller gives up waiting; it may have done so before that was sent.
        yield farewell
        raise


def must_be_open(transaction: Transaction | None, what: str) -> Transaction:
    """The transaction that a statement needs; SQLite's words where there is none."""
    if transaction is None:
        raise OperationalError(f"cannot {what} - no transaction is active")
    return transaction
