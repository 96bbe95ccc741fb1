"""Reads wait for what their level promises, no longer, and are answered once."""

from __future__ import annotations

import pytest

from raftsql.cluster import reading
from raftsql.raft.messages import Heartbeat, ReadIndexReply, ReadIndexRequest
from raftsql.sql.commands import Level, Why
from tests.cluster.stage import Stage, command, noop

COUNT = "SELECT count(*) FROM t"


def follower(stage: Stage) -> Stage:
    """The node follows node 3, and holds all that is committed."""
    stage.lose_lead(leader=3)
    stage.replicate(noop(stage.node.log.last.index + 1, stage.node.term))
    stage.world.sent.clear()
    return stage


def reply_to_reads(stage: Stage, index: int) -> None:
    """The leader answers what the follower asked about reads."""
    asked = [e.message for e in stage.world.sent if isinstance(e.message, ReadIndexRequest)]
    stage.world.sent.clear()
    for request in asked:
        stage.hear(ReadIndexReply(stage.node.term, request.round, index), source=3)


def test_a_linearizable_read_waits_for_a_quorum(leader: Stage) -> None:
    heard = leader.read(COUNT)
    leader.pump()
    assert heard.times == 0
    leader.settle()
    assert heard.rows == [[0]]


def test_reads_that_wait_together_share_one_question(leader: Stage) -> None:
    heard = [leader.read(COUNT) for _ in range(50)]
    leader.pump()
    assert sum(isinstance(e.message, Heartbeat) for e in leader.world.sent if e.target == 2) == 1
    leader.settle()
    assert [h.rows for h in heard] == [[[0]]] * 50


def test_a_linearizable_read_sees_what_was_acknowledged_before(leader: Stage) -> None:
    for count in range(1, 4):
        leader.wrote("INSERT INTO t DEFAULT VALUES")
        heard = leader.read(COUNT)
        leader.settle()
        assert heard.rows == [[count]]


def test_a_follower_serves_it_when_it_has_applied_what_the_leader_says(leader: Stage) -> None:
    stage = follower(leader)
    heard = stage.read(COUNT)
    stage.pump()
    index = stage.node.log.last.index + 1
    reply_to_reads(stage, index)
    assert heard.times == 0, "the leader has one entry more"
    stage.replicate(command(index, stage.node.term, "INSERT INTO t DEFAULT VALUES"))
    assert heard.rows == [[1]]


def test_a_leader_that_is_cut_off_does_not_serve(leader: Stage) -> None:
    heard = leader.read(COUNT)
    for _ in range(40):
        leader.advance(50)
    assert heard.times == 1
    assert heard.why is Why.NOT_LEADER


def test_a_lease_read_needs_no_round_while_the_lease_runs(leader: Stage) -> None:
    leader.advance(80)
    leader.settle()
    heard = leader.read(COUNT, Level.LEASE)
    leader.pump()
    assert heard.rows == [[0]]
    leader.advance(400)
    late = leader.read(COUNT, Level.LEASE)
    leader.pump()
    assert late.times == 0, "the lease has run out: a quorum is asked"


def test_a_session_read_waits_for_its_token_and_for_nothing_else(leader: Stage) -> None:
    stage = follower(leader)
    last = stage.node.log.last.index
    now = stage.read(COUNT, Level.SESSION, token=last)
    assert now.rows == [[0]]
    later = stage.read(COUNT, Level.SESSION, token=last + 1)
    stage.pump()
    assert later.times == 0
    stage.replicate(command(last + 1, stage.node.term, "INSERT INTO t DEFAULT VALUES"))
    assert later.rows == [[1]]
    assert later.indexes[0] >= last + 1


def test_a_stale_read_waits_for_nobody(leader: Stage) -> None:
    stage = follower(leader)
    assert stage.read(COUNT, Level.STALE).rows == [[0]]


def test_an_age_is_unknown_until_the_leader_was_heard(leader: Stage) -> None:
    stage = follower(leader)
    stage.replica.reading.level_at_ms = None
    assert stage.read(COUNT, Level.STALE).ages == [-1]


