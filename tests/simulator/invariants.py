"""What must be true after every step, whatever happened: the rules that make Raft right.

Each check costs little because it only looks at what is new. The word before the colon of a
violation names the rule, and the table of planted bugs shows which rule caught which.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from raftsql.raft.leader import Leader
from raftsql.raft.membership import Membership, decode
from raftsql.raft.messages import (
    AppendAccepted,
    Entry,
    EntryKind,
    Envelope,
    NodeId,
    Position,
    VoteReply,
    VoteRequest,
)
from raftsql.raft.quorum import majority
from raftsql.raft.ready import Save

if TYPE_CHECKING:
    from tests.simulator.process import Process


class Invariants:
    """What the whole cluster has shown so far."""

    def __init__(self, founding: Entry) -> None:
        self.processes: list[Process] = []
        self.leaders: dict[int, NodeId] = {}
        """Who led each term."""
        self.votes: dict[tuple[NodeId, int], NodeId] = {}
        """Whom each node said it voted for in each term."""
        self.committed: list[Entry] = []
        """The log of the cluster: entry i is at place i - 1, and never changes."""
        self.terms_committed = {1}
        self.entries: dict[tuple[int, int], tuple[Entry, int | None]] = {(1, 1): (founding, 0)}
        """Every entry ever appended, by index and term, and the term of the one before it."""
        first = decode(founding.payload)
        self.memberships: dict[tuple[int, int], tuple[int, Membership]] = {(1, 1): (1, first)}
        """The membership in force at each of them, and the index of its entry."""

    # What a node has done.

    def after_input(self, process: Process) -> None:
        """A node has taken one input: what it committed, it committed by this."""
        node = process.node
        if node is not None and node.log.committed > process.seen.committed:
            self._committed(process, process.seen.committed + 1, node.log.committed)
            process.seen.committed = node.log.committed

    def after_step(self, process: Process, envelopes: list[Envelope], save: Save | None) -> None:
        """A node has taken inputs and handed out work."""
        node = process.node
        assert node is not None
        log, seen, term = node.log, process.seen, node.term
        committed = log.committed
        if isinstance(node.role, Leader) and self.leaders.get(term) != process.id:
            self._elected(process)
        self.after_input(process)
        if save is not None:
            self._appended(process, save)
        assert log.base.index <= log.applied <= committed <= log.last.index, (
            f"pointers: base {log.base.index}, applied {log.applied}, committed {committed}, "
            f"last {log.last.index}"
        )
        assert log.applied <= log.stored <= log.last.index, (
            f"pointers: applied {log.applied}, stored {log.stored}, last {log.last.index}"
        )
        assert term >= seen.term, "monotonic: a term went back"
        assert committed >= seen.committed, "monotonic: the commit index went back"
        assert log.applied >= seen.applied, "monotonic: the applied index went back"
        assert term > seen.term or not seen.vote or node.vote == seen.vote, (
            f"monotonic: the vote of term {term} went from {seen.vote} to {node.vote}"
        )
        seen.term, seen.vote, seen.committed, seen.applied = term, node.vote, committed, log.applied
        for envelope in envelopes:
            self._said(process, envelope)

    def _appended(self, process: Process, save: Save) -> None:
        node, entries = process.node, save.entries
        assert node is not None
        if not entries:
            return
        before = node.log.term(entries[0].index - 1)
        for entry in entries:
            place = (entry.index, entry.term)
            known = self.entries.get(place)
            if known is None:
                self.entries[place] = (entry, before)
                self._new_entry(entry, before)
            else:
                same, known_before = known
                assert same is entry or same == entry, (
                    f"log matching: entry {entry.index} of term {entry.term} is two"
                )
                assert before is None or known_before is None or known_before == before, (
                    f"log matching: before entry {entry.index} of term {entry.term} come an entry "
                    f"of term {known_before} and one of term {before}"
                )
            before = entry.term
        index, in_force = self.memberships[entries[-1].index, entries[-1].term]
        assert node.membership == in_force, (
            f"membership: {process.id} does not have the one of entry {index} in its log in force"
        )

    def _new_entry(self, entry: Entry, before: int | None) -> None:
        """A leader has appended an entry; a membership only when the one before is settled."""
        assert before is not None, "a leader's log is all there"
        index, membership = self.memberships[entry.index - 1, before]
        if entry.kind is EntryKind.MEMBERSHIP:
            assert index <= len(self.committed), (
                f"membership: {entry.index} changes it while {index} is not committed"
            )
            assert entry.term in self.terms_committed, (
                f"membership: changed at {entry.index} before term {entry.term} committed anything"
            )
            after = decode(entry.payload)
            parted = set(membership.voters) ^ set(after.voters)
            assert len(parted) <= 1, f"membership: {sorted(parted)} change at once"
            index, membership = entry.index, after
        self.memberships[entry.index, entry.term] = (index, membership)

    def _elected(self, process: Process) -> None:
        node = process.node
        assert node is not None
        other = self.leaders.setdefault(node.term, process.id)
        assert other == process.id, (
            f"one leader a term: {other} and {process.id} both lead term {node.term}"
        )
        if self.committed:
            newest = self.committed[-1]
            assert node.log.last.index >= newest.index, (
                f"leader completeness: {process.id} leads term {node.term} without committed "
                f"entry {newest.index}"
            )
            self._check_holds(process, newest)
        self._check_leases(process, node.term)

    def _check_leases(self, process: Process, term: int) -> None:
        """Nobody else may answer from a lease while this one leads."""
        for rival in self.processes:
            if rival.leads and rival is not process and rival.holds_lease():
                assert rival.node is not None
                assert rival.node.term > term, (
                    f"lease: {process.id} leads term {term} while {rival.id} holds a lease"
                )

    def _check_holds(self, process: Process, entry: Entry) -> None:
        node = process.node
        assert node is not None
        term = node.log.term(entry.index)
        assert term == entry.term or entry.index < node.log.base.index, (
            f"leader completeness: {process.id}, leading term {node.term}, has term {term} at "
            f"committed entry {entry.index} of term {entry.term}"
        )

    def _committed(self, process: Process, first: int, last: int) -> None:
        node = process.node
        assert node is not None
        log, known = node.log, self.committed
        first = max(first, log.base.index + 1)
        while first <= last and first <= len(known):
            assert log.term(first) == known[first - 1].term, (
                f"committed never changes: {process.id} commits term {log.term(first)} at {first}, "
                f"where term {known[first - 1].term} was committed"
            )
            first += 1
        if first > last:
            return
        while first <= last:
            found = log.slice(first, last, bytes_max=1 << 62, entries_max=1 << 62)
            known += found
            self.terms_committed.update(entry.term for entry in found)
            assert known[-1].index == len(known), "applied: a committed entry was never seen"
            first = len(known) + 1
        if process.leads:
            assert known[-1].term == node.term, (
                f"commit rule: {process.id}, leading term {node.term}, commits {len(known)} of "
                f"term {known[-1].term} by counting"
            )
            self._check_leases(process, node.term)
        self._check_quorum(process, known[-1])
        for other in self.processes:
            leader = other.node
            if leader is not None and leader.term > node.term and isinstance(leader.role, Leader):
                self._check_holds(other, known[-1])

    def _check_quorum(self, process: Process, entry: Entry) -> None:
        """A newly committed entry is durable on a majority of the voters of that moment."""
        node = process.node
        assert node is not None
        voters = node.membership.voters
        place = Position(entry.index, entry.term)
        durable = [p.id for p in self.processes if p.id in voters and p.has_durably(place)]
        assert len(durable) >= majority(len(voters)), (
            f"quorum: entry {entry.index} of term {entry.term} is committed by {process.id}, but "
            f"durable on {durable} only, of voters {voters}"
        )

    def _said(self, process: Process, envelope: Envelope) -> None:
        """A message leaves: what it says must be durable."""
        match envelope.message:
            case AppendAccepted(term, match):
                node = process.node
                assert node is not None
                told = node.log.term(match)
                assert told is None or process.has_durably(Position(match, told)), (
                    f"durable: {process.id} acknowledges {match} in term {term} before its disk"
                )
            case VoteReply(term, granted=True, pre=False):
                self._voted(process, term, envelope.target)
            case VoteRequest(term, pre=False, forced=forced):
                self._voted(process, term, process.id)
                if not forced:
                    process.check_campaign(term)
            case _:
                pass

    def _voted(self, process: Process, term: int, candidate: NodeId) -> None:
        before = self.votes.setdefault((process.id, term), candidate)
        assert before == candidate, (
            f"one vote a term: {process.id} votes for {before} and {candidate} in term {term}"
        )
        durable = process.disk.state
        assert durable.term > term or (durable.term, durable.vote) == (term, candidate), (
            f"durable: {process.id} votes for {candidate} in term {term} before its disk"
        )

    def lost(self, entries: Sequence[Entry]) -> None:
        """A disk lets go of durable entries."""
        for entry in entries:
            committed = entry.index <= len(self.committed) and self.committed[entry.index - 1]
            assert committed is not entry, (
                f"durable: committed entry {entry.index} is taken back from a disk"
            )

    def applied(self, entry: Entry) -> None:
        """A state machine applies an entry."""
        known = self.committed[entry.index - 1] if entry.index <= len(self.committed) else None
        assert known is not None, f"applied: entry {entry.index} is not committed"
        assert known is entry or known == entry, (
            f"applied: entry {entry.index} is not the one that was committed"
        )
