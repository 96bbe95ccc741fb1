"""A segment: one file of the journal, and the little of it that is kept in memory.

A segment starts with a preamble (name of the format, version, the segment's number), then batches
follow, then zeros to the end of the file. In memory live only sampled offsets of its records and
the first index of each run of one term.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path

from crc32c import crc32c

from raftsql.raft.messages import NOBODY, ORIGIN, Entry, HardState, Position
from raftsql.storage.batch import ALIGNMENT, RECORD, Batch
from raftsql.storage.files import File

VERSION = 1
"""Of the format of segments and of their indexes."""
SAMPLE_EVERY = 32
"""One record in so many has its offset in memory: 0.5 MiB for a million entries."""

PREAMBLE_BYTES = ALIGNMENT
"""So that the first batch is aligned as the others are."""
_PREAMBLE = struct.Struct("<16sIQ")
_PREAMBLE_NAME = b"raftsql journal\n"
_INDEX = struct.Struct("<16sIIQQQQQQQQQQQQQ")
_INDEX_NAME = b"raftsql j-index\n"


def segment_name(number: int) -> str:
    """The file of segment `number`; names sort as the numbers do."""
    return f"{number:016d}.segment"


def segment_number(name: str) -> int | None:
    """The number in a segment's file name; None for another file."""
    stem, dot, suffix = name.partition(".")
    return int(stem) if dot and suffix == "segment" and stem.isdigit() else None


def index_path(segment_path: Path) -> Path:
    """Where the index of a full segment is kept beside it."""
    return segment_path.with_suffix(".index")


def encode_preamble(number: int) -> bytes:
    """The first bytes of segment `number`."""
    data = _PREAMBLE.pack(_PREAMBLE_NAME, VERSION, number)
    data += b"\xff" * (PREAMBLE_BYTES - 4 - len(data))
    return data + struct.pack("<I", crc32c(data))


class Segment:
    """What is known of one segment's records without reading them."""

    __slots__ = (
        "base",
        "cut",
        "end",
        "file",
        "first_batch",
        "last",
        "last_batch",
        "number",
        "path",
        "runs",
        "samples",
        "state",
        "written",
    )

    def __init__(self, path: Path, number: int, file: File | None = None) -> None:
        self.path = path
        # Open while this is the last segment; full ones are opened when they are read.
        self.file = file
        self.number = number
        self.first_batch = 0
        self.last_batch = 0
        # Where the last batch ends; PREAMBLE_BYTES while there is none.
        self.end = PREAMBLE_BYTES
        # The lowest `prev` of its batches: entries above it in earlier segments are replaced.
        self.cut: int | None = None
        # The journal's state after the last batch.
        self.state = HardState(0, NOBODY)
        self.base = ORIGIN
        self.last = ORIGIN
        # Indexes of records, and their offsets. They grow at the end, the offsets first, and are
        # replaced when they shrink: a reader in another thread always sees a pair that fits.
        self.samples = (array("Q"), array("Q"))
        # The first of each run of equal term among this segment's own entries.
        self.runs: list[Position] = []
        # The index of the record written last: only what follows it can be reached by walking on.
        self.written = -1

    @property
    def first(self) -> int | None:
        """The lowest index in this segment that was not replaced later; None if there is none."""
        indexes = self.samples[0]
        return indexes[0] if indexes else None

    def truncate(self, last_index: int) -> None:
        """Forget entries after `last_index`."""
        indexes, offsets = self.samples
        keep = bisect_right(indexes, last_index)
        self.samples = (indexes[:keep], offsets[:keep])
        self.runs = [run for run in self.runs if run.index <= last_index]

    def admit(
        self, batch: Batch, samples: Iterable[tuple[int, int]], runs: Sequence[Position]
    ) -> None:
        """Take in a batch that is durable: its sampled records and the runs of its terms."""
        if self.cut is None:
            self.first_batch, self.cut = batch.number, batch.prev.index
        self.cut = min(self.cut, batch.prev.index)
        if self.last.index > batch.prev.index:
            self.truncate(batch.prev.index)
        for run in runs:
            if not self.runs or self.runs[-1].term != run.term:
                self.runs.append(run)
        self.last_batch, self.end = batch.number, batch.end
        self.state, self.base, self.last = batch.state, batch.base, batch.last
        if batch.count:
            self.written = batch.last.index
        indexes, offsets = self.samples
        for index, offset in samples:
            offsets.append(offset)
            indexes.append(index)


def sampled(segment: Segment, batch: Batch, entries: Sequence[Entry]) -> list[tuple[int, int]]:
    """The (index, offset) to remember of the entries of `batch`, before it is admitted."""
    first, count, samples = batch.prev.index + 1, len(entries), []
    ahead = -first % SAMPLE_EVERY
    if count and ahead and segment.written != batch.prev.index:
        samples.append((first, batch.body_offset))
    offset, done = batch.body_offset, 0
    for place in range(ahead, count, SAMPLE_EVERY):
        skipped = entries[done:place]
        offset += RECORD.size * len(skipped) + sum([len(entry.payload) for entry in skipped])
        samples.append((first + place, offset))
        done = place
    return samples


def runs_of(entries: Sequence[Entry]) -> list[Position]:
    """The first position of each run of equal term."""
    if not entries:
        return []
    runs = [Position(entries[0].index, entries[0].term)]
    if entries[-1].term == entries[0].term:
        return runs
    for entry in entries:
        if entry.term != runs[-1].term:
            assert entry.term > runs[-1].term, "terms never go back in a log"
            runs.append(Position(entry.index, entry.term))
    return runs


def encode_index(segment: Segment) -> bytes:
    """The segment's memory as bytes, to spare the next start a scan of the file."""
    assert segment.cut is not None, "an empty segment has no index"
    runs = array("Q")
    for run in segment.runs:
        runs.extend((run.index, run.term))
    indexes, offsets = segment.samples
    body = indexes.tobytes() + offsets.tobytes() + runs.tobytes()
    fields = (
        segment.number,
        segment.first_batch,
        segment.last_batch,
        segment.end,
        segment.cut,
        segment.state.term,
        segment.state.vote,
        segment.base.index,
        segment.base.term,
        segment.last.index,
        segment.last.term,
        len(indexes),
        len(segment.runs),
    )
    head = _INDEX.pack(_INDEX_NAME, VERSION, 0, *fields)
    crc = crc32c(body, crc32c(head))
    return _INDEX.pack(_INDEX_NAME, VERSION, crc, *fields) + body


def decode_index(data: bytes, path: Path, number: int) -> Segment | None:
    """The segment an index describes; None when it is damaged, for then the file is scanned."""
    if len(data) < _INDEX.size:
        return None
    name, version, crc, *fields = _INDEX.unpack_from(data)
    body = data[_INDEX.size :]
    head = _INDEX.pack(_INDEX_NAME, VERSION, 0, *fields)
    if name != _INDEX_NAME or version != VERSION or crc != crc32c(body, crc32c(head)):
        return None
    if fields[0] != number:
        return None
    segment = Segment(path, number)
    segment.first_batch, segment.last_batch, segment.end, segment.cut = fields[1:5]
    segment.state = HardState(fields[5], fields[6])
    segment.base = Position(fields[7], fields[8])
    segment.last = Position(fields[9], fields[10])
    samples, runs = fields[11] * 8, array("Q")
    segment.samples[0].frombytes(body[:samples])
    segment.samples[1].frombytes(body[samples : 2 * samples])
    runs.frombytes(body[2 * samples :])
    segment.runs = [Position(runs[at], runs[at + 1]) for at in range(0, len(runs), 2)]
    return segment