def test_the_age_runs_from_the_moment_when_the_leader_was_asked(leader: Stage) -> None:
    stage = follower(leader)
    stage.replica.reading.keep_level()
    stage.advance(30)
    reply_to_reads(stage, stage.node.log.applied)
    stage.advance(70)
    assert stage.read(COUNT, Level.STALE).ages == [100]


def test_the_age_is_of_what_is_applied_not_of_what_is_promised(leader: Stage) -> None:
    stage = follower(leader)
    stage.replica.reading.level_at_ms = None
    last = stage.node.log.last.index
    stage.replica.reading.keep_level()
    stage.pump()
    reply_to_reads(stage, last + 1)
    stage.advance(10)
    assert stage.read(COUNT, Level.STALE).ages == [-1]
    stage.replicate(noop(last + 1, stage.node.term))
    stage.advance(10)
    assert stage.read(COUNT, Level.STALE).ages == [20]


def test_a_process_that_stood_still_knows_how_long(leader: Stage) -> None:
    """Its core has not looked at the clock yet when the first read arrives."""
    stage = follower(leader)
    stage.replica.reading.keep_level()
    stage.pump()
    reply_to_reads(stage, stage.node.log.applied)
    stage.world.now += 5_000
    assert stage.read(COUNT, Level.STALE).ages == [5_000]
    assert stage.read(COUNT, Level.STALE, max_staleness_ms=1_000).times == 0


def test_what_is_fresh_enough_is_served_at_once(leader: Stage) -> None:
    stage = follower(leader)
    stage.replica.reading.keep_level()
    stage.pump()
    reply_to_reads(stage, stage.node.log.applied)
    stage.advance(100)
    assert stage.read(COUNT, Level.STALE, max_staleness_ms=100).rows == [[0]]
    old = stage.read(COUNT, Level.STALE, max_staleness_ms=99)
    stage.pump()
    assert old.times == 0, "the leader is asked instead"
    reply_to_reads(stage, stage.node.log.applied)
    assert old.rows == [[0]]


def test_what_is_too_old_is_refused_where_no_leader_can_be_asked(leader: Stage) -> None:
    stage = follower(leader)
    stage.replica.reading.keep_level()
    stage.pump()
    reply_to_reads(stage, stage.node.log.applied)
    heard = None
    for _ in range(60):
        stage.advance(50)
        heard = heard or stage.read(COUNT, Level.STALE, max_staleness_ms=10)
    assert heard is not None
    assert heard.why is Why.TOO_STALE
    assert "more than 10 ms" in heard.messages[0]


def test_reads_that_nobody_can_vouch_for_are_sent_elsewhere(leader: Stage) -> None:
    stage = follower(leader)
    heard = stage.read(COUNT)
    for _ in range(60):
        stage.advance(50)
    assert heard.why is Why.NOT_LEADER


@pytest.mark.parametrize("level", [Level.LINEARIZABLE, Level.LEASE, Level.SESSION])
def test_time_is_up(leader: Stage, level: Level) -> None:
    leader.advance(500)
    leader.world.sent.clear()
    heard = leader.read(COUNT, level, token=1 << 40, deadline_ms=leader.now + 100)
    leader.advance(99)
    assert heard.times == 0
    leader.advance(1)
    assert heard.why is Why.TIMEOUT
    leader.settle()
    assert heard.times == 1
    assert len(leader.replica.reading) == 0


def test_waiting_reads_are_bounded(leader: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "WAITING_MAX", 2)
    heard = [leader.read(COUNT) for _ in range(3)]
    assert [h.whys for h in heard] == [[], [], [Why.OVERLOADED]]
    leader.settle()
    assert [h.times for h in heard] == [1, 1, 1]
    assert len(leader.replica.reading) == 0


def test_a_stopping_node_answers_every_read_once(leader: Stage) -> None:
    asked = leader.read(COUNT)
    leader.pump()
    gathered = leader.read(COUNT)
    waiting = leader.read(COUNT, Level.SESSION, token=1 << 40)
    leader.replica.stop()
    late = leader.read(COUNT)
    for heard in (asked, gathered, waiting, late):
        assert heard.why is Why.SHUTTING_DOWN
