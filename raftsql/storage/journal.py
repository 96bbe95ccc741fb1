"""The Raft journal: term, vote and entries on disk, durable when `save` returns.

A `save` is one batch, one write and one sync (see `batch`). Files are segments of a fixed size,
reserved when they are made; a batch that does not fit opens the next one. Nothing is ever
overwritten in place while the journal runs: a conflicting suffix is truncated by the batch whose
entries stand in its place, and a prefix is forgotten by a batch that moves the base, after which
segments that hold only forgotten entries are removed.

A failed write or sync poisons the journal: what the disk holds is then unknown, a second sync may
say "done" about pages the kernel has dropped, and so nothing is ever tried again. The process has
to stop; opening the journal anew finds out what is there.

One thread saves. Others may read at the same time, but only entries below those being saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from crc32c import crc32c

from raftsql.raft.messages import NOBODY, ORIGIN, Entry, HardState, Position
from raftsql.storage.batch import (
    BODY_BYTES_MAX,
    Batch,
    aligned,
    encode_body,
    encode_header,
)
from raftsql.storage.errors import CorruptJournal, EntriesCompacted, JournalLost, JournalPoisoned
from raftsql.storage.files import Files
from raftsql.storage.reader import read_records
from raftsql.storage.recovery import Scan, recover
from raftsql.storage.segment import (
    PREAMBLE_BYTES,
    Segment,
    encode_index,
    encode_preamble,
    index_path,
    runs_of,
    sampled,
    segment_name,
)

SEGMENT_BYTES = 16 << 20
"""A segment's size: small enough to read at a start, large enough that new ones are rare."""


