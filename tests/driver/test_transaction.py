"""A transaction's statements, its COMMIT, and what is left when something is lost."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from raftsql_driver import errors, transaction
from raftsql_driver.transaction import Transaction
from raftsql_proto import frames as f
from raftsql_proto.frames import Begin, Refusal, Why
from tests.driver.scripted import (
    LATE,
    LOST,
    UNSENT,
    Script,
    done,
    opened,
    page,
    refusal,
    refused,
    run,
)


def statement(
    script: Script, current: Transaction, *answers: Any, reads: bool = False, deadline_s: float = 10
) -> Any:
    deadline = script.clock.now + deadline_s
    flow = transaction.statement(script.state, current, run(), deadline, reads=reads)
    return script.play(flow, *answers)


def commit(script: Script, current: Transaction, *answers: Any, deadline_s: float = 10) -> int:
    flow = transaction.commit(script.state, current, script.clock.now + deadline_s)
    return script.play(flow, *answers)


def begun(script: Script) -> Transaction:
    script.with_session(script.state.session.number or 7)
    current = Transaction(Begin.DEFERRED)
    statement(script, current, done())
    script.asked.clear()
    return current


def test_begin_rides_with_the_first_statement_only() -> None:
    script, current = Script().with_session(), Transaction(Begin.IMMEDIATE)
    statement(script, current, done())
    statement(script, current, done())
    assert [frame.begin for frame in script.frames] == [Begin.IMMEDIATE, Begin.NO]
    assert {frame.transaction for frame in script.frames} == {current.number}
    assert {frame.session for frame in script.frames} == {0}


def test_later_statements_stay_on_the_stream_of_the_first() -> None:
    script, current = Script(leader="b:2").with_session(), Transaction(Begin.DEFERRED)
    statement(script, current, done())
    script.state.routes.leader = "c:3"
    statement(script, current, done())
    assert [(ask.node, ask.serial) for ask in script.asked] == [("b:2", 0), ("b:2", 5)]


def test_the_first_statement_is_tried_elsewhere_with_a_new_number() -> None:
    script, current = Script().with_session(), Transaction(Begin.DEFERRED)
    statement(script, current, refused(Why.NOT_LEADER, "b:2"), LOST, done())
    numbers = [frame.transaction for frame in script.frames]
    assert script.nodes == ["a:1", "b:2", "b:2"]
    assert len(set(numbers)) == 3
    assert current.number == numbers[-1]
    assert [type(send.frame) for send in script.sent] == [f.Rollback, f.Rollback]


def test_a_first_statement_that_is_refused_leaves_nothing_begun() -> None:
    script, current = Script().with_session(), Transaction(Begin.DEFERRED)
    with pytest.raises(errors.OperationalError):
        statement(script, current, refusal(Refusal.SQL, 1, "no such table: t"))
    assert not current.open
    assert script.sent[0].frame.transaction == script.frames[0].transaction != current.number


def test_a_first_statement_that_breaks_a_constraint_leaves_the_transaction_open() -> None:
    script, current = Script().with_session(), Transaction(Begin.DEFERRED)
    with pytest.raises(errors.IntegrityError):
        statement(script, current, refusal(Refusal.SQL, 2067))
    assert current.open


def test_a_statement_that_fails_in_the_middle_does_not_end_the_transaction() -> None:
    script = Script().with_session()
    current = begun(script)
    with pytest.raises(errors.OperationalError):
        statement(script, current, refusal(Refusal.SQL, 1))
    statement(script, current, done())
    assert commit(script, current, done()) == 9


@pytest.mark.parametrize(
    "trouble",
    [LOST, UNSENT, refused(Why.TRANSACTION_GONE), refused(Why.UNKNOWN), refused(Why.NOT_LEADER)],
)
def test_a_transaction_that_was_lost_says_so_until_it_is_rolled_back(trouble: Any) -> None:
    script = Script().with_session()
    current = begun(script)
    with pytest.raises(errors.TransactionLost):
        statement(script, current, trouble)
    with pytest.raises(errors.TransactionLost, match="roll back first"):
        statement(script, current)
    with pytest.raises(errors.TransactionLost, match="roll back first"):
        commit(script, current)
    assert len(script.asked) == 1


def test_a_stale_snapshot_is_a_serialization_failure() -> None:
    script = Script()
    current = begun(script)
    with pytest.raises(errors.SerializationFailure):
        statement(script, current, refused(Why.SERIALIZATION))
    with pytest.raises(errors.SerializationFailure, match="roll back first"):
        statement(script, current)


def test_no_answer_in_time_loses_the_transaction() -> None:
    script = Script()
    current = begun(script)
    with pytest.raises(errors.TimedOut):
        statement(script, current, LATE)
    assert current.lost is not None


def test_a_statement_that_was_not_begun_in_time_may_be_tried_again_by_the_program() -> None:
    script = Script()
    current = begun(script)
    with pytest.raises(errors.TimedOut):
        statement(script, current, refused(Why.TIMEOUT))
    statement(script, current, done())


def test_an_interrupted_statement_loses_the_transaction() -> None:
    script = Script()
    current = begun(script)
    with pytest.raises(KeyboardInterrupt):
        statement(script, current, KeyboardInterrupt())
    assert isinstance(current.lost, errors.TransactionLost)


def test_a_first_answer_that_can_not_be_read_leaves_nothing_begun() -> None:
    script, current = Script().with_session(), Transaction(Begin.IMMEDIATE)
    with pytest.raises(ValueError, match="truncated"):
        statement(script, current, f.Result(0, msgspec.Raw(b"")))
    assert not current.open
    assert script.sent[0].frame.transaction == script.frames[0].transaction != current.number


def test_who_gives_up_on_a_rollback_does_not_leave_the_transaction_to_the_node() -> None:
    """The interrupt may have come before the rollback was sent; twice is as good as once."""
    script = Script()
    current = begun(script)
    with pytest.raises(KeyboardInterrupt):
        script.play(transaction.rollback(script.state, current), KeyboardInterrupt())
    assert [send.frame.transaction for send in script.sent] == [current.number]


def test_an_interrupted_first_statement_leaves_nothing_begun() -> None:
    script, current = Script().with_session(), Transaction(Begin.IMMEDIATE)
    with pytest.raises(KeyboardInterrupt):
        statement(script, current, KeyboardInterrupt())
    assert not current.open
    (sent,) = script.sent
    assert type(sent.frame) is f.Rollback
    assert sent.frame.transaction == script.frames[0].transaction != current.number


def test_a_commit_that_no_other_node_takes_stays_in_doubt() -> None:
    script = Script()
    current = begun(script)
    stranger = errors.InterfaceError("b:2 speaks protocol 9")
    with pytest.raises(errors.OutcomeUnknown, match="protocol 9"):
        commit(script, current, LOST, stranger)
    current = begun(script)
    with pytest.raises(errors.InterfaceError, match="protocol 9"):
        commit(script, current, stranger)


def test_an_empty_transaction_costs_nothing_to_commit() -> None:
    script = Script()
    assert commit(script, Transaction(Begin.DEFERRED)) == 0
    assert script.asked == []


def test_a_transaction_that_only_read_is_ended_without_waiting() -> None:
    script, current = Script().with_session(), Transaction(Begin.DEFERRED)
    statement(script, current, page([1]), reads=True)
    assert commit(script, current) == 0
    assert [type(send.frame) for send in script.sent] == [f.Rollback]


def test_commit_takes_a_sequence_and_settles_it() -> None:
    script = Script().with_session(7)
    current = begun(script)
    assert commit(script, current, done()) == 9
    assert (script.frames[-1].session, script.frames[-1].sequence) == (7, 1)
    assert script.state.session.floor == 1


def test_a_commit_whose_answer_was_lost_is_asked_for_under_the_same_sequence() -> None:
    script = Script(leader="b:2").with_session()
    current = begun(script)
    script.state.routes.leader = "c:3"
    assert commit(script, current, LOST, done()) == 9
    assert [(ask.node, ask.serial) for ask in script.asked] == [("b:2", 5), ("c:3", 0)]
    assert {frame.sequence for frame in script.frames} == {1}


@pytest.mark.parametrize("gone", [refused(Why.TRANSACTION_GONE), refusal(Refusal.NEVER_HAPPENED)])
def test_a_commit_that_certainly_did_not_happen_may_be_run_again(gone: Any) -> None:
    script = Script().with_session()
    current = begun(script)
    with pytest.raises(errors.SerializationFailure):
        commit(script, current, LOST, gone)
    assert current.lost is not None


@pytest.mark.parametrize("trouble", [UNSENT, refused(Why.NOT_LEADER), refused(Why.SHUTTING_DOWN)])
def test_a_commit_that_never_arrived_did_not_happen(trouble: Any) -> None:
    script = Script().with_session()
    current = begun(script)
    with pytest.raises(errors.TransactionLost):
        commit(script, current, trouble)


def test_a_commit_that_nobody_can_tell_of_is_an_unknown_outcome() -> None:
    script = Script().with_session()
    current = begun(script)
    with pytest.raises(errors.OutcomeUnknown):
        commit(script, current, LOST, LATE, deadline_s=0.01)
    assert script.state.session.floor == 1


def test_an_overloaded_node_is_asked_to_commit_again_on_the_same_stream() -> None:
    script = Script().with_session()
    current = begun(script)
    assert commit(script, current, refused(Why.OVERLOADED), done()) == 9
    assert [ask.serial for ask in script.asked] == [5, 5]


def test_a_transaction_registers_before_its_first_write_takes_the_writer() -> None:
    script, current = Script(), Transaction(Begin.DEFERRED)
    statement(script, current, page([1]), reads=True)
    statement(script, current, opened(7), done())
    statement(script, current, done())
    kinds = [type(frame) for frame in script.frames]
    assert kinds == [f.Run, f.OpenSession, f.Run, f.Run]


def test_a_transaction_that_takes_the_writer_at_once_registers_before() -> None:
    script, current = Script(), Transaction(Begin.IMMEDIATE)
    statement(script, current, opened(7), page([1]), reads=True)
    assert [type(frame) for frame in script.frames] == [f.OpenSession, f.Run]


def test_a_session_not_heard_of_for_long_is_replaced_before_a_transaction_needs_it() -> None:
    script = Script().with_session(7)
    script.clock.now += 200
    statement(script, Transaction(Begin.DEFERRED), opened(8), done())
    assert script.state.session.number == 8


def test_a_commit_under_a_forgotten_session_is_sent_once_without_one() -> None:
    script = Script().with_session(7)
    current = begun(script)
    assert commit(script, current, refusal(Refusal.SESSION_UNKNOWN), done()) == 9
    assert [(frame.session, frame.sequence) for frame in script.frames] == [(7, 1), (0, 0)]


def test_a_commit_without_a_session_whose_answer_is_lost_is_an_unknown_outcome() -> None:
    script = Script().with_session(7)
    current = begun(script)
    with pytest.raises(errors.OutcomeUnknown):
        commit(script, current, refusal(Refusal.SESSION_UNKNOWN), LOST)


def test_a_commit_refused_by_a_constraint_leaves_the_transaction_open() -> None:
    script = Script().with_session()
    current = begun(script)
    with pytest.raises(errors.IntegrityError):
        commit(script, current, refusal(Refusal.SQL, 787, "FOREIGN KEY constraint failed"))
    assert current.lost is None
    statement(script, current, done())


@pytest.mark.parametrize("answer", [done(), LOST, LATE])
def test_rollback_waits_for_the_node_and_is_content_with_any_answer(answer: Any) -> None:
    script = Script()
    current = begun(script)
    script.play(transaction.rollback(script.state, current), answer)
    assert script.frames[0].transaction == current.number


def test_what_only_read_is_rolled_back_without_waiting() -> None:
    script, current = Script().with_session(), Transaction(Begin.DEFERRED)
    statement(script, current, page([1]), reads=True)
    script.play(transaction.rollback(script.state, current))
    assert script.sent[0].frame.transaction == current.number


def test_numbers_are_never_given_twice_in_a_process() -> None:
    assert Transaction(Begin.DEFERRED).number != Transaction(Begin.DEFERRED).number


def test_ending_nothing_is_an_error_in_the_words_of_sqlite() -> None:
    with pytest.raises(errors.OperationalError, match="cannot commit - no transaction is active"):
        transaction.must_be_open(None, "commit")
