"""What a node wants from the world: the whole contract between the core and those who run it.

The caller loops: feed inputs, take `ready()`, and then, in this order,

1. send `messages`; they depend on nothing that isn't durable already;
2. hand `save` to the disk, and call `saved(number)` when it is durable. Saves are done in the
   order they were given. What must wait for it (acknowledgements, votes) comes out of a later
   `ready()`: the core holds it back by itself, and drops it if the term has moved on;
3. do `install`, and call `installed(snapshot)` when the state machine stands on it, durably;
4. apply `committed` in order, and call `applied(index)`;
5. answer `reads` as soon as their index is applied.

Nothing has to be finished before the next `ready()` is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from raftsql.raft.membership import Membership
from raftsql.raft.messages import (
    Entry,
    Envelope,
    HardState,
    NodeId,
    Position,
    SnapshotMeta,
)


@dataclass(frozen=True, slots=True)
class Save:
    """What must become durable together: in this order, with one sync at the end.

    With `reset` the journal starts anew after that position first. Entries replace any that the
    journal holds at or after the index of the first of them.
    """

    number: int
    state: HardState | None
    entries: Sequence[Entry]
    reset: Position | None


class ReadGranted(NamedTuple):
    """The read may be answered from any state that has applied `read_index` or more."""

    request: int
    read_index: int


@dataclass(slots=True)
class Ready:
    """Everything there is to do now."""

    messages: list[Envelope] = field(default_factory=list)
    save: Save | None = None
    install: SnapshotMeta | None = None
    committed: Sequence[Entry] = ()
    reads: list[ReadGranted] = field(default_factory=list)
    reads_refused: list[int] = field(default_factory=list)
    """No leader could vouch for these; ask again when there is one."""
    snapshots_wanted: list[NodeId] = field(default_factory=list)
    """The log no longer reaches back to what these nodes lack: ship them a snapshot, then say
    `snapshot_shipped` or `snapshot_failed`."""
    changed: RoleChange | None = None


class RoleName(StrEnum):
    """What a node is at the moment, as people read it."""

    LEADER = "leader"
    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEARNER = "learner"
    REMOVED = "removed"


class RoleChange(NamedTuple):
    """What the node has become since the last Ready, for the log and for waiting requests."""

    role: RoleName
    term: int
    leader: NodeId


class Proposed(NamedTuple):
    """Where proposals were put: if another term's entry commits there, they did not happen."""

    first: int
    term: int


class Why(StrEnum):
    """Why a call was refused."""

    NOT_LEADER = "not the leader"
    TRANSFERRING = "leadership is being handed over"
    OVERLOADED = "too much is waiting to be committed"
    CHANGE_PENDING = "another membership change is not committed yet"
    TERM_NOT_COMMITTED = "the leader has not committed an entry of its own term yet"
    NOT_A_VOTER = "the target is not a voter of this cluster"
    NO_LEADER = "no leader is known"


class Refused(Exception):
    """The core did not take the call; nothing has changed. `leader` is whom to ask, if known."""

    def __init__(self, why: Why, leader: NodeId) -> None:
        """Say why, and who would know better."""
        super().__init__(why.value)
        self.why = why
        self.leader = leader


class PeerStatus(NamedTuple):
    """How far a peer is, as its leader sees it."""

    match: int
    next_index: int
    flow: str
    heard_ms_ago: int


@dataclass(frozen=True, slots=True)
class Status:
    """A node's state, for people and for tests."""

    node: NodeId
    role: RoleName
    term: int
    vote: NodeId
    leader: NodeId
    base: Position
    last: Position
    stored: int
    committed: int
    applied: int
    membership: Membership
    lease_valid: bool
    transferring_to: NodeId
    peers: Mapping[NodeId, PeerStatus]
