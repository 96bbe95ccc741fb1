"""Envelopes of one stream as bytes, and back: what leaves together is one PeerBatch.

Who speaks to whom, and in which cluster, is said once, when a stream opens; a message does not
repeat it. The payloads of entries are handed on as they are. Entries go as runs that share term and
kind, so that a thousand of them cost one loop and two calls, and the bytes made for one follower
are used again for the next.

A batch carries a checksum of its bytes. What an acknowledgement stands for must not be what a
cable, a driver or a proxy made of an entry: the journal's own checksums would only keep it so.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import count, repeat
from typing import Any, assert_never

import msgspec
from crc32c import crc32c
from google.protobuf.message import DecodeError

from raftsql.raft.messages import (
    Append,
    AppendAccepted,
    AppendRejected,
    Entry,
    EntryKind,
    Envelope,
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
from raftsql_proto import peers_pb2 as wire

RANGES_MAX = 8
"""Encoded ranges of entries that are kept: followers that are level need the newest one or two."""
RANGES_BYTES_MAX = 8 << 20
"""And their bytes; a range that is larger than all of this is not kept at all."""

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[tuple[int, int, list[bytes]]]).decode


class Undecodable(Exception):
    """These bytes are not what a peer of this release sends; the stream they came on must end."""


_CHECK_TAG = b"\x1d"
"""Protobuf's tag of PeerBatch.check: field 3, four bytes."""
_CHECK_BYTES = 5


def joined(batches: Iterable[bytes]) -> bytes:
    """One batch of several, with its checksum."""
    data = b"".join(batches)
    return data + _CHECK_TAG + crc32c(data).to_bytes(4, "little")


class Encoder:
    """Makes the bytes of messages, and remembers those of the newest ranges of entries."""

    def __init__(self) -> None:
        """Nothing is remembered."""
        self._ranges: OrderedDict[tuple[int, int, int], bytes] = OrderedDict()
        self._ranges_bytes = 0

    def encode(self, message: Message) -> bytes:
        """A PeerBatch of one message; `joined` with others it is a batch of them all."""
        batch = wire.PeerBatch()
        self._fill(batch.messages.add(), message)
        return batch.SerializeToString()

    def _fill(self, target: wire.PeerMessage, message: Message) -> None:
        target.term = message.term
        match message:
            case Append():
                self._fill_append(target.append, message)
            case AppendAccepted():
                accepted = target.append_accepted
                accepted.match, accepted.probe = message.match, message.probe
            case Heartbeat():
                target.heartbeat.commit = message.commit
                target.heartbeat.probe = message.probe
            case HeartbeatReply():
                target.heartbeat_reply.probe = message.probe
            case _:
                _fill_rare(target, message)

    def _fill_append(self, target: wire.Append, message: Append) -> None:
        target.prev_index = message.prev.index
        target.prev_term = message.prev.term
        target.commit = message.commit
        target.probe = message.probe
        if message.entries:
            target.entries = self._range(message.entries)

    def _range(self, entries: Sequence[Entry]) -> bytes:
        """The entries' bytes.

        Two logs of a cluster that hold an entry of the same index and term are equal up to it
        (Raft 5.3): where a range begins, and the index and term of its last entry, name its
        contents for ever. An entry that replaces another has another term.
        """
        last = entries[-1]
        key = (entries[0].index, last.index, last.term)
        known = self._ranges.get(key)
        if known is None:
            known = encode_entries(entries)
            self._remember(key, known)
        return known

    def _remember(self, key: tuple[int, int, int], encoded: bytes) -> None:
        if len(encoded) > RANGES_BYTES_MAX:
            return
        self._ranges[key] = encoded
        self._ranges_bytes += len(encoded)
        while len(self._ranges) > RANGES_MAX or self._ranges_bytes > RANGES_BYTES_MAX:
            self._ranges_bytes -= len(self._ranges.popitem(last=False)[1])


