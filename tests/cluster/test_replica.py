"""The loop: save, send, apply, answer; batched while anything is busy, and never out of order."""

from __future__ import annotations

from collections.abc import Sequence

from raftsql.cluster import replica as replica_module
from raftsql.raft.membership import AddMember, RemoveMember
from raftsql.raft.messages import (
    Append,
    AppendAccepted,
    AppendRejected,
    Entry,
    InstallSnapshot,
    Position,
    SnapshotMeta,
)
from raftsql.sql.commands import Done, Level, Why
from tests.cluster.conftest import Staged
from tests.cluster.stage import Stage, noop

INSERT = "INSERT INTO t (y) VALUES (?)"


def appended(stage: Stage, target: int = 2) -> list[int]:
    """How many entries each append to a peer carried."""
    messages = [e.message for e in stage.world.sent if e.target == target]
    return [len(m.entries) for m in messages if isinstance(m, Append)]


def test_what_arrives_in_one_lap_is_one_batch(leader: Stage) -> None:
    heard = [leader.write(INSERT, n) for n in range(100)]
    leader.pump()
    assert appended(leader) == [100]
    leader.settle()
    assert [h.done.changes for h in heard] == [1] * 100
    assert leader.rows("SELECT y FROM t ORDER BY x") == [[n] for n in range(100)]


def test_appends_leave_while_the_own_disk_still_works(leader: Stage) -> None:
    leader.world.disk_waits = True
    leader.write(INSERT, 1)
    leader.pump()
    assert appended(leader) == [1]


def test_what_arrives_while_the_disk_works_is_its_next_batch(leader: Stage) -> None:
    leader.world.disk_waits = True
    for number in range(3):
        leader.write(INSERT, number)
        leader.pump()
    assert len(leader.world._saves) == 1
    leader.world.finish_saves()
    leader.pump()
    (save,) = leader.world._saves
    assert len(save.entries) == 2


def test_what_arrives_while_the_disk_works_travels_as_one_batch(leader: Stage) -> None:
    leader.world.disk_waits = True
    for number in range(4):
        leader.write(INSERT, number)
        leader.pump()
    assert appended(leader) == [1]
    leader.world.finish_saves()
    leader.pump()
    assert appended(leader) == [1, 3]


def test_what_is_committed_while_the_database_works_is_its_next_batch(alone: Stage) -> None:
    alone.world.database_waits = True
    heard = []
    for number in range(3):
        heard.append(alone.write(INSERT, number))
        alone.pump()
    assert [h.times for h in heard] == [0, 0, 0]
    alone.world.finish_jobs(1)
    assert [h.times for h in heard] == [1, 0, 0]
    alone.pump()
    alone.world.finish_jobs(1)
    assert [h.times for h in heard] == [1, 1, 1]