class Journal:
    """The log of one node. Made by `open`; ended by `close`."""

    def __init__(self, folder: Path, files: Files, segment_bytes: int) -> None:
        self._folder = folder
        self._files = files
        self._segment_bytes = segment_bytes
        self._segments: list[Segment] = []
        self._room = 0  # How many bytes the last segment may have.
        self._failure: BaseException | None = None
        self.state = HardState(0, NOBODY)
        # base.index <= last.index; entries base.index + 1 to last.index can be read.
        self.base = ORIGIN
        self.last = ORIGIN

    @classmethod
    def open(
        cls,
        folder: Path,
        files: Files,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        must_exist: bool = False,
    ) -> Journal:
        """Open the journal in `folder`, making it if there is none; CorruptJournal if damaged.

        Where one `must_exist`, none is made, and JournalLost says so.
        """
        journal = cls(folder, files, segment_bytes)
        with journal._poisoning():
            files.make_folder(folder)
            found = recover(files, folder)
            if found.active is None and must_exist:
                raise JournalLost(f"{folder} holds no journal, though this node has had one")
            if found.active is not None:
                journal._resume(found.segments, found.active)
            journal._remove(found.leftovers)
            files.sync_folder(folder)
        if found.active is None:
            journal._append(prev=ORIGIN, base=ORIGIN, state=journal.state, entries=())
        journal._remove_forgotten()
        return journal

    def save(self, state: HardState | None, entries: Sequence[Entry]) -> None:
        """Make `state` (None: as it was) and `entries` durable, in one step.

        The first entry follows the last one, or replaces it and all after its own index.
        """
        state = state or self.state
        self._check_state(state)
        if not entries:
            if state != self.state:
                self._append(prev=self.last, base=self.base, state=state, entries=())
            return
        before = entries[0].index - 1
        assert self.base.index <= before <= self.last.index, (
            f"entry {before + 1} does not follow {self.base.index}..{self.last.index}"
        )
        assert entries[-1].term <= state.term, "a term is durable no later than its entries"
        prev = Position(before, self.term(before))
        self._append(prev=prev, base=self.base, state=state, entries=entries)

    def compact(self, upto: Position) -> None:
        """Forget the entries up to and including `upto`, for good; no-op where already done."""
        if upto.index <= self.base.index:
            return
        assert upto.index <= self.last.index, "only entries of the log can be compacted"
        assert self.term(upto.index) == upto.term, f"the log has another entry at {upto.index}"
        self._append(prev=self.last, base=upto, state=self.state, entries=())
        self._remove_forgotten()

    @property
    def size(self) -> int:
        """How many bytes the records take."""
        return sum(segment.end for segment in self._segments)

    def first_within(self, bytes_max: int) -> int:
        """The first entry of the newest segments that together take no more (or of the newest)."""
        size, first = 0, self.last.index + 1
        for segment in reversed(self._segments):
            size += segment.end
            if size > bytes_max and segment is not self._segments[-1]:
                break
            if segment.first is not None:
                first = segment.first
        return max(first, self.base.index + 1)

    def reset(self, base: Position, state: HardState | None = None) -> None:
        """Begin again after `base`, with no entries: a snapshot stands for all before."""
        assert base.index >= self.base.index, "a base never goes back"
        state = state or self.state
        self._check_state(state)
        self._append(prev=base, base=base, state=state, entries=())
        self._remove_forgotten()

    def read(self, first: int, last: int, bytes_max: int) -> list[Entry]:
        """Entries from `first` up to `last`: at least one, then as many as fit `bytes_max`."""
        self._check()
        if first <= self.base.index:
            raise EntriesCompacted(f"entry {first} is gone, the log starts after {self.base.index}")
        assert first <= last <= self.last.index, f"{first}..{last} is not in the log"
        entries: list[Entry] = []
        for segment, start, end in self._extents():
            if end < first or start > last:
                continue
            taken = self._read_segment(segment, first, min(end, last), bytes_max)
            if entries and len(taken[0].payload) > bytes_max:
                break
            entries += taken
            bytes_max -= sum([len(entry.payload) for entry in taken])
            first += len(taken)
            if first <= min(end, last) or bytes_max <= 0:
                break
        return entries

    def term(self, index: int) -> int:
        """The term of the entry at `index`, which the log holds, or is the base."""
        assert self.base.index <= index <= self.last.index, f"{index} is not in the log"
        if index == self.last.index:
            return self.last.term
        if index == self.base.index:
            return self.base.term
        return next(run.term for run in reversed(self.runs()) if run.index <= index)

    def runs(self) -> list[Position]:
        """The first position of each run of entries of one term."""
        runs: list[Position] = []
        start = self.base.index + 1
        for run in [run for segment in self._segments for run in segment.runs]:
            clipped = Position(max(run.index, start), run.term)
            if runs and runs[-1].index >= clipped.index:
                runs.pop()
            if not runs or runs[-1].term != run.term:
                runs.append(clipped)
        return runs if self.last.index >= start else []

    def close(self) -> None:
        """End with a mark, so that damage to the last batch can't pass for a torn write."""
        try:
            if self._failure is None:
                self._append(prev=self.last, base=self.base, state=self.state, entries=())
        finally:
            self._failure = self._failure or ValueError("it was closed")
            for segment in self._segments:
                segment.file = None

    def _check_state(self, state: HardState) -> None:
        old = self.state
        assert state.term >= old.term, "a term never goes back"
        assert state.term > old.term or old.vote in (NOBODY, state.vote), (
            f"the vote for {old.vote} in term {old.term} can't be changed"
        )

    def _check(self) -> None:
        if self._failure is not None:
            raise JournalPoisoned(f"the journal can't be used: {self._failure}") from self._failure

    @contextmanager
    def _poisoning(self) -> Iterator[None]:
        """Let nothing be tried after a failure: even an interrupt leaves bytes of no account."""
        try:
            yield
        except BaseException as error:
            self._failure = error
            if isinstance(error, OSError):
                raise JournalPoisoned(f"the journal's disk failed: {error}") from error
            raise

    def _append(
        self, *, prev: Position, base: Position, state: HardState, entries: Sequence[Entry]
    ) -> None:
        """Write a batch and sync it; only then is anything in memory changed."""
        self._check()
        body = encode_body(entries, prev.index + 1)
        assert len(body) < BODY_BYTES_MAX, "a batch is too large for the journal"
        batch = Batch(
            number=self._segments[-1].last_batch + 1 if self._segments else 1,
            state=state,
            base=base,
            prev=prev,
            count=len(entries),
            first_term=entries[0].term if entries else 0,
            last_term=entries[-1].term if entries else 0,
            body_bytes=len(body),
            body_crc=crc32c(body),
            offset=aligned(self._segments[-1].end) if self._segments else 0,
        )
        runs = runs_of(entries)
        with self._poisoning():
            file = self._segments[-1].file if self._segments else None
            if file is None or batch.end > self._room:
                self._begin_segment(batch, body)
            else:
                file.write(batch.offset, encode_header(batch, self._segments[-1].number) + body)
                file.sync()
        self._admit(batch, entries, runs)

    def _begin_segment(self, batch: Batch, body: bytes) -> None:
        """Make the next segment with `batch` as its first; durable, name and all, on return."""
        number = self._segments[-1].number + 1 if self._segments else 1
        path = self._folder / segment_name(number)
        batch.offset = PREAMBLE_BYTES
        self._room = max(self._segment_bytes, batch.end)
        file = self._files.create(path)
        file.preallocate(self._room)
        file.write(0, encode_preamble(number) + encode_header(batch, number) + body)
        file.sync()
        self._files.sync_folder(self._folder)
        if self._segments:
            # The old file is not closed: a reader that has it still closes it by letting go.
            self._segments[-1].file = None
            self._write_index(self._segments[-1])
        self._segments = [*self._segments, Segment(path, number, file)]

    def _admit(self, batch: Batch, entries: Sequence[Entry], runs: list[Position]) -> None:
        active = self._segments[-1]
        if batch.prev.index < self.last.index:
            for segment in self._segments[:-1]:
                segment.truncate(batch.prev.index)
        active.admit(batch, sampled(active, batch, entries), runs)
        self.state, self.base, self.last = batch.state, batch.base, batch.last

    def _extents(self) -> list[tuple[Segment, int, int]]:
        """Each segment that holds entries of the log, with its first and its last index."""
        starts = [(segment, segment.first) for segment in self._segments]
        held = [(segment, first) for segment, first in starts if first is not None]
        ends = [first - 1 for _, first in held[1:]] + [self.last.index]
        return [(segment, first, end) for (segment, first), end in zip(held, ends, strict=False)]

    def _read_segment(self, segment: Segment, first: int, last: int, bytes_max: int) -> list[Entry]:
        try:
            file = segment.file or self._files.open(segment.path)
            return read_records(file, segment, first=first, last=last, bytes_max=bytes_max)
        except FileNotFoundError as error:
            if first <= self.base.index:
                raise EntriesCompacted(f"entry {first} was just compacted") from error
            raise CorruptJournal(segment.path, 0, "the file is gone") from error
        except OSError as error:
            self._failure = error
            raise JournalPoisoned(f"reading the journal failed: {error}") from error

    def _resume(self, segments: list[Segment], active: Scan) -> None:
        """Go on at the end of what was found, once that is durable beyond doubt.

        What recovery read may have come from the kernel's memory while the disk lacks it, for
        instance after a failed sync. Only the last batch can be in doubt, and what is after it:
        both are written once more, the rest of the file as zeros.
        """
        segment = active.segment
        start = active.last_batch_offset
        if start == PREAMBLE_BYTES:
            start = 0  # The preamble came with the first batch, and is as doubtful.
        tail = active.data[start : segment.end]
        self._room = len(active.data)
        segment.file = self._files.open(segment.path)
        segment.file.write(start, tail + bytes(max(0, self._room - segment.end)))
        segment.file.sync()
        self._segments = segments
        self.state, self.base, self.last = segment.state, segment.base, segment.last

    def _write_index(self, segment: Segment) -> None:
        """Spare the next start a scan. Unsynced, for a damaged or missing index is not used."""
        file = self._files.create(index_path(segment.path))
        try:
            file.write(0, encode_index(segment))
        finally:
            file.close()

    def _remove_forgotten(self) -> None:
        """Remove segments, oldest first, as long as those left hold all entries after the base."""
        keep = 0
        for place in range(1, len(self._segments)):
            later = [s.first for s in self._segments[place:] if s.first is not None]
            if self.last != self.base and (not later or later[0] > self.base.index + 1):
                break
            keep = place
        if keep:
            paths = [segment.path for segment in self._segments[:keep]]
            self._segments = self._segments[keep:]
            with self._poisoning():
                self._remove(paths)

    def _remove(self, paths: Sequence[Path]) -> None:
        for path in paths:
            index = index_path(path)
            if self._files.exists(index):
                self._files.unlink(index)
            self._files.unlink(path)