def _fill_rare(target: wire.PeerMessage, message: Message) -> None:
    """The messages that are seldom sent."""
    match message:
        case ReadIndexRequest():
            asked = target.read_index_request
            asked.round, asked.lease = message.round, message.lease
        case ReadIndexReply():
            told = target.read_index_reply
            told.round, told.index = message.round, message.index
        case AppendRejected():
            rejected = target.append_rejected
            rejected.prev_index = message.prev_index
            rejected.hint_index, rejected.hint_term = message.hint.index, message.hint.term
            rejected.probe = message.probe
        case VoteRequest():
            request = target.vote_request
            request.last_index, request.last_term = message.last.index, message.last.term
            request.pre, request.forced = message.pre, message.forced
        case VoteReply():
            reply = target.vote_reply
            reply.granted, reply.pre = message.granted, message.pre
        case TimeoutNow():
            target.timeout_now.SetInParent()
        case Removed():
            target.removed.SetInParent()
        case InstallSnapshot():
            raise AssertionError("a snapshot is shipped on a stream of its own")
        case Append() | AppendAccepted() | Heartbeat() | HeartbeatReply():
            raise AssertionError("a frequent message was taken for a rare one")
        case _:
            assert_never(message)


def encode_entries(entries: Sequence[Entry]) -> bytes:
    """The runs of equal term and kind, each [term, kind, [payload, ...]]."""
    runs: list[tuple[int, int, list[bytes]]] = []
    term, kind = -1, -1
    payloads: list[bytes] = []
    for entry in entries:
        if entry.term != term or entry.kind != kind:
            term, kind, payloads = entry.term, int(entry.kind), []
            runs.append((term, kind, payloads))
        payloads.append(entry.payload)
    return _pack(runs)


def decode(data: bytes, *, cluster: int, source: NodeId, target: NodeId) -> list[Envelope]:
    """The envelopes of a PeerBatch, or Undecodable."""
    checked = memoryview(data)[:-_CHECK_BYTES]
    try:
        batch = wire.PeerBatch.FromString(data)
        if data[-_CHECK_BYTES:-4] != _CHECK_TAG or batch.check != crc32c(checked):
            raise Undecodable("the batch is damaged: its checksum is of other bytes")
        return [Envelope(cluster, source, target, _message(message)) for message in batch.messages]
    except (DecodeError, msgspec.MsgspecError) as error:
        raise Undecodable(f"the batch is damaged: {error}") from error


def decode_entries(data: bytes, first: int) -> list[Entry]:
    """The entries of runs, the first of which has the index `first`."""
    entries: list[Entry] = []
    for term, number, payloads in _unpack(data):
        try:
            kind = EntryKind(number)
        except ValueError as error:
            raise Undecodable(
                f"the log of the sender holds an entry of kind {number}, which this release does"
                " not know: upgrade this node"
            ) from error
        indexes = count(first + len(entries))
        entries.extend(map(Entry, repeat(term), indexes, repeat(kind), payloads))
    return entries


def _message(message: wire.PeerMessage) -> Message:
    kind = message.WhichOneof("kind")
    if kind is None:
        raise Undecodable(
            "a message of a kind that this release does not know has come: upgrade this node"
        )
    return _MAKERS[kind](message.term, getattr(message, kind))


def _append(term: int, body: wire.Append) -> Append:
    prev = Position(body.prev_index, body.prev_term)
    data = body.entries
    entries = decode_entries(data, prev.index + 1) if data else ()
    return Append(term, prev, entries, body.commit, body.probe)


def _append_rejected(term: int, body: wire.AppendRejected) -> AppendRejected:
    hint = Position(body.hint_index, body.hint_term)
    return AppendRejected(term, body.prev_index, hint, body.probe)


def _vote_request(term: int, body: wire.VoteRequest) -> VoteRequest:
    last = Position(body.last_index, body.last_term)
    return VoteRequest(term, last, body.pre, body.forced)


_MAKERS: dict[str, Callable[[int, Any], Message]] = {
    "append": _append,
    "append_accepted": lambda term, body: AppendAccepted(term, body.match, body.probe),
    "append_rejected": _append_rejected,
    "heartbeat": lambda term, body: Heartbeat(term, body.commit, body.probe),
    "heartbeat_reply": lambda term, body: HeartbeatReply(term, body.probe),
    "vote_request": _vote_request,
    "vote_reply": lambda term, body: VoteReply(term, body.granted, body.pre),
    "timeout_now": lambda term, _: TimeoutNow(term),
    "read_index_request": lambda term, body: ReadIndexRequest(term, body.round, body.lease),
    "read_index_reply": lambda term, body: ReadIndexReply(term, body.round, body.index),
    "removed": lambda term, _: Removed(term),
}
