"""What one node does at VERIFY and RESTORE, and after a crash at any step of a switch."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from raftsql.cluster.marking import Substitute
from raftsql.cluster.summing import NoSum
from raftsql.database import snapshot
from raftsql.database.checksum import compare
from raftsql.database.disk import Disk
from raftsql.database.machine import Machine
from raftsql.raft.messages import Entry, EntryKind
from raftsql.sql.commands import (
    CommandKind,
    Done,
    Failed,
    OpenSession,
    Restore,
    Statement,
    encode,
    seal,
)
from tests.operations.solo import Solo


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "given.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t(a)")
        connection.execute("INSERT INTO t VALUES ('given')")
        connection.commit()
    return path


def named(path: Path) -> Restore:
    return Restore(snapshot.digest(path), path.stat().st_size)


async def filled(solo: Solo) -> None:
    await solo.sql("CREATE TABLE t(a)")
    await solo.sql("INSERT INTO t VALUES ('old')")


async def test_the_sum_is_of_the_markers_moment_however_much_is_written_after(
    tmp_path: Path,
) -> None:
    async with Solo(tmp_path / "data") as solo:
        await filled(solo)
        first, _ = await solo.propose(CommandKind.VERIFY, b"")
        await solo.sql("INSERT INTO t VALUES ('later')")
        second, _ = await solo.propose(CommandKind.VERIFY, b"")
        sums = solo.runner.marking.sums
        difference = compare(await sums.of(first), await sums.of(second))
        assert "t" in difference.tables
        assert (await sums.of(first)).tables["t"].rows == 1


async def test_markers_in_one_batch_each_get_a_sum_of_their_own(tmp_path: Path) -> None:
    async with Solo(tmp_path / "data") as solo:
        await filled(solo)
        said = await asyncio.gather(
            solo.propose(CommandKind.VERIFY, b""),
            solo.sql("INSERT INTO t VALUES ('between')"),
            solo.propose(CommandKind.VERIFY, b""),
        )
        counts = [
            (await solo.runner.marking.sums.of(index)).tables["t"].rows
            for index, _ in (said[0], said[2])
        ]
        assert counts == [1, 2]


async def test_only_the_last_sums_are_kept(tmp_path: Path) -> None:
    async with Solo(tmp_path / "data") as solo:
        await filled(solo)
        indexes = []
        for _ in range(9):
            index, _answer = await solo.propose(CommandKind.VERIFY, b"")
            await solo.runner.marking.sums.of(index)
            indexes.append(index)
        with pytest.raises(NoSum):
            await solo.runner.marking.sums.of(indexes[0])
        assert await solo.runner.marking.sums.of(indexes[1])


async def test_a_restore_is_followed_by_what_came_with_it(tmp_path: Path, given: Path) -> None:
    async with Solo(tmp_path / "data") as solo:
        await filled(solo)
        restore = solo.bring_in(given)
        await asyncio.gather(
            solo.sql("INSERT INTO t VALUES ('before')"),
            solo.restore(restore),
            solo.sql("INSERT INTO t VALUES ('after')"),
        )
        assert await solo.rows("SELECT a FROM t") == [["given"], ["after"]]


async def test_a_missing_file_is_fetched_before_anything_more_is_applied(
    tmp_path: Path, given: Path
) -> None:
    async with Solo(tmp_path / "data") as solo:
        await filled(solo)
        restore = named(given)
        solo.gives = given
        index, answer = await solo.restore(restore)
        assert answer == Done(-1, 0)
        assert solo.asked == 1
        assert solo.runner.machine.applied.index == index
        assert await solo.rows("SELECT a FROM t") == [["given"]]


async def test_a_file_that_rots_while_it_is_held_is_fetched_again(
    tmp_path: Path, given: Path
) -> None:
    async with Solo(tmp_path / "data") as solo:
        await filled(solo)
        restore = solo.bring_in(given)
        held = solo.runner.marking.uploads.held(restore)
        assert held is not None
        held.write_bytes(bytes(restore.size_bytes))
        solo.gives = given
        await solo.restore(restore)
        assert solo.asked == 1
        assert await solo.rows("SELECT a FROM t") == [["given"]]


async def test_a_snapshot_from_after_the_restore_stands_in_for_a_file_that_is_gone(
    tmp_path: Path, given: Path
) -> None:
    async with Solo(tmp_path / "twin") as twin:
        await filled(twin)
        index, _ = await twin.restore(twin.bring_in(given))
        await twin.sql("INSERT INTO t VALUES ('after')")
        copy = tmp_path / "copy"
        meta = snapshot.take(twin.runner.stores.database, copy, Disk())
    async with Solo(tmp_path / "data") as solo:
        await filled(solo)
        taken = tmp_path / "data" / "database.db-substitute"
        copy.replace(taken)
        solo.gives = Substitute(taken, meta.last)
        gone = Restore(b"\x01" * 32, 8192)
        done = asyncio.gather(
            solo.restore(gone), solo.sql("INSERT INTO t VALUES ('after')"), return_exceptions=True
        )
        await done
        assert meta.last.index == index + 1
        assert solo.runner.machine.applied == meta.last
        assert await solo.rows("SELECT a FROM t") == [["given"], ["after"]]


async def test_a_restore_that_was_answered_before_is_passed_over(
    tmp_path: Path, given: Path
) -> None:
    async with Solo(tmp_path / "data") as solo:
        await filled(solo)
        _, opened = await solo.propose(
            CommandKind.OPEN_SESSION, encode(OpenSession(b"nonce", 60_000))
        )
        restore = solo.bring_in(given)
        first, answer = await solo.restore(restore, session=opened.session, sequence=1)
        await solo.sql("INSERT INTO t VALUES ('after')")
        again, same = await solo.restore(restore, session=opened.session, sequence=1)
        assert again > first
        assert same == answer
        assert await solo.rows("SELECT a FROM t") == [["given"], ["after"]]
        _, unknown = await solo.restore(restore, session=999, sequence=1)
        assert isinstance(unknown, Failed)
        assert await solo.rows("SELECT count(*) FROM t") == [[2]]


async def test_a_restore_that_names_no_file_is_answered_and_passed_over(tmp_path: Path) -> None:
    async with Solo(tmp_path / "data") as solo:
        await filled(solo)
        _, answer = await solo.propose(CommandKind.RESTORE, b"\xc1")
        assert isinstance(answer, Failed)
        assert await solo.rows("SELECT a FROM t") == [["old"]]


class CutDisk(Disk):
    """The machine dies before its `steps`-th change of the disk."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def _step(self) -> None:
        if self._left == 0:
            raise OSError("the machine is off")
        self._left -= 1

    def sync_file(self, path: Path) -> None:
        self._step()
        super().sync_file(path)

    def sync_folder(self, path: Path) -> None:
        self._step()
        super().sync_folder(path)

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        super().rename(source, target)

    def remove(self, path: Path) -> None:
        self._step()
        super().remove(path)


