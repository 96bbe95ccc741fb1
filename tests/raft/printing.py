"""Nodes and messages as a script shows them: facts of the protocol, one line each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from raftsql.raft.log import Log
from raftsql.raft.messages import (
    Append,
    AppendAccepted,
    AppendRejected,
    Entry,
    Envelope,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Message,
    ReadIndexReply,
    ReadIndexRequest,
    Removed,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from raftsql.raft.progress import Replicating
from tests.raft.replica import Replica, show

LOG_SHOWN_MAX = 12
"""Of a longer log only the first and last entry of each term are shown."""


def shown_log(log: Log) -> str:
    """Every entry as index@term, after the base in brackets if something was compacted."""
    base = [f"({show(log.base)})"] if log.base.index else []
    places = [log.position(i) for i in range(log.base.index + 1, log.last.index + 1)]
    if len(places) <= LOG_SHOWN_MAX:
        return " ".join(base + [show(place) for place in places]) or "-"
    runs = [list(run) for _, run in groupby(places, key=lambda place: place.term)]
    return " ".join(base + [f"{show(run[0])}..{show(run[-1])}" for run in runs])


def shown_entries(entries: Sequence[Entry]) -> str:
    """The first and the last of them."""
    if not entries:
        return "-"
    first, last = entries[0], entries[-1]
    short = f"{first.index}@{first.term}"
    return short if first is last else f"{short}..{last.index}@{last.term}"


def status(replica: Replica) -> Iterable[str]:
    """Term, vote, role, leader, commit, applied, log: one line a node."""
    if replica.node is None:
        disk = replica.disk
        yield f"n{replica.id} down: term={disk.state.term} vote={disk.state.vote} last={disk.last}"
        return
    s = replica.status
    parts = [f"n{s.node} {s.role} term={s.term} vote={s.vote} leader={s.leader}"]
    parts.append(f"commit={s.committed} applied={s.applied}")
    if s.stored != s.last.index:
        parts.append(f"stored={s.stored}")
    parts.append(f"log={shown_log(replica.running.log)}")
    if s.transferring_to:
        parts.append(f"transferring_to={s.transferring_to}")
    yield " ".join(parts)


def progress(replica: Replica) -> Iterable[str]:
    """What a leader knows of each peer."""
    role = replica.running.role
    for peer, it in sorted(getattr(role, "progress", {}).items()):
        flow = type(it.flow).__name__.lower()
        window = f" inflight={len(it.flow.inflight)}" if isinstance(it.flow, Replicating) else ""
        yield f"n{replica.id} sees {peer}: match={it.match} next={it.next_index} {flow}{window}"


def members(replica: Replica) -> str:
    """Who belongs to the cluster, as this node's log says."""
    it = replica.running.membership
    parts = [f"n{replica.id} voters={_ids(it.voters)}"]
    if it.learners:
        parts.append(f"learners={_ids(it.learners)}")
    if it.removed:
        parts.append(f"removed={_ids(it.removed)}")
    for node, member in sorted(it.members.items()):
        if member.address != f"n{node}:1":
            parts.append(f"{node} at {member.address}")
    return " ".join(parts)


def _ids(nodes: Iterable[int]) -> str:
    return ",".join(map(str, nodes)) or "-"


def envelope(it: Envelope, *, probes: bool) -> str:
    """A message on its way. Probe numbers are left out where they are not the point."""
    words = [f"{it.source} -> {it.target}", type(it.message).__name__, *_fields(it.message)]
    words.insert(2, f"term={it.message.term}")
    if probes and hasattr(it.message, "probe"):
        words.append(f"probe={it.message.probe}")
    return " ".join(words)


def _fields(message: Message) -> list[str]:
    match message:
        case Append(_, prev, entries, commit):
            return [f"prev={show(prev)}", f"entries={shown_entries(entries)}", f"commit={commit}"]
        case AppendAccepted(_, match):
            return [f"match={match}"]
        case AppendRejected(_, prev_index, hint):
            return [f"prev={prev_index}", f"hint={show(hint)}"]
        case Heartbeat(_, commit):
            return [f"commit={commit}"]
        case VoteRequest(_, last, pre, forced):
            return [f"last={show(last)}", *_flags(pre=pre, forced=forced)]
        case VoteReply(_, granted, pre):
            return ["granted" if granted else "refused", *_flags(pre=pre)]
        case InstallSnapshot(_, snapshot):
            return [f"last={show(snapshot.last)}"]
        case ReadIndexRequest(_, round_, lease):
            return [f"round={round_}", *_flags(lease=lease)]
        case ReadIndexReply(_, round_, index):
            return [f"round={round_}", f"index={index}"]
        case HeartbeatReply() | TimeoutNow() | Removed():
            return []


def _flags(**flags: bool) -> list[str]:
    return [name for name, value in flags.items() if value]
