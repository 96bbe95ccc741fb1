"""What a flow asks, of whom, and what it makes of each answer."""

from __future__ import annotations

from typing import Any

import pytest

from raftsql_driver import errors, flows
from raftsql_proto import frames as f
from raftsql_proto.frames import Refusal, Why
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
    result,
    run,
)


def write(script: Script, *answers: Any, deadline_s: float = 10.0) -> flows.Answered:
    flow = flows.write(script.state, run(), script.clock.now + deadline_s)
    return script.play(flow, *answers)


def read(script: Script, *answers: Any, level: int = 0, deadline_s: float = 10.0) -> Any:
    request = run("SELECT 1", level)
    flow = flows.read(script.state, request, script.clock.now + deadline_s)
    return script.play(flow, *answers)


def test_the_first_write_opens_a_session_and_takes_its_first_sequence() -> None:
    script = Script()
    answered = write(script, opened(7), done())
    assert [type(frame) for frame in script.frames] == [f.OpenSession, f.Run]
    assert (script.frames[1].session, script.frames[1].sequence) == (7, 1)
    assert answered.done == f.Done(1, 3)
    assert answered.index == 9


def test_later_writes_use_the_same_session_and_tell_what_was_seen() -> None:
    script = Script().with_session()
    write(script, done())
    write(script, done())
    assert [(x.session, x.sequence, x.floor) for x in script.frames] == [(7, 1, 0), (7, 2, 1)]


def test_a_write_goes_to_the_leader_and_else_to_the_home_node() -> None:
    assert _first_node(Script(leader="c:3").with_session()) == "c:3"
    assert _first_node(Script().with_session()) == "a:1"


def _first_node(script: Script) -> str:
    write(script, done())
    return script.nodes[0]


def test_a_lost_answer_is_asked_for_again_under_the_same_sequence() -> None:
    script = Script().with_session()
    write(script, LOST, done())
    assert [frame.sequence for frame in script.frames] == [1, 1]
    assert script.frames[0].id != script.frames[1].id


def test_a_write_follows_the_leader_without_a_pause() -> None:
    script = Script().with_session()
    write(script, refused(Why.NOT_LEADER, "b:2"), done())
    assert script.nodes == ["a:1", "b:2"]
    assert script.paused == [0.0]


def test_a_node_that_knows_no_leader_is_left_for_the_next_one() -> None:
    script = Script().with_session()
    write(script, refused(Why.NOT_LEADER), refused(Why.NOT_LEADER), done())
    assert script.nodes == ["a:1", "b:2", "c:3"]
    assert all(seconds > 0 for seconds in script.paused)


def test_pauses_grow_up_to_a_bound() -> None:
    script = Script().with_session()
    write(script, *[refused(Why.OVERLOADED)] * 9, done(), deadline_s=60)
    assert script.paused == sorted(script.paused)
    assert script.paused[-1] == flows.PAUSE_MAX_S


def test_an_overloaded_node_says_itself_when_to_come_back() -> None:
    script = Script().with_session()
    write(script, refused(Why.OVERLOADED, retry_after_ms=700), done())
    assert script.paused == [0.7]


@pytest.mark.parametrize("trouble", [LOST, LATE, refused(Why.UNKNOWN)])
def test_when_time_is_up_and_a_try_may_have_happened_the_outcome_is_unknown(trouble: Any) -> None:
    script = Script().with_session()
    with pytest.raises(errors.OutcomeUnknown, match="Look at the data"):
        write(script, trouble, deadline_s=0.001)


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (UNSENT, errors.Unavailable),
        (refused(Why.NOT_LEADER), errors.Unavailable),
        (refused(Why.OVERLOADED), errors.Unavailable),
        (refused(Why.SHUTTING_DOWN), errors.Unavailable),
        (refused(Why.TIMEOUT), errors.TimedOut),
        (refused(Why.CANCELLED), errors.QueryCancelled),
    ],
)
def test_when_nothing_can_have_happened_the_error_does_not_say_unknown(
    trouble: Any, kind: type[errors.Error]
) -> None:
    script = Script().with_session()
    with pytest.raises(kind) as caught:
        write(script, trouble, deadline_s=0.001)
    assert not isinstance(caught.value, errors.OutcomeUnknown)


@pytest.mark.parametrize("last", [UNSENT, refused(Why.NOT_LEADER), refused(Why.TIMEOUT)])
def test_what_one_try_may_have_done_a_later_refusal_does_not_undo(last: Any) -> None:
    script = Script().with_session()
    with pytest.raises(errors.OutcomeUnknown):
        write(script, LOST, last, deadline_s=0.008)


def test_what_one_try_may_have_done_a_node_that_will_not_have_us_does_not_undo() -> None:
    stranger = errors.AuthenticationFailed("wrong user or password")
    with pytest.raises(errors.OutcomeUnknown, match="wrong user"):
        write(Script().with_session(), LOST, stranger)
    with pytest.raises(errors.AuthenticationFailed):
        write(Script().with_session(), stranger)


def test_a_refused_statement_is_an_error_of_its_kind_at_once() -> None:
    script = Script().with_session()
    with pytest.raises(errors.IntegrityError) as caught:
        write(script, refusal(Refusal.SQL, 2067, "UNIQUE constraint failed: t.a"))
    assert caught.value.sqlite_errorname == "SQLITE_CONSTRAINT_UNIQUE"


