"""How scripts spell messages, entries, changes and choices of messages."""

from __future__ import annotations

from raftsql.raft import membership as ms
from raftsql.raft.messages import (
    Append,
    AppendAccepted,
    AppendRejected,
    Entry,
    EntryKind,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Message,
    NodeId,
    Position,
    ReadIndexReply,
    ReadIndexRequest,
    Removed,
    SnapshotMeta,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from tests.raft.harness import voters
from tests.raft.wire import Pattern

Options = dict[str, str]


def ids(text: str) -> list[NodeId]:
    """Numbers with commas."""
    return [int(word) for word in text.split(",") if word]


def pattern(options: Options) -> Pattern:
    """Which messages are meant."""
    return Pattern(
        frozenset(ids(options.get("from", ""))),
        frozenset(ids(options.get("to", ""))),
        frozenset(word for word in options.get("kind", "").split(",") if word),
    )


def position(text: str) -> Position:
    """A place in the log, index@term."""
    index, term = text.split("@")
    return Position(int(index), int(term))


def entries(text: str) -> list[Entry]:
    """Commands at these places."""
    places = [position(word) for word in text.split(",") if word not in ("", "-")]
    return [
        Entry(at.term, at.index, EntryKind.COMMAND, f"{at.index}@{at.term}".encode())
        for at in places
    ]


def made_message(kind: str, options: Options, flags: list[str]) -> Message:
    """The message that a script spells out."""

    def number(name: str) -> int:
        return int(options.get(name, 0))

    term, probe = number("term"), number("probe")
    at = {name: position(options.get(name, "0@0")) for name in ("last", "hint")}
    match kind:
        case "Append":
            prev = position(options.get("prev", "0@0"))
            return Append(term, prev, entries(options.get("entries", "")), number("commit"), probe)
        case "AppendAccepted":
            return AppendAccepted(term, number("match"), probe)
        case "AppendRejected":
            return AppendRejected(term, number("prev"), at["hint"], probe)
        case "Heartbeat":
            return Heartbeat(term, number("commit"), probe)
        case "HeartbeatReply":
            return HeartbeatReply(term, probe)
        case "VoteRequest":
            return VoteRequest(term, at["last"], "pre" in flags, "forced" in flags)
        case "VoteReply":
            return VoteReply(term, "granted" in flags, "pre" in flags)
        case "InstallSnapshot":
            members = voters(*ids(options.get("voters", "1,2,3")))
            return InstallSnapshot(term, SnapshotMeta(at["last"], members.encode()))
        case "TimeoutNow":
            return TimeoutNow(term)
        case "ReadIndexRequest":
            return ReadIndexRequest(term, number("round"), "lease" in flags)
        case "ReadIndexReply":
            return ReadIndexReply(term, number("round"), number("index"))
        case "Removed":
            return Removed(term)
        case _:
            raise AssertionError(f"no message is called {kind}")


def change(kind: str, node: NodeId, options: Options, *, manual: bool) -> ms.Change:
    """A membership change."""
    address = options.get("address", f"n{node}:1")
    priority = int(options.get("priority", 0))
    match kind:
        case "add":
            identity = options.get("identity", f"d{node}")
            return ms.AddMember(node, address, identity, not manual, priority)
        case "promote":
            return ms.PromoteMember(node)
        case "demote":
            return ms.DemoteMember(node)
        case "remove":
            return ms.RemoveMember(node)
        case "update":
            return ms.UpdateMember(node, address, priority)
        case _:
            raise AssertionError(f"no membership change is called {kind}")
