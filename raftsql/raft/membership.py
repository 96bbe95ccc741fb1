"""Who belongs to the cluster, and how that may change: one server at a time (thesis 4.1).

A Membership is a value; a change makes a new one, or is refused with the reason. It is in force
on a node from the moment its entry is in that node's log, committed or not, and is taken back when
the entry is truncated: `History` remembers just enough for that.

New members start as learners: they receive everything and count for nothing. The ids of removed
members are remembered for ever, so that none is used twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import assert_never

import msgspec

from raftsql.raft.messages import Entry, EntryKind, NodeId


class Member(msgspec.Struct, frozen=True, array_like=True):
    """What the cluster knows of one of its nodes."""

    address: str
    """Where its one port is, as host:port."""
    identity: str
    """Names its data directory: another directory under the same id is another node."""
    voter: bool = True
    promote: bool = True
    """A learner becomes a voter by itself when it has caught up."""
    priority: int = 0
    """The leader hands over to a member of higher priority that has caught up."""


class Membership(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """The members by id, and the ids that were members once. (`dict` lets what is derived stay.)"""

    members: dict[NodeId, Member] = {}
    removed: tuple[NodeId, ...] = ()

    @cached_property
    def voters(self) -> list[NodeId]:
        """Those whose votes and acknowledgements count, in order of id."""
        return sorted(node for node, member in self.members.items() if member.voter)

    @cached_property
    def learners(self) -> list[NodeId]:
        """Those who only listen, in order of id."""
        return sorted(node for node, member in self.members.items() if not member.voter)

    def is_voter(self, node: NodeId) -> bool:
        """Whether the node's vote counts."""
        member = self.members.get(node)
        return member is not None and member.voter

    def encode(self) -> bytes:
        """As a log entry and a snapshot hold it; equal memberships have equal bytes."""
        members = dict(sorted(self.members.items()))
        return _encode(Membership(members, tuple(sorted(self.removed))))


_encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Membership).decode


def first_membership_entry(membership: Membership) -> Entry:
    """The entry that every founding member's log starts with."""
    return Entry(term=1, index=1, kind=EntryKind.MEMBERSHIP, payload=membership.encode())


class AddMember(msgspec.Struct, frozen=True, tag=True):
    """A new node listens; with `promote` it becomes a voter when it has caught up."""

    node: NodeId
    address: str
    identity: str
    promote: bool = True
    priority: int = 0


class PromoteMember(msgspec.Struct, frozen=True, tag=True):
    """A learner's vote counts from now on."""

    node: NodeId


class DemoteMember(msgspec.Struct, frozen=True, tag=True):
    """A voter only listens from now on."""

    node: NodeId


class RemoveMember(msgspec.Struct, frozen=True, tag=True):
    """A node leaves for good; its id is never accepted again."""

    node: NodeId


class UpdateMember(msgspec.Struct, frozen=True, tag=True):
    """A node has a new address or priority."""

    node: NodeId
    address: str
    priority: int = 0


Change = AddMember | PromoteMember | DemoteMember | RemoveMember | UpdateMember


class ChangeRefused(Exception):
    """The membership can't change so; the message says why."""


def changed(membership: Membership, change: Change) -> Membership:
    """The membership after the change, or ChangeRefused."""
    members = dict(membership.members)
    node = change.node
    if isinstance(change, AddMember):
        _check_new(membership, change)
        members[node] = Member(
            change.address, change.identity, voter=False,
            promote=change.promote, priority=change.priority,
        )  # fmt: skip
        return Membership(members, membership.removed)
    member = members.get(node)
    if member is None:
        raise ChangeRefused(f"node {node} is not a member")
    match change:
        case PromoteMember():
            if member.voter:
                raise ChangeRefused(f"node {node} is a voter already")
            members[node] = msgspec.structs.replace(member, voter=True)
        case DemoteMember():
            _check_leaves_a_voter(membership, node)
            members[node] = msgspec.structs.replace(member, voter=False, promote=False)
        case RemoveMember():
            _check_leaves_a_voter(membership, node)
            del members[node]
            return Membership(members, (*membership.removed, node))
        case UpdateMember():
            members[node] = msgspec.structs.replace(
                member, address=change.address, priority=change.priority
            )
        case _:
            assert_never(change)
    return Membership(members, membership.removed)


def _check_new(membership: Membership, change: AddMember) -> None:
    if change.node <= 0:
        raise ChangeRefused("a node id is a positive number")
    if change.node in membership.removed:
        raise ChangeRefused(
            f"node {change.node} was removed from this cluster and its id can't be used again: "
            "join with a new id"
        )
    known = membership.members.get(change.node)
    if known is not None and known.identity != change.identity:
        raise ChangeRefused(
            f"node {change.node} is a member with another data directory: remove it first, "
            "then join with a new id"
        )
    if known is not None:
        raise ChangeRefused(f"node {change.node} is a member already")
    for node, member in membership.members.items():
        if member.identity == change.identity:
            raise ChangeRefused(f"this data directory is member {node} already")


def _check_leaves_a_voter(membership: Membership, node: NodeId) -> None:
    if membership.voters == [node]:
        raise ChangeRefused(f"node {node} is the last voter: make another one a voter first")


class History:
    """The memberships in force along the log: the applied one, and those of later entries."""

    __slots__ = ("_steps",)

    def __init__(self, index: int, membership: Membership) -> None:
        """Start from the membership in force at `index`, which can't be truncated any more."""
        self._steps: list[tuple[int, Membership]] = [(index, membership)]

    @property
    def current(self) -> Membership:
        """The membership in force: of the newest entry that is one."""
        return self._steps[-1][1]

    @property
    def index(self) -> int:
        """Where the current one came into force."""
        return self._steps[-1][0]

    def at(self, index: int) -> Membership:
        """The membership that was in force at `index`, which is not before the oldest known."""
        newest, membership = self._steps[-1]
        if newest <= index:
            return membership
        return next(kept for start, kept in reversed(self._steps) if start <= index)

    def since(self, index: int) -> list[Membership]:
        """The membership in force at `index`, and those that came after it."""
        first = max(place for place, step in enumerate(self._steps) if step[0] <= index)
        return [membership for _, membership in self._steps[first:]]

    def append(self, entries: Sequence[Entry]) -> None:
        """Take note of the membership entries among those just appended."""
        for entry in entries:
            if entry.kind is EntryKind.MEMBERSHIP:
                self._steps.append((entry.index, decode(entry.payload)))

    def truncate(self, first: int) -> None:
        """Take back what entries at or after `first` had changed."""
        while self._steps[-1][0] >= first:
            assert len(self._steps) > 1, "a membership that is committed can't be taken back"
            del self._steps[-1]

    def settle(self, index: int) -> None:
        """Entries up to `index` are committed: older memberships will not be needed again."""
        while len(self._steps) > 1 and self._steps[1][0] <= index:
            del self._steps[0]

    def reset(self, index: int, membership: Membership) -> None:
        """Start anew from a snapshot's membership."""
        self._steps = [(index, membership)]
