"""Any history of a small cluster: whatever happens in any order, nothing that Raft promises breaks.

The harness checks its invariants after every step; here are those that compare logs. At the end
everything heals, and the cluster must agree and go on.
"""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from raftsql.raft.membership import (
    AddMember,
    Change,
    ChangeRefused,
    DemoteMember,
    PromoteMember,
    RemoveMember,
)
from raftsql.raft.ready import Refused, RoleName
from tests.raft.harness import Cluster
from tests.raft.replica import Replica

NODES = st.integers(1, 3)
FRESH = st.integers(4, 5)
PLACES = st.integers(0, 1 << 20)


class Histories(RuleBasedStateMachine):
    """Three founding nodes, and two more that may join."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster(
            1, 2, 3, append_entries_max=2, inflight_messages_max=2, tail_entries_max=3,
            tail_bytes_max=20, ship_ms_max=2000, apply_entries_max=2,
        )  # fmt: skip
        self.requests = 0

    def replica(self, node: int) -> Replica | None:
        it = self.cluster.replicas.get(node)
        return it if it and it.node else None

    # Messages.

    @precondition(lambda self: self.cluster.wire.flying)
    @rule(place=PLACES)
    def one_message_arrives(self, place: int) -> None:
        flying = self.cluster.wire.flying
        flying.insert(0, flying.pop(place % len(flying)))
        self.cluster.deliver(count=1)

    @rule(count=st.integers(1, 12))
    def messages_arrive(self, count: int) -> None:
        self.cluster.deliver(count=count)

    @rule()
    def everything_arrives(self) -> None:
        self.cluster.settle()

    @precondition(lambda self: self.cluster.wire.flying)
    @rule(place=PLACES)
    def a_message_is_lost(self, place: int) -> None:
        flying = self.cluster.wire.flying
        flying.pop(place % len(flying))

    @precondition(lambda self: self.cluster.wire.flying)
    @rule(place=PLACES)
    def a_message_is_repeated(self, place: int) -> None:
        flying = self.cluster.wire.flying
        flying.append(flying[place % len(flying)])

    @rule(source=NODES, other=NODES)
    def a_way_is_cut(self, source: int, other: int) -> None:
        self.cluster.wire.cut(source, other)

    @rule()
    def all_ways_are_open(self) -> None:
        self.cluster.wire.heal()

    # Time.

    @rule(ms=st.integers(1, 400), asleep=st.sets(NODES, max_size=1))
    def time_passes(self, ms: int, asleep: set[int]) -> None:
        self.cluster.advance(ms, asleep=asleep)

    @rule(node=NODES)
    def a_node_campaigns(self, node: int) -> None:
        it = self.replica(node)
        if it and it.running.promotable and it.status.role is RoleName.FOLLOWER:
            self.cluster.campaign(node)

    @rule(node=NODES, dead=NODES)
    def a_node_hears_that_another_process_ended(self, node: int, dead: int) -> None:
        if node in self.cluster.replicas and not self.replica(dead):
            now = self.cluster.replicas[node].now
            self.cluster.do(node, lambda it: it.process_ended(dead, now))

    # Disks and crashes.

    @rule(node=NODES)
    def a_disk_is_slow(self, node: int) -> None:
        self.cluster.hold_disk(node)

    @rule(node=NODES)
    def one_write_is_done(self, node: int) -> None:
        if self.replica(node) and self.cluster.replicas[node].disk.writing:
            self.cluster.sync(node)

    @rule(node=NODES)
    def a_disk_catches_up(self, node: int) -> None:
        self.cluster.free_disk(node)

    @rule(node=NODES)
    def a_node_crashes(self, node: int) -> None:
        self.cluster.crash(node)

    @rule(node=NODES, lag=st.integers(0, 3))
    def a_node_restarts(self, node: int, lag: int) -> None:
        replica = self.cluster.replicas[node]
        if replica.node is None:
            applied = max(replica.machine.position.index - lag, replica.disk.base.index)
            self.cluster.restart(node, applied=applied)

    # Calls.

    @rule(node=NODES, count=st.integers(1, 4))
    def somebody_writes(self, node: int, count: int) -> None:
        if self.replica(node):
            try:
                self.cluster.propose(node, *"abcd"[:count])
            except Refused:
                return

    @rule(node=NODES, lease=st.booleans())
    def somebody_reads(self, node: int, lease: bool) -> None:
        if self.replica(node):
            self.requests += 1
            self.cluster.read(node, self.requests, lease=lease)

    @rule(node=NODES, other=NODES)
    def leadership_is_to_move(self, node: int, other: int) -> None:
        self.attempt(node, lambda it: it.transfer(other))

    @rule(node=NODES, other=NODES)
    def a_peer_was_unreachable(self, node: int, other: int) -> None:
        self.attempt(node, lambda it: it.unreachable(other))

    @rule(node=NODES, fresh=FRESH, manual=st.booleans())
    def a_member_is_added(self, node: int, fresh: int, manual: bool) -> None:
        self.change(node, AddMember(fresh, f"n{fresh}:1", f"d{fresh}", promote=not manual))
        if fresh not in self.cluster.replicas:
            self.cluster.start(fresh, log=())

    @rule(
        node=NODES,
        kind=st.sampled_from([PromoteMember, DemoteMember, RemoveMember]),
        other=st.integers(1, 5),
    )
    def a_member_changes(self, node: int, kind: type[PromoteMember], other: int) -> None:
        self.change(node, kind(other))

    def change(self, node: int, change: Change) -> None:
        self.attempt(node, lambda it: it.change(change))

    def attempt(self, node: int, act: object) -> None:
        if self.replica(node):
            try:
                self.cluster.do(node, act)  # type: ignore[arg-type]
            except (Refused, ChangeRefused):
                return

    # Snapshots.

    @rule(node=NODES, kept=st.integers(0, 3))
    def a_log_is_compacted(self, node: int, kept: int) -> None:
        it = self.replica(node)
        if it:
            self.cluster.compact(node, max(it.running.log.applied - kept, 0))

    @rule(node=NODES, how=st.sampled_from(["whole", "fails", "unheard"]))
    def wanted_snapshots_are_shipped(self, node: int, how: str) -> None:
        it = self.replica(node)
        while it and it.wanted:
            self.ship(it, it.wanted.pop(), how)

    def ship(self, source: Replica, peer: int, how: str) -> None:
        if source.status.role is not RoleName.LEADER:
            return  # Another one leads by now, and will see for itself what the peer lacks.
        if how == "whole":
            self.cluster.ship(source.id, peer)
            self.cluster.do(source.id, lambda node: node.snapshot_shipped(peer))
        elif how == "fails":
            self.cluster.do(source.id, lambda node: node.snapshot_failed(peer))

    @rule(node=NODES, other=NODES)
    def a_snapshot_nobody_wanted_arrives(self, node: int, other: int) -> None:
        it = self.replica(node)
        if it and it.status.role is RoleName.LEADER and node != other and it.machine.entries:
            self.cluster.ship(node, other)

    # What must be true.

    @invariant()
    def no_node_stopped_by_itself(self) -> None:
        assert [it.stopped for it in self.cluster.replicas.values() if it.stopped] == []

    @invariant()
    def logs_match(self) -> None:
        """If two logs hold an entry of the same place and term, they agree before it too."""
        for one, other in combinations(self.cluster.live, 2):
            left, right = one.running.log, other.running.log
            first = max(left.base.index, right.base.index)
            last = min(left.last.index, right.last.index)
            same = [left.term(i) == right.term(i) for i in range(first, last + 1)]
            assert same == sorted(same, reverse=True), "logs agree again after they differ"

    @invariant()
    def states_are_prefixes_of_each_other(self) -> None:
        machines = sorted((it.machine.entries for it in self.cluster.replicas.values()), key=len)
        for shorter, longer in pairwise(machines):
            assert longer[: len(shorter)] == shorter

    @invariant()
    def the_newest_leader_has_all_that_is_committed(self) -> None:
        leading = [it for it in self.cluster.live if it.status.role is RoleName.LEADER]
        newest = max(leading, key=lambda it: it.status.term, default=None)
        if newest is None or newest.status.term < max(
            it.disk.state.term for it in self.cluster.replicas.values()
        ):
            return
        log = newest.running.log
        for index, term in self.cluster.invariants.committed.items():
            assert index < log.base.index or log.term(index) == term

    def teardown(self) -> None:
        """Everything heals: one leader, a new commit, and all states equal."""
        cluster = self.cluster
        cluster.wire.heal()
        for node, replica in cluster.replicas.items():
            if replica.node is None:
                assert not replica.stopped
                cluster.restart(node)
            cluster.free_disk(node)
        self.go_on_until_agreed()
        leader = cluster.replicas[self.only_leader()]
        cluster.propose(leader.id, "the last word")
        self.go_on_until_agreed()
        assert b"the last word" in [entry.payload for entry in leader.machine.entries]
        self.no_node_stopped_by_itself()

    def go_on_until_agreed(self) -> None:
        """Time passes, and snapshots that are wanted are shipped; 20 s must be enough."""
        for _ in range(40):
            self.cluster.advance(500, settle=True)
            for replica in self.cluster.live:
                while replica.wanted:
                    self.ship(replica, replica.wanted.pop(), "whole")
            if self.agreed():
                return
        raise AssertionError("the cluster does not agree after everything healed")

    def agreed(self) -> bool:
        """Whether somebody leads, and all members have applied what it has."""
        leader = self.cluster.replicas.get(self.cluster.leader)
        if leader is None or leader.status.applied < leader.status.last.index:
            return False
        if leader.status.transferring_to:
            return False
        members = leader.running.membership.members.keys() & self.cluster.replicas.keys()
        return all(
            self.cluster.replicas[node].machine.entries == leader.machine.entries
            for node in members
        )

    def only_leader(self) -> int:
        roles = {it.id: it.status.role for it in self.cluster.live}
        leaders = [node for node, role in roles.items() if role is RoleName.LEADER]
        assert len(leaders) == 1, f"after everything healed: {roles}"
        return leaders[0]


TestHistories = pytest.mark.timeout(100)(Histories.TestCase)
TestHistories.settings = settings(
    max_examples=60,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
