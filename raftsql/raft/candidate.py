"""A candidate: asks whether it would be elected, and if so, stands for election.

The first question (pre-vote, thesis 9.6) changes nothing anywhere, so that a node that can't win
never disturbs a cluster that works. Only who would win takes a new term, and counts its own vote
when that is durable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

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
    ReadIndexReply,
    ReadIndexRequest,
    Removed,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from raftsql.raft.quorum import won

if TYPE_CHECKING:
    from raftsql.raft.node import Node


class Candidate:
    """Fields of a candidate, and what it does with each input."""

    __slots__ = ("node", "pre", "forced", "votes", "deadline")

    def __init__(self, node: Node, *, pre: bool, forced: bool) -> None:
        """Nobody has been asked yet: see `begin`."""
        self.node = node
        self.pre = pre
        self.forced = forced
        """The leader itself asked for this election, so voters need not defend it."""
        self.votes: dict[NodeId, bool | None] = dict.fromkeys(node.membership.voters)
        self.deadline = node.now + self._patience()

    def _patience(self) -> int:
        """How long to wait for an answer before all are asked again."""
        node = self.node
        if self.pre and node.down_leader != NOBODY:
            # Who refused may only have heard the dead leader a little later. The voters ask in
            # turns, and after the last of them it is this one's again.
            return len(self.votes) * node.config.down_stagger_ms
        half = node.config.election_ms // 2
        return half + node.chance(half)

    def begin(self) -> None:
        """Ask every voter."""
        node = self.node
        term = node.term + 1 if self.pre else node.term
        request = VoteRequest(term, node.log.last, self.pre, self.forced)
        for voter in self.votes:
            if voter == node.id:
                continue
            if self.pre:
                node.send(voter, request)
            else:
                node.send_with_state(voter, request)
        if self.pre:
            self._count(node.id, granted=True)

    def stored(self) -> None:
        """The own vote counts when it is durable, like everybody's."""
        own = self.votes.get(self.node.id, False)
        if not self.pre and own is None and self.node.state_is_durable():
            self._count(self.node.id, granted=True)

    def _count(self, voter: NodeId, *, granted: bool) -> None:
        if voter not in self.votes:
            return
        self.votes[voter] = granted
        match won(self.votes.values()):
            case True if self.pre and self.node.promotable:
                self.node.become_candidate(pre=False, forced=self.forced)
            case True if self.pre:
                self.node.become_follower(self.node.term)
            case True:
                self.node.become_leader()
            case False:
                self.node.become_follower(self.node.term)
            case None:
                pass

    def tick(self) -> None:
        """A split vote, or nobody there: ask again."""
        if self.node.now >= self.deadline:
            if not self.pre and not self.node.state_is_durable():
                # Nobody was asked yet: the requests wait for the disk, and so does the next term.
                self.deadline = self.node.now + 2 * self.node.config.heartbeat_ms
            elif self.node.promotable:
                self.node.become_candidate(pre=True)
            else:
                self.node.become_follower(self.node.term)

    def wake_at(self) -> int:
        """The next time something is due."""
        return self.deadline

    def excuse(self) -> None:
        """This node did not run for a while; answers may be waiting in its mail."""
        self.deadline = max(self.deadline, self.node.now + 2 * self.node.config.heartbeat_ms)

    def voted(self) -> None:
        """Another one's vote was asked for while this node had only asked for promises."""
        assert self.pre, "a candidate has voted for itself"
        self.node.become_follower(self.node.term)

    def read(self, request: int, *, lease: bool) -> None:
        """There is no leader to ask."""
        self.node.refuse_reads([request])

    def open_reads(self) -> list[int]:
        """A candidate refused them all."""
        return []

    def flush(self) -> None:
        """Nothing gathers in a candidate."""

    def step(self, source: NodeId, message: Message) -> None:
        """A message of this term, or the promise of a vote in the next."""
        node = self.node
        match message:
            case Append() | Heartbeat() | InstallSnapshot():
                node.become_follower(node.term, leader=source)
                node.role.step(source, message)
            case VoteReply():
                asked = node.term + 1 if self.pre and message.granted else node.term
                if message.pre == self.pre and message.term == asked:
                    self._count(source, granted=message.granted)
            case ReadIndexRequest():
                node.send(source, ReadIndexReply(node.term, message.round, index=0))
            case (
                AppendAccepted()
                | AppendRejected()
                | HeartbeatReply()
                | ReadIndexReply()
                | TimeoutNow()
            ):
                pass  # Meant for what this node was before.
            case VoteRequest() | Removed():
                raise AssertionError("the node answers these whatever its role")
            case _:
                assert_never(message)
