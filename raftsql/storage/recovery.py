"""What a start makes of the files it finds: which batches count, which tail is cut, what is damage.

A batch is written only after the one before it is durable. So there is one batch at most that
nobody was told about: the last one. From this follows the whole of recovery:

- whatever stands before a later sound batch was acknowledged; if it is damaged, that is an error;
- the last batch, if it is not whole, is cut when it looks as a torn write looks (a sector of
  zeros, or an end that never came), and is an error when it does not.

The reasoning and its limits: docs/decisions/0010-torn-or-damaged.md
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from raftsql.raft.messages import Position
from raftsql.storage.batch import (
    HEADER,
    MAGIC,
    RECORD,
    Batch,
    aligned,
    body_is_sound,
    decode_header,
)
from raftsql.storage.errors import CorruptJournal
from raftsql.storage.files import Files
from raftsql.storage.segment import (
    PREAMBLE_BYTES,
    SAMPLE_EVERY,
    Segment,
    decode_index,
    encode_preamble,
    index_path,
    segment_name,
    segment_number,
)

SECTOR_BYTES = 512
"""What a disk writes whole or not at all; larger units are multiples of it."""

_MAGIC_BYTES = MAGIC.to_bytes(4, "little")


@dataclass(slots=True)
class Scan:
    """A segment read through: what is sound in it, and where that ends."""

    segment: Segment
    data: bytes
    last_batch_offset: int


@dataclass(slots=True)
class Recovered:
    """The segments of the log in order, the last one with its bytes, and files to remove."""

    segments: list[Segment]
    active: Scan | None
    leftovers: list[Path]


def recover(files: Files, folder: Path) -> Recovered:
    """Find what the journal in `folder` holds, changing nothing."""
    numbers = sorted(
        number for name in files.names(folder) if (number := segment_number(name)) is not None
    )
    first = _start_of_suffix(numbers)
    leftovers = [folder / segment_name(number) for number in numbers[:first]]
    numbers = numbers[first:]
    if not numbers:
        return Recovered([], None, leftovers)
    active = scan(files, folder / segment_name(numbers[-1]), numbers[-1])
    before = [_sealed(files, folder / segment_name(number), number) for number in numbers[:-1]]
    if active.last_batch_offset == 0:
        # A new segment whose first batch never became whole; the one before goes on.
        if leftovers and not before:
            raise CorruptJournal(
                active.segment.path, 0,
                f"it holds no sound batch and does not follow {leftovers[-1].name}. If it was put"
                " there by mistake, take it away and start again",
            )  # fmt: skip
        _judge_tail(active, before[-1].last_batch + 1 if before else 1)
        if not before and active.segment.number != 1:
            raise CorruptJournal(active.segment.path, 0, "the only segment holds no sound batch")
        leftovers.append(active.segment.path)
        if not before:
            return Recovered([], None, leftovers)
        last = before.pop()
        active = scan(files, last.path, last.number)
    if files.exists(index_path(active.segment.path)):
        # The index was written when the next segment held a durable batch.
        raise CorruptJournal(active.segment.path, 0, "the segment that followed it is lost")
    _judge_tail(active, active.segment.last_batch + 1)
    segments = [*before, active.segment]
    _check_chain(segments)
    return Recovered(segments, active, leftovers)


def scan(files: Files, path: Path, number: int) -> Scan:
    """Read a whole segment, taking in batches until one is not sound or not the next."""
    file = files.open(path)
    try:
        data = file.read(0, file.size())
    finally:
        file.close()
    segment, offset, last = Segment(path, number), PREAMBLE_BYTES, 0
    while (batch := decode_header(data, offset, number, offset)) is not None:
        if last and batch.number != segment.last_batch + 1:
            break
        if not body_is_sound(batch, data[offset : batch.end]):
            break
        samples, runs = _survey(segment, batch, data)
        segment.admit(batch, samples, runs)
        last, offset = offset, aligned(batch.end)
    if last and data[:PREAMBLE_BYTES] != encode_preamble(number):
        raise CorruptJournal(path, 0, "the preamble is damaged or of another format version")
    return Scan(segment, data, last)


def _sealed(files: Files, path: Path, number: int) -> Segment:
    """A segment that is not the last: from its index if that is sound, else by reading it."""
    index = index_path(path)
    if files.exists(index):
        file = files.open(index)
        try:
            segment = decode_index(file.read(0, file.size()), path, number)
        finally:
            file.close()
        if segment is not None:
            _check_file(files, segment)
            return segment
    scanned = scan(files, path, number)
    if scanned.last_batch_offset == 0:
        raise CorruptJournal(path, PREAMBLE_BYTES, "no sound batch in a segment that was full")
    return scanned.segment


def _check_file(files: Files, segment: Segment) -> None:
    """A segment known from its index has at least the file that the index speaks of."""
    file = files.open(segment.path)
    try:
        if file.size() < segment.end:
            raise CorruptJournal(segment.path, file.size(), f"ends before {segment.end}")
        if file.read(0, PREAMBLE_BYTES) != encode_preamble(segment.number):
            raise CorruptJournal(segment.path, 0, "the preamble is damaged")
    finally:
        file.close()


def _start_of_suffix(numbers: list[int]) -> int:
    """Where the last unbroken sequence of numbers starts.

    Old segments are removed in order, but a crash may bring back any of them whose removal was
    not yet durable. That none is missing is seen later: the log must start at its base.
    """
    start = len(numbers)
    while start > 0 and (start == len(numbers) or numbers[start - 1] + 1 == numbers[start]):
        start -= 1
    return start


def _survey(
    segment: Segment, batch: Batch, data: bytes
) -> tuple[list[tuple[int, int]], list[Position]]:
    """The samples and runs of a sound batch, walking its records only if it must."""
    first, count = batch.prev.index + 1, batch.count
    if count == 0:
        return [], []
    samples, runs = [], [Position(first, batch.first_term)]
    if segment.written != batch.prev.index or first % SAMPLE_EVERY == 0:
        samples.append((first, batch.body_offset))
    if -first % SAMPLE_EVERY >= count and batch.first_term == batch.last_term:
        return samples, runs
    offset = batch.body_offset
    for index in range(first, first + count):
        length, _, term, _, _ = RECORD.unpack_from(data, offset)
        if index % SAMPLE_EVERY == 0 and index != first:
            samples.append((index, offset))
        if term != runs[-1].term:
            runs.append(Position(index, term))
        offset += RECORD.size + length
    return samples, runs


def _judge_tail(scanned: Scan, expected: int) -> None:
    """Raise unless what follows the sound batches of the last segment is what a crash may leave."""
    segment, data = scanned.segment, scanned.data
    offset = aligned(segment.end)
    rest = data[offset:]
    if rest == bytes(len(rest)):
        return
    if _later_batch(scanned, offset, expected) is not None:
        raise CorruptJournal(segment.path, offset, f"batch {expected} is damaged, later ones exist")
    batch = decode_header(data, offset, segment.number, offset)
    if batch is None:
        torn = _header_is_torn(rest)
    else:
        torn = batch.number == expected and _body_is_torn(data, batch)
    if not torn:
        raise CorruptJournal(
            segment.path, offset, f"batch {expected} is damaged, and not as a torn write is"
        )


def _later_batch(scanned: Scan, offset: int, expected: int) -> Batch | None:
    """A sound header after `offset`, which was written when batch `expected` was durable."""
    number, data = scanned.segment.number, scanned.data
    at = data.find(_MAGIC_BYTES, offset + 1)
    while at >= 0:
        batch = decode_header(data, at, number, at)
        if batch is not None and batch.number > expected:
            return batch
        at = data.find(_MAGIC_BYTES, at + 1)
    return None


def _header_is_torn(rest: bytes) -> bool:
    """Whether the header's sector never came, or only its beginning did."""
    header = rest[: HEADER.size]
    return header == bytes(len(header)) or len(rest.rstrip(b"\0")) < HEADER.size


def _body_is_torn(data: bytes, batch: Batch) -> bool:
    """Whether some sector of the batch never came, or the write stopped before its end."""
    if len(data) < batch.end or data[batch.end - 1] == 0:
        return True
    start = batch.offset
    while start < batch.end:
        stop = min(batch.end, (start // SECTOR_BYTES + 1) * SECTOR_BYTES)
        if data[start:stop] == bytes(stop - start):
            return True
        start = stop
    return False


def _check_chain(segments: list[Segment]) -> None:
    """Raise unless the segments make one log, without a hole between its base and its end."""
    for earlier, later in pairwise(segments):
        if later.first_batch != earlier.last_batch + 1:
            raise CorruptJournal(
                earlier.path, aligned(earlier.end), f"batch {earlier.last_batch + 1} is damaged"
            )
        assert later.cut is not None, "a segment of the chain holds a batch"
        for segment in segments:
            if segment is later:
                break
            segment.truncate(later.cut)
    base, last = segments[-1].base, segments[-1].last
    firsts = [segment.first for segment in segments if segment.first is not None]
    if last.index > base.index and (not firsts or firsts[0] > base.index + 1):
        raise CorruptJournal(
            segments[0].path, 0, f"entries after {base.index} are in no file: a segment is missing"
        )
