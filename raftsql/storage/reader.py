"""Reads entries back out of a segment, checking each record's checksum and place."""

from __future__ import annotations

from bisect import bisect_right

from raftsql.raft.messages import Entry
from raftsql.storage.batch import (
    END,
    HEADER,
    PAYLOAD_BYTES_MAX,
    RECORD,
    aligned,
    decode_header,
    decode_record,
)
from raftsql.storage.errors import CorruptJournal
from raftsql.storage.files import File
from raftsql.storage.segment import Segment

WINDOW_BYTES = 1 << 16
"""How much is read from the disk at once, unless a record is longer."""


class Window:
    """A piece of a file in memory that moves forward with the reading."""

    __slots__ = ("_bytes", "_file", "data", "start")

    def __init__(self, file: File, window_bytes: int) -> None:
        self._file = file
        self._bytes = window_bytes
        self.start = 0
        self.data = b""

    def at(self, offset: int, size: int) -> int:
        """Where in `data` the `size` bytes at `offset` are; they are fewer at the file's end."""
        if offset < self.start or offset + size > self.start + len(self.data):
            self.data = self._file.read(offset, max(size, self._bytes))
            self.start = offset
        return offset - self.start


def read_records(
    file: File, segment: Segment, *, first: int, last: int, bytes_max: int
) -> list[Entry]:
    """Entries `first` to `last`, which the segment holds: one at least, then up to `bytes_max`."""
    indexes, offsets = segment.samples
    sample = bisect_right(indexes, first) - 1
    assert sample >= 0, f"entry {first} is not in {segment.path}"
    index, offset = indexes[sample], 0
    window = Window(file, max(4096, min(WINDOW_BYTES, 2 * bytes_max)))
    entries: list[Entry] = []
    size = 0
    while index <= last:
        if sample < len(indexes) and indexes[sample] == index:
            offset = offsets[sample]
            sample += 1
        at = window.at(offset, RECORD.size)
        length, found = _peek(window.data, at)
        if length == END:
            offset = _next_body(window, segment, offset)
            continue
        if found != index or length > PAYLOAD_BYTES_MAX:
            raise CorruptJournal(segment.path, offset, f"no record of entry {index} here")
        if index >= first:
            at = window.at(offset, RECORD.size + length)
            entry = decode_record(window.data, at)
            if entry is None or entry.index != index:
                raise CorruptJournal(
                    segment.path, offset, f"the record of entry {index} is damaged"
                )
            size += length
            if entries and size > bytes_max:
                break
            entries.append(entry)
        offset += RECORD.size + length
        index += 1
    return entries


def _peek(data: bytes, at: int) -> tuple[int, int]:
    """A record's length and index, unchecked; END where the batch ends."""
    if int.from_bytes(data[at : at + 4], "little") == END:
        return END, 0
    if len(data) < at + RECORD.size:
        return 0, 0
    length, _, _, index, _ = RECORD.unpack_from(data, at)
    return length, index


def _next_body(window: Window, segment: Segment, offset: int) -> int:
    """Where the records of the batch that follows the end mark at `offset` start."""
    header = aligned(offset + 4)
    at = window.at(header, HEADER.size)
    batch = decode_header(window.data, at, segment.number, header)
    if batch is None:
        raise CorruptJournal(segment.path, header, "the header of a batch is damaged")
    return batch.body_offset
