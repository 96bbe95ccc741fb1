"""A simple model of the journal, and histories of steps that drive both.

A step is chosen by small numbers and made concrete from the model, so that any sequence of steps
is a legal use of a journal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from raftsql.raft.messages import ORIGIN, Entry, EntryKind, HardState, Position
from raftsql.storage.files import Files
from raftsql.storage.journal import Journal

FOLDER = Path("/node/journal")
SEGMENT_BYTES = 4096


@dataclass(frozen=True)
class Append:
    """Save `count` entries that follow the last one; `replaced` of those before them go first."""

    count: int
    payload_bytes: int
    replaced: int = 0
    new_term: bool = False


@dataclass(frozen=True)
class Vote:
    """Save a higher term with a vote, and no entry."""


@dataclass(frozen=True)
class Compact:
    """Forget so many hundredths of the log."""

    percent: int


@dataclass(frozen=True)
class Reset:
    """Install a snapshot so many entries after (or before) the end of the log."""

    ahead: int


@dataclass(frozen=True)
class Reopen:
    """Close and open again."""


NO_STATE = HardState(0, 0)
Step = Append | Vote | Compact | Reset | Reopen


@dataclass(frozen=True)
class Model:
    """What a journal must hold."""

    state: HardState = NO_STATE
    base: Position = ORIGIN
    entries: tuple[Entry, ...] = ()

    @property
    def last(self) -> Position:
        if not self.entries:
            return self.base
        return Position(self.entries[-1].index, self.entries[-1].term)

    def after(self, step: Step) -> Model:
        """The model once `step` was done."""
        match step:
            case Append():
                return self._appended(step)
            case Vote():
                return replace(self, state=HardState(self.state.term + 1, self.state.term % 3))
            case Compact(percent):
                gone = len(self.entries) * percent // 100
                if gone == 0:
                    return self
                upto = self.entries[gone - 1]
                base = Position(upto.index, upto.term)
                return replace(self, base=base, entries=self.entries[gone:])
            case Reset(ahead):
                index = max(self.base.index + 1, self.last.index + ahead)
                term = self.state.term + 1
                return Model(HardState(term, 0), Position(index, term), ())
            case Reopen():
                return self

    def _appended(self, step: Append) -> Model:
        kept = self.entries[: max(0, len(self.entries) - step.replaced)]
        new_term = step.new_term or step.replaced > 0 or self.state.term == 0
        state = HardState(self.state.term + 1, 1) if new_term else self.state
        first = self.base.index + len(kept) + 1
        fresh = tuple(
            Entry(state.term, index, EntryKind(index % 3), payload(index, step.payload_bytes))
            for index in range(first, first + step.count)
        )
        return Model(state, self.base, kept + fresh)


def payload(index: int, size: int) -> bytes:
    """Bytes that differ from entry to entry and hold zeros, as real ones do."""
    return (b"%d\0\0\xff" % index * (size // 4 + 1))[:size]


def do(journal: Journal, before: Model, step: Step) -> Model:
    """Do one step with the journal, which holds `before`; what it must hold then."""
    after = before.after(step)
    match step:
        case Append():
            kept = max(0, len(before.entries) - step.replaced)
            journal.save(after.state, after.entries[kept:])
        case Vote():
            journal.save(after.state, [])
        case Compact():
            journal.compact(after.base)
        case Reset():
            journal.reset(after.base, after.state)
        case Reopen():
            journal.close()
    return after


def opened(files: Files) -> Journal:
    return Journal.open(FOLDER, files, segment_bytes=SEGMENT_BYTES)


def held(journal: Journal) -> Model:
    """What a journal holds, as a model; its runs are checked on the way."""
    entries: list[Entry] = []
    while (first := journal.base.index + len(entries) + 1) <= journal.last.index:
        entries += journal.read(first, journal.last.index, 700)
    model = Model(journal.state, journal.base, tuple(entries))
    assert model.last == journal.last
    runs = [
        Position(entry.index, entry.term)
        for place, entry in enumerate(entries)
        if place == 0 or entries[place - 1].term != entry.term
    ]
    assert journal.runs() == runs
    return model
