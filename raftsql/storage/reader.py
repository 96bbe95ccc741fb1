"""Reads entries back out of a segment, checking each record's checksum and place."""

from __future__ import annotations

from bisect import bisect_right

from crc32c import crc32c

from raftsql.raft.messages import Entry
from raftsql.storage.batch import (
    END,
    END_MARK,
    HEADER,
    KINDS,
    RECORD,
    UNCHECKED_BYTES,
    aligned,
    decode_header,
)
from raftsql.storage.errors import CorruptJournal
from raftsql.storage.files import File
from raftsql.storage.segment import Segment

WINDOW_BYTES = 1 << 16
"""How much is read from the disk at once, unless a record is longer."""

WINDOW_BYTES_MIN = 4096
"""How much at least: a few records up to the wanted one are passed on the way."""


class Window:
    """A piece of a file in memory that moves forward with the reading."""

    __slots__ = ("_bytes", "_file", "data", "start")

    def __init__(self, file: File, window_bytes: int) -> None:
        self._file = file
        self._bytes = window_bytes
        self.start = 0
        self.data = b""

    def at(self, offset: int, size: int) -> int:
        """Where in `data` the `size` bytes at `offset` are; after the file's end they are zeros."""
        if offset < self.start or offset + size > self.start + len(self.data):
            self.data = self._file.read(offset, max(size, self._bytes)).ljust(size, b"\0")
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
    window = Window(file, max(WINDOW_BYTES_MIN, min(WINDOW_BYTES, 2 * bytes_max)))
    entries: list[Entry] = []
    size, sound = 0, 0
    while index <= last:
        if sample < len(indexes) and indexes[sample] == index:
            offset = sound = offsets[sample]
            sample += 1
        at = window.at(offset, RECORD.size)
        length, crc, term, found, kind = RECORD.unpack_from(window.data, at)
        if length == END:
            offset = _next_body(window, segment, offset)
            continue
        if found != index:
            # Those that were passed on the way were not checked: one of them may have led astray.
            raise CorruptJournal(segment.path, sound, f"entry {index} does not follow from here")
        if offset + RECORD.size + length > segment.end:
            raise _damaged(segment, offset, index)
        if index >= first:
            size += length
            if entries and size > bytes_max:
                break
            at = window.at(offset, RECORD.size + length)
            end = at + RECORD.size + length
            data = window.data
            if crc32c(data[at + UNCHECKED_BYTES : end]) != crc:
                raise _damaged(segment, offset, index)
            entries.append(Entry(term, index, KINDS[kind], data[at + RECORD.size : end]))
            sound = offset
        offset += RECORD.size + length
        index += 1
    return entries


def _damaged(segment: Segment, offset: int, index: int) -> CorruptJournal:
    return CorruptJournal(segment.path, offset, f"the record of entry {index} is damaged")


def _next_body(window: Window, segment: Segment, offset: int) -> int:
    """Where the records of the batch that follows the end mark at `offset` start."""
    header = aligned(offset + len(END_MARK))
    at = window.at(header, HEADER.size)
    batch = decode_header(window.data, at, segment.number, header)
    if batch is None:
        raise CorruptJournal(segment.path, header, "the header of a batch is damaged")
    return batch.body_offset