def test_a_batch_is_bounded_and_the_rest_is_the_next(alone: Stage, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(replica_module, "BATCH_ENTRIES_MAX", 10)
    heard = [alone.write(INSERT, n) for n in range(25)]
    for _ in range(3):
        alone.pump()
    assert [h.done.changes for h in heard] == [1] * 25


def test_a_follower_sends_writes_away_and_says_where(leader: Stage) -> None:
    leader.lose_lead(leader=3)
    heard = leader.write(INSERT, 1)
    assert heard.why is Why.NOT_LEADER
    assert "node 3 leads" in heard.messages[0]


def test_nothing_is_acknowledged_that_no_majority_has(leader: Stage) -> None:
    heard = leader.write(INSERT, 1)
    for _ in range(10):
        leader.advance(20)
    assert heard.times == 0


def test_the_clock_of_the_log_never_goes_back(alone: Stage) -> None:
    for wall_ms in (9_000_000, 1_000, 9_000_001):
        alone.world.wall_ms = wall_ms
        alone.wrote("INSERT INTO t (y) VALUES (unixepoch('subsec') * 1000)")
    times = [y for (y,) in alone.rows("SELECT CAST(y AS INTEGER) FROM t ORDER BY x")]
    assert times == [9_000_000, 9_000_000, 9_000_001]


def test_each_command_has_a_seed_of_its_own(alone: Stage) -> None:
    for _ in range(3):
        alone.write("INSERT INTO t (y) VALUES (random())")
    alone.settle()
    assert alone.rows("SELECT count(DISTINCT y) FROM t") == [[3]]


def test_a_membership_change_is_told_when_it_is_applied(leader: Stage) -> None:
    told: list[str | None] = []
    leader.replica.change(AddMember(4, "n4:1", "d4"), told.append)
    leader.pump()
    assert told == []
    leader.settle()
    assert told == [None]


def test_a_leader_that_removes_itself_says_that_it_is_done(staged: Staged) -> None:
    """Though it loses the lead by it, and its database is busy at that moment."""
    told: list[str | None] = []
    leader = staged(2).lead()
    leader.world.database_waits = True
    leader.replica.change(RemoveMember(1), told.append)
    leader.pump()
    leader.acknowledge(2)
    leader.pump()
    assert not leader.replica.leads
    assert told == []
    leader.world.finish_jobs()
    assert told == [None]


def test_a_membership_change_that_is_refused_says_why(leader: Stage) -> None:
    told: list[str | None] = []
    leader.replica.change(RemoveMember(9), told.append)
    leader.replica.change(AddMember(4, "n4:1", "d4"), told.append)
    leader.replica.change(AddMember(5, "n5:1", "d5"), told.append)
    assert len(told) == 2
    assert "9" in str(told[0])
    assert "not committed yet" in str(told[1])


def test_a_membership_change_under_way_when_the_lead_is_lost_is_not_guessed_about(
    leader: Stage,
) -> None:
    told: list[str | None] = []
    leader.replica.change(AddMember(4, "n4:1", "d4"), told.append)
    leader.lose_lead()
    (said,) = told
    assert "lost the lead" in str(said)


def test_a_stopping_node_tells_whoever_waits_for_a_change(leader: Stage) -> None:
    told: list[str | None] = []
    leader.replica.change(AddMember(4, "n4:1", "d4"), told.append)
    leader.replica.stop()
    assert len(told) == 1


def test_a_node_that_has_stopped_changes_no_membership(leader: Stage) -> None:
    told: list[str | None] = []
    leader.replica.stop()
    last = leader.node.log.last
    leader.replica.change(AddMember(4, "n4:1", "d4"), told.append)
    assert told == ["the node stops"]
    assert leader.node.log.last == last


def test_a_removed_node_serves_nobody(leader: Stage) -> None:
    leader.lose_lead(leader=3)
    leader.node.removed = True
    for level in Level:
        heard = leader.read("SELECT 1", level)
        assert heard.why is Why.NOT_LEADER
        assert "removed" in heard.messages[0]


def test_a_snapshot_leaves_the_writes_below_it_unknown(leader: Stage) -> None:
    heard = leader.write(INSERT, 1)
    leader.pump()
    index = leader.node.log.last.index
    term = leader.node.term + 1
    meta = SnapshotMeta(Position(index + 5, term), leader.node.membership.encode())
    leader.hear(InstallSnapshot(term, meta), source=3)
    assert leader.world.installs == [meta]
    leader.replica.installed(meta)
    assert heard.why is Why.UNKNOWN


def test_a_snapshot_that_can_not_be_used_is_asked_for_again(leader: Stage) -> None:
    term = leader.node.term + 1
    meta = SnapshotMeta(Position(99, term), leader.node.membership.encode())
    leader.hear(InstallSnapshot(term, meta), source=3)
    leader.replica.install_failed()
    assert leader.node.installing is None
    leader.hear(InstallSnapshot(term, meta), source=3)
    assert leader.world.installs == [meta, meta]


def test_a_peer_that_the_log_does_not_reach_is_shipped_a_snapshot(leader: Stage) -> None:
    for number in range(5):
        leader.wrote(INSERT, number)
    leader.node.compact(leader.node.log.applied)
    for _ in range(4):
        leader.advance(80)
        for envelope in list(leader.world.sent):
            if envelope.target == 3 and isinstance(envelope.message, Append):
                message = envelope.message
                rejected = AppendRejected(
                    message.term, message.prev.index, Position(0, 0), message.probe
                )
                leader.world.sent.clear()
                leader.hear(rejected, source=3)
                break
        else:
            leader.acknowledge(3)
    assert leader.world.ships == [3]


def test_a_role_is_announced_once(leader: Stage) -> None:
    roles = [(change.role.value, change.leader) for change in leader.world.roles]
    # A candidate asks first whether it would be elected, in the old term, and then in its own.
    assert roles == [("follower", 0), ("candidate", 0), ("candidate", 0), ("leader", 1)]
    leader.lose_lead(leader=3)
    leader.replicate(noop(leader.node.log.last.index + 1, leader.node.term))
    assert leader.world.roles[-1].leader == 3


def test_a_lone_node_commits_what_its_own_disk_holds_and_nothing_before(alone: Stage) -> None:
    alone.world.disk_waits = True
    heard = alone.write(INSERT, 1)
    alone.pump()
    assert heard.times == 0
    alone.world.finish_saves()
    alone.pump()
    assert heard.done == Done(1, 1)


def test_a_write_after_the_stop_is_refused(alone: Stage) -> None:
    alone.replica.stop()
    assert alone.write(INSERT, 1).why is Why.SHUTTING_DOWN


def test_an_acknowledgement_leaves_before_what_its_append_commits_is_applied(
    staged: Staged,
) -> None:
    follower = staged(3)
    follower.replicate(noop(2, 5))
    prev = follower.node.log.last
    follower.hear(Append(5, prev, [noop(3, 5)], commit=2, probe=9), 3)
    sent_before_apply: list[int] = []
    apply = follower.world.apply

    def watched(entries: Sequence[Entry]) -> None:
        sent = [e.message for e in follower.world.sent]
        sent_before_apply.append(max(m.match for m in sent if isinstance(m, AppendAccepted)))
        apply(entries)

    follower.world.apply = watched  # type: ignore[method-assign]
    follower.hear(Append(5, follower.node.log.last, [noop(4, 5)], commit=3, probe=9), 3)
    assert sent_before_apply == [4]