def test_an_unknown_session_is_opened_anew_when_nothing_was_tried_before() -> None:
    script = Script().with_session(7)
    write(script, refusal(Refusal.SESSION_UNKNOWN), opened(8), done())
    assert [getattr(x, "session", None) for x in script.frames] == [7, None, 8]
    assert script.frames[-1].sequence == 1


def test_an_unknown_session_after_a_lost_try_leaves_the_outcome_unknown() -> None:
    script = Script().with_session(7)
    with pytest.raises(errors.OutcomeUnknown):
        write(script, LOST, refusal(Refusal.SESSION_UNKNOWN))
    assert script.state.session.number == 0


def test_a_dropped_answer_says_that_it_did_happen() -> None:
    with pytest.raises(errors.AnswerLost):
        write(Script().with_session(), LOST, refusal(Refusal.ANSWER_DROPPED))


def test_a_given_up_write_does_not_hold_the_floor_and_its_sequence_is_not_used_again() -> None:
    script = Script().with_session()
    with pytest.raises(errors.OutcomeUnknown):
        write(script, LATE, deadline_s=0.0)
    write(script, done())
    assert (script.frames[-1].sequence, script.frames[-1].floor) == (2, 1)


def test_an_interrupted_write_settles_its_sequence_too() -> None:
    script = Script().with_session()
    flow = flows.write(script.state, run(), script.clock.now + 10)
    next(flow)
    flow.close()
    assert script.state.session.floor == 1


def test_a_write_that_turns_out_to_be_a_query_gives_its_rows() -> None:
    answered = write(Script().with_session(), page([1], [2]))
    assert answered.page is not None
    assert answered.done is None


def test_a_read_takes_no_session() -> None:
    script = Script()
    answered = read(script, page([1]))
    assert script.frames[0].session == 0
    assert (answered.index, answered.serial) == (12, 5)


def test_a_read_is_tried_again_whatever_was_lost() -> None:
    script = Script()
    read(script, LOST, refused(Why.UNKNOWN), UNSENT, refused(Why.SHUTTING_DOWN), page([1]))
    assert len(script.asked) == 5


def test_a_read_that_found_nobody_in_time_is_no_unknown_outcome() -> None:
    with pytest.raises(errors.Unavailable):
        read(Script(), LOST, deadline_s=0.001)
    with pytest.raises(errors.TimedOut):
        read(Script(), LATE, deadline_s=0.0)


def test_strict_reads_go_to_the_leader_and_others_stay_home() -> None:
    for level, node in enumerate(["c:3", "c:3", "a:1", "a:1"]):
        script = Script(leader="c:3")
        read(script, page([1]), level=level)
        assert script.nodes == [node]


def test_data_that_is_too_old_is_the_callers_to_judge() -> None:
    with pytest.raises(errors.TooStale):
        read(Script(), refused(Why.TOO_STALE), level=3)


def test_a_node_is_told_a_little_less_time_than_there_is() -> None:
    script = Script()
    read(script, page([1]), deadline_s=10.0)
    assert 9_000 <= script.frames[0].timeout_ms < 10_000


def test_two_first_writes_register_with_the_same_nonce() -> None:
    script = Script()
    one = flows.write(script.state, run(), script.clock.now + 10)
    two = flows.write(script.state, run(), script.clock.now + 10)
    assert next(one).frame.nonce == next(two).frame.nonce
    one.send(opened(7))
    two.send(opened(7))
    assert script.state.session.number == 7


def test_no_room_for_a_session_is_told() -> None:
    with pytest.raises(errors.OperationalError, match="no room"):
        write(Script(), refusal(Refusal.SESSIONS_FULL, message="no room for another session"))


def test_the_next_page_belongs_to_the_stream_of_the_first() -> None:
    script = Script()
    flow = flows.next_page("a:1", 5, 77, script.clock.now + 5, script.clock.now)
    assert script.play(flow, page([3])).rows
    assert (script.asked[0].serial, script.frames[0].cursor) == (5, 77)


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (LOST, errors.OperationalError),
        (LATE, errors.TimedOut),
        (refused(Why.CURSOR_GONE), errors.OperationalError),
        (done(), errors.OperationalError),
    ],
)
def test_rows_that_are_gone_are_not_asked_for_again(trouble: Any, kind: type[errors.Error]) -> None:
    script = Script()
    flow = flows.next_page("a:1", 5, 77, script.clock.now + 5, script.clock.now)
    with pytest.raises(kind):
        script.play(flow, trouble)


def test_a_text_can_be_examined_on_any_node() -> None:
    script = Script()
    flow = flows.examine(script.state, "SELECT 1", False, script.clock.now + 5)
    verdict = f.Verdict(0, "read", "pure")
    assert script.play(flow, LOST, verdict) is verdict


def test_a_read_answered_by_what_a_statement_did_is_handed_on() -> None:
    answered = read(Script(), result(f.Done(-1, 0, [f.Column("x", None)], [[1]])))
    assert answered.done is not None
    assert answered.done.rows == [[1]]