async def test_a_crash_at_any_step_of_the_switch_ends_with_the_restored_file(
    tmp_path: Path, given: Path
) -> None:
    """The entry is committed, so the node must get there, from whatever the crash has left."""
    steps = 0
    finished = False
    while not finished:
        folder = tmp_path / f"cut-{steps}"
        solo = Solo(folder, disk=CutDisk(steps))
        await solo.start()
        await filled(solo)
        proposing = asyncio.ensure_future(solo.restore(solo.bring_in(given)))
        stopped = asyncio.ensure_future(solo.runner.stopped.wait())
        await asyncio.wait({proposing, stopped}, return_when=asyncio.FIRST_COMPLETED, timeout=20)
        finished = not stopped.done()
        await asyncio.gather(proposing, return_exceptions=True)
        stopped.cancel()
        await solo.runner.close()
        async with Solo(folder) as again:
            assert await again.rows("SELECT a FROM t") == [["given"]], f"cut before step {steps}"
            await again.sql("INSERT INTO t VALUES ('after')")
        steps += 1
    assert steps > 5, "the switch has more steps than that"


def restoring(index: int, **header: Any) -> Entry:
    payload = seal(CommandKind.RESTORE, encode(Restore(b"d", 1)), clock_ms=77, seed=0, **header)
    return Entry(index=index, term=1, kind=EntryKind.COMMAND, payload=payload)


def test_a_machine_moves_past_a_restore_that_must_not_be_done(tmp_path: Path) -> None:
    machine = Machine.open(tmp_path / "database.db")
    payload = seal(
        CommandKind.EXECUTE, encode(Statement("CREATE TABLE t(a)", None)), clock_ms=1, seed=0
    )
    machine.apply([Entry(index=1, term=1, kind=EntryKind.COMMAND, payload=payload)])
    assert machine.apply([restoring(2)]) == []
    assert machine.applied.index == 1
    machine.pass_over(restoring(2))
    assert machine.applied.index == 2
    assert machine.clock_ms == 77
    machine.close()
    machine = Machine.open(tmp_path / "database.db")
    assert machine.applied.index == 2
    with pytest.raises(AssertionError):
        machine.pass_over(restoring(4))
    machine.close()
