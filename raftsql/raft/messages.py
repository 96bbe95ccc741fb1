"""What Raft nodes say to each other, as plain values.

Every kind of message is a class of its own that holds only the fields it needs, and `Message` is
the closed union of them: a `match` over it that forgets a kind is a type error. An `Envelope`
says between whom and in which cluster. Nothing here knows how a message travels; the edge that
carries it turns these into bytes and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

NodeId = int
"""A node's number in its cluster: positive, bound to one data directory, never used again."""

NOBODY: NodeId = 0
"""Stands for "no node": no leader known, no vote cast."""


class EntryKind(IntEnum):
    """What an entry's payload is, as far as consensus must know."""

    NOOP = 0
    """Says nothing; a new leader appends one so that older entries can commit (Raft 5.4.2)."""
    COMMAND = 1
    """Bytes for the state machine, opaque here."""
    MEMBERSHIP = 2
    """An encoded Membership, in force from the moment it is appended (thesis 4.1)."""


@dataclass(slots=True)
class Entry:
    """One place in the log. Treated as frozen; not declared so because that costs 0.4 µs each."""

    term: int
    index: int
    kind: EntryKind
    payload: bytes


@dataclass(frozen=True, slots=True)
class HardState:
    """What a node must never forget: persisted together, before anything that depends on it."""

    term: int
    vote: NodeId


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the log and the term of the entry there; (0, 0) is before the first entry."""

    index: int
    term: int


ORIGIN = Position(index=0, term=0)


@dataclass(frozen=True, slots=True)
class SnapshotMeta:
    """What a snapshot stands for: everything up to `last`, and the membership in force there."""

    last: Position
    membership: bytes


@dataclass(frozen=True, slots=True)
class Append:
    """Entries that follow `prev` (Raft 5.3); an empty one is a probe for the place of `prev`."""

    term: int
    prev: Position
    entries: Sequence[Entry]
    commit: int
    probe: int


@dataclass(frozen=True, slots=True)
class AppendAccepted:
    """The follower's log agrees with the leader's up to `match`, durably."""

    term: int
    match: int
    probe: int


@dataclass(frozen=True, slots=True)
class AppendRejected:
    """The follower has no entry at `prev_index` of the leader's term; look at or below `hint`."""

    term: int
    prev_index: int
    hint: Position
    probe: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The leader lives. `commit` never exceeds what this follower is known to hold."""

    term: int
    commit: int
    probe: int


@dataclass(frozen=True, slots=True)
class HeartbeatReply:
    """The follower heard probe number `probe`, and knows no higher term."""

    term: int
    probe: int


@dataclass(frozen=True, slots=True)
class VoteRequest:
    """Asks for a vote; `pre` only asks whether one would be given (thesis 9.6).

    `term` is the term the candidate would lead. `forced` is set when the leader itself asked for
    the election (leadership transfer), so that voters do not defend it.
    """

    term: int
    last: Position
    pre: bool
    forced: bool


@dataclass(frozen=True, slots=True)
class VoteReply:
    """An answer to a VoteRequest. A refusal carries the voter's own term."""

    term: int
    granted: bool
    pre: bool


@dataclass(frozen=True, slots=True)
class InstallSnapshot:
    """A whole snapshot, received and verified beside the live state, is ready to take its place."""

    term: int
    snapshot: SnapshotMeta


@dataclass(frozen=True, slots=True)
class TimeoutNow:
    """The leader hands over: campaign at once (thesis 3.10)."""

    term: int


@dataclass(frozen=True, slots=True)
class ReadIndexRequest:
    """A follower asks up to where it must have applied to serve reads; `round` names the asking.

    With `lease` set the leader may answer from its lease, without asking a quorum.
    """

    term: int
    round: int
    lease: bool


@dataclass(frozen=True, slots=True)
class ReadIndexReply:
    """Reads of asking `round` may be served once `index` is applied; 0 when they may not."""

    term: int
    round: int
    index: int


@dataclass(frozen=True, slots=True)
class Removed:
    """Tells a node that the cluster has removed it; its id will never be accepted again."""

    term: int


Message = (
    Append
    | AppendAccepted
    | Heartbeat
    | HeartbeatReply
    | ReadIndexRequest
    | ReadIndexReply
    | AppendRejected
    | VoteRequest
    | VoteReply
    | InstallSnapshot
    | TimeoutNow
    | Removed
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message on its way from one node of a cluster to another."""

    cluster: int
    source: NodeId
    target: NodeId
    message: Message
