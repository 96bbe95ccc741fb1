"""A follower: believes its leader, and campaigns when it has not heard from one for too long.

A node that knows no leader, a learner and a removed node are followers too; they only differ in
whether they may campaign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from raftsql.raft.membership import Membership
from raftsql.raft.messages import (
    NOBODY,
    Append,
    AppendAccepted,
    AppendRejected,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Message,
    NodeId,
    Position,
    ReadIndexReply,
    ReadIndexRequest,
    Removed,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)

if TYPE_CHECKING:
    from raftsql.raft.node import Node


class Follower:
    """Fields of a follower, and what it does with each input."""

    __slots__ = ("node", "leader", "deadline", "verified", "answered")

    def __init__(self, node: Node, *, leader: NodeId) -> None:
        """Wait for `leader`, or for anyone, before campaigning."""
        self.node = node
        self.leader = leader
        self.deadline = 0
        self.verified = 0
        """The log is known to be this leader's up to here."""
        self.answered = -1
        """The newest heartbeat's probe that was answered."""
        self._postpone()

    def _postpone(self) -> None:
        node = self.node
        wait = node.config.election_ms + node.chance(node.config.election_ms)
        if _outranked(node.membership, node.id):
            wait += node.config.election_ms // 2
        self.deadline = node.now + wait

    def tick(self) -> None:
        """Campaign when nothing was heard for too long; ask again for reads that got no answer."""
        node = self.node
        if node.now >= self.deadline:
            if node.promotable:
                node.become_candidate(pre=True)
                return
            self.leader = NOBODY
            node.refuse_reads(node.asking.give_up())
            self._postpone()
        elif node.asking.asked and node.now >= self._ask_again_at():
            self._ask()

    def wake_at(self) -> int:
        """The next time something is due."""
        if self.node.asking.asked:
            return min(self.deadline, self._ask_again_at())
        return self.deadline

    def _ask_again_at(self) -> int:
        return self.node.asking.asked_at + 3 * self.node.config.heartbeat_ms

    def excuse(self) -> None:
        """This node did not run for a while; what it missed may be waiting in its mail."""
        self.deadline = max(self.deadline, self.node.now + 2 * self.node.config.heartbeat_ms)

    def leader_died(self) -> None:
        """The leader's process is gone: campaign when its lease is over, one voter at a time."""
        node = self.node
        others = [v for v in node.membership.voters if v != self.leader]
        if node.id not in others:
            return
        others.sort(key=lambda v: (-node.membership.members[v].priority, v))
        lease_over = max(node.now, node.heard_at + node.config.lease_ms)
        turn = others.index(node.id) * node.config.down_stagger_ms
        self.deadline = min(self.deadline, lease_over + turn)

    def voted(self) -> None:
        """A vote was given: give the candidate time to lead."""
        self._postpone()

    def stored(self) -> None:
        """Acknowledgements that waited are sent by the node; nothing else depends on the disk."""

    # Reads.

    def read(self, request: int, *, lease: bool) -> None:
        """Let the leader vouch for it."""
        node = self.node
        full = len(node.asking.waiting) >= node.config.reads_waiting_max
        if self.leader == NOBODY or full:
            node.refuse_reads([request])
        else:
            node.asking.wait(request, lease=lease)

    def open_reads(self) -> list[int]:
        """Reads whose answer will not come from this leader."""
        return self.node.asking.give_up()

    def flush(self) -> None:
        """One asking at a time; what waits meanwhile shares the next."""
        if self.node.asking.waiting and not self.node.asking.asked:
            self._ask()

    def _ask(self) -> None:
        node = self.node
        round_, lease = node.asking.begin(node.now)
        node.send(self.leader, ReadIndexRequest(node.term, round_, lease))

    # Messages.

    def step(self, source: NodeId, message: Message) -> None:
        """A message of this term."""
        match message:
            case Append():
                self._hear(source)
                self._on_append(source, message)
            case Heartbeat():
                self._hear(source)
                self._on_heartbeat(source, message)
            case ReadIndexReply():
                self._on_read_index(message)
            case InstallSnapshot():
                self._hear(source)
                self._on_snapshot(source, message)
            case TimeoutNow():
                if source == self.leader and self.node.promotable:
                    self.node.become_candidate(pre=False, forced=True)
            case ReadIndexRequest():
                self.node.send(source, ReadIndexReply(self.node.term, message.round, index=0))
            case AppendAccepted() | AppendRejected() | HeartbeatReply() | VoteReply():
                pass  # Answers to what this node asked in another role.
            case VoteRequest() | Removed():
                raise AssertionError("the node answers these whatever its role")
            case _:
                assert_never(message)

    def _hear(self, source: NodeId) -> None:
        node = self.node
        assert self.leader in (NOBODY, source), (
            f"one leader a term: {self.leader} and {source} both lead term {node.term}"
        )
        self.leader = source
        node.heard_leader()
        self._postpone()

    def _on_append(self, source: NodeId, append: Append) -> None:
        node, log = self.node, self.node.log
        if node.installing is not None:
            return  # The log is about to be replaced; the leader is shipping and will wait.
        if append.prev.index < log.base.index:
            # What lies before the base is committed, and the leader has all of that too.
            self._accept(source, match=log.committed, probe=append.probe)
            return
        if not log.holds(append.prev):
            hint = log.newest_at_most(append.prev)
            rejected = AppendRejected(node.term, append.prev.index, hint, append.probe)
            node.send_with_state(source, rejected)
            return
        self._merge(append)
        last = append.prev.index + len(append.entries)
        self.verified = max(self.verified, last)
        node.commit(min(append.commit, last))
        self._accept(source, match=last, probe=append.probe)

    def _merge(self, append: Append) -> None:
        """Add what is new; take back only what truly conflicts (Raft 5.3), never what matches."""
        node, log = self.node, self.node.log
        if append.prev == log.last:
            node.append(list(append.entries))
            return
        for place, entry in enumerate(append.entries):
            if log.holds(Position(entry.index, entry.term)):
                continue
            if entry.index <= log.last.index:
                node.truncate(entry.index)
            node.append(list(append.entries[place:]))
            return

    def _accept(self, source: NodeId, *, match: int, probe: int) -> None:
        node = self.node
        node.send_when_stored(source, AppendAccepted(node.term, match, probe))

    def _on_heartbeat(self, source: NodeId, heartbeat: Heartbeat) -> None:
        node = self.node
        assert heartbeat.commit <= node.log.last.index, (
            "what was acknowledged is never lost: the leader knows entries to be stored here "
            f"up to {heartbeat.commit}, but the log ends at {node.log.last.index}"
        )
        if node.installing is None:
            node.commit(heartbeat.commit)
        if heartbeat.probe > self.answered:
            # One that only tells of a commit asks nothing new.
            self.answered = heartbeat.probe
            node.send_with_state(source, HeartbeatReply(node.term, heartbeat.probe))

    def _on_read_index(self, reply: ReadIndexReply) -> None:
        node = self.node
        requests = node.asking.answered(reply.round)
        if reply.index == 0:
            node.refuse_reads(requests)
            return
        if node.installing is None:
            node.commit(min(reply.index, self.verified))
        node.grant_reads(requests, reply.index)

    def _on_snapshot(self, source: NodeId, message: InstallSnapshot) -> None:
        """Install, fast-forward or ignore: the log decides.

        - at or below the commit index: everything in it is here already, ignore it;
        - the log holds its last entry: all of it is here, so it is committed up to there;
        - else the log is too short, or conflicts with it: the snapshot replaces both.
        """
        node, last = self.node, message.snapshot.last
        if node.installing is not None:
            return
        if last.index > node.log.committed and not node.log.holds(last):
            node.start_install(message.snapshot)
            return
        node.commit(last.index)
        self.verified = max(self.verified, last.index)
        self._accept(source, match=node.log.committed, probe=0)


def _outranked(membership: Membership, node: NodeId) -> bool:
    mine = membership.members.get(node)
    return mine is not None and any(
        member.voter and member.priority > mine.priority for member in membership.members.values()
    )
