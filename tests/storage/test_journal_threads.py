"""One thread saves while another reads: no reader sees anything but the entries it asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from raftsql.raft.messages import Entry, EntryKind, HardState, Position
from raftsql.storage.errors import EntriesCompacted
from raftsql.storage.files import RealFiles
from raftsql.storage.journal import Journal

STATE = HardState(1, 1)


@pytest.fixture(autouse=True)
def _hasty_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def entry(index: int) -> Entry:
    return Entry(1, index, EntryKind.COMMAND, b"%d" % index * 20)


def save_all(journal: Journal) -> None:
    for first in range(1, 6001, 12):
        journal.save(STATE, [entry(index) for index in range(first, first + 12)])
        if first % 600 == 1 and first > 1000:
            journal.compact(Position(first - 1000, 1))


def read_until_done(journal: Journal, saving: Future[None]) -> int:
    chance, reads = Random(1), 0
    while not saving.done():
        last = journal.last.index
        first = chance.randint(max(1, last - 900), last) if last else 0
        if not first:
            continue
        try:
            found = journal.read(first, last, 3000)
        except EntriesCompacted:
            assert journal.base.index >= first
            continue
        assert found == [entry(index) for index in range(first, first + len(found))]
        reads += 1
    return reads


def test_reading_goes_on_while_another_thread_saves_and_compacts(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, RealFiles(), segment_bytes=8192)
    with ThreadPoolExecutor(1) as saver:
        saving = saver.submit(save_all, journal)
        assert read_until_done(journal, saving) > 20
        saving.result()
    assert journal.last.index == 6000
    journal.close()
