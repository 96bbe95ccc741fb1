"""A batch: what one `save` writes, in one piece, and the unit that recovery keeps or cuts.

    header, 96 bytes, at an offset that is a multiple of 128:
        magic | header crc | batch number | body bytes | body crc | entry count | 0
        term | vote | base index | base term | prev index | prev term | first term | last term
    body:
        a record for each entry:  length | crc | term | index | kind | payload
        END, four bytes that are not zero

Every batch tells the journal's whole state: term and vote, the base, and `prev`, the position
after which its entries stand. So a term is durable no later than its entries, a conflicting
suffix is truncated and a prefix forgotten by the batch that says so, and any number of old
segments can be dropped without copying anything.

The header's checksum starts from the segment's number and the header's offset, so bytes that were
written for another place are never taken for a batch. A header lies within one sector: a torn
write leaves all of it or nothing but zeros (docs/decisions/0010-torn-or-damaged.md).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from crc32c import crc32c

from raftsql.raft.messages import Entry, EntryKind, HardState, Position

MAGIC = 0xF1A5B10C
"""Starts a header. Greater than any record's length, which stands at the same place."""

END = 0xFFFFFFFF
"""Ends a body: no zero byte, so that a write that stopped early is seen to have done so."""

ALIGNMENT = 128
"""Headers start at multiples of this, and so never cross from one 512-byte sector to the next."""

BODY_BYTES_MAX = 1 << 30
"""A body is shorter: its length has 32 bits, and no record's may look like MAGIC or END."""

HEADER = struct.Struct("<IIQIIIIQQQQQQQQ")
RECORD = struct.Struct("<IIQQB")
END_MARK = struct.pack("<I", END)
_LEAD = struct.Struct("<II")
_CHECKED = struct.Struct("<QQB")
_CHECKED_BYTES = _CHECKED.size
UNCHECKED_BYTES = _LEAD.size
"""A record's length and checksum; the checksum covers what follows them."""

_PLACE = struct.Struct("<QQ")
KINDS = tuple(EntryKind)
"""The kinds by their numbers; looking one up here costs a tenth of `EntryKind(number)`."""


@dataclass(slots=True)
class Batch:
    """A header, as read or written. Treated as frozen; not declared so because that costs time."""

    number: int
    state: HardState
    base: Position
    prev: Position
    count: int
    first_term: int
    last_term: int
    body_bytes: int
    body_crc: int
    offset: int

    @property
    def body_offset(self) -> int:
        """Where the first record starts."""
        return self.offset + HEADER.size

    @property
    def end(self) -> int:
        """Just after the last byte written."""
        return self.offset + HEADER.size + self.body_bytes

    @property
    def last(self) -> Position:
        """The last position of the log, once this batch is part of it."""
        if self.count == 0:
            return self.prev
        return Position(self.prev.index + self.count, self.last_term)


def aligned(offset: int) -> int:
    """The first place for a header at or after `offset`."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


def encode_body(entries: Sequence[Entry], first_index: int) -> bytes:
    """The records of `entries`, whose first must be `first_index`, and the end mark."""
    pieces: list[bytes] = []
    checked_pack, lead_pack, append = _CHECKED.pack, _LEAD.pack, pieces.append
    index = first_index
    for entry in entries:
        assert entry.index == index, f"entry {entry.index} saved in the place of {index}"
        # One copy and one call are cheaper than a second call.
        checked = checked_pack(entry.term, index, entry.kind) + entry.payload
        append(lead_pack(len(checked) - _CHECKED_BYTES, crc32c(checked)))
        append(checked)
        index += 1
    append(END_MARK)
    return b"".join(pieces)


def encode_header(batch: Batch, segment: int) -> bytes:
    """The header's bytes, sealed for its place in `segment`."""
    data = HEADER.pack(
        MAGIC,
        0,
        batch.number,
        batch.body_bytes,
        batch.body_crc,
        batch.count,
        0,
        batch.state.term,
        batch.state.vote,
        batch.base.index,
        batch.base.term,
        batch.prev.index,
        batch.prev.term,
        batch.first_term,
        batch.last_term,
    )
    return _LEAD.pack(MAGIC, _header_crc(data, segment, batch.offset)) + data[_LEAD.size :]


def decode_header(data: bytes, at: int, segment: int, offset: int) -> Batch | None:
    """The header at `data[at]`, which is at `offset` of `segment`; None if none is sound there."""
    raw = data[at : at + HEADER.size]
    if len(raw) < HEADER.size:
        return None
    fields = HEADER.unpack(raw)
    if fields[0] != MAGIC or fields[1] != _header_crc(raw, segment, offset):
        return None
    return Batch(
        number=fields[2],
        state=HardState(fields[7], fields[8]),
        base=Position(fields[9], fields[10]),
        prev=Position(fields[11], fields[12]),
        count=fields[5],
        first_term=fields[13],
        last_term=fields[14],
        body_bytes=fields[3],
        body_crc=fields[4],
        offset=offset,
    )


def body_is_sound(batch: Batch, data: bytes) -> bool:
    """Whether the body that follows the header in `data` (from the header on) is as written."""
    body = data[HEADER.size : HEADER.size + batch.body_bytes]
    return (
        len(body) == batch.body_bytes and body.endswith(END_MARK) and crc32c(body) == batch.body_crc
    )


def _header_crc(raw: bytes, segment: int, offset: int) -> int:
    return int(crc32c(raw[_LEAD.size :], crc32c(_PLACE.pack(segment, offset))))
