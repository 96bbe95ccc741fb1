"""Jobs in order; a small one is done in place unless it turns out not to be small."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from raftsql.cluster.lane import Lane
from raftsql.cluster.patience import Longer, in_full
from raftsql.cluster.requests import Read
from raftsql.cluster.transactions import Step
from raftsql.rpc.proposing import Awaited
from raftsql.sql.commands import (
    Batch,
    CommandKind,
    Done,
    Many,
    Settings,
    Statement,
    Why,
    decode_answer,
    encode,
)
from tests.cluster.stage import Heard
from tests.operations.solo import Solo

ROWS = 200_000
LONG = (
    f"WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x LIMIT {ROWS})"
    " INSERT INTO t SELECT i FROM x"
)
TURNS = 20
"""Turns of the event loop while something runs beside it; in it, there would be two or three."""


@pytest.fixture
async def lane() -> AsyncIterator[Lane]:
    failures: list[BaseException] = []
    lane = Lane(asyncio.get_running_loop(), "test", failures.append)
    yield lane
    await lane.close()
    assert not failures


async def done(lane: Lane, job: Callable[[], Any], *, small: bool) -> Any:
    result = asyncio.get_running_loop().create_future()
    lane.do(job, result.set_result, small=small)
    return await result


async def test_a_small_job_is_done_in_place_and_a_large_one_in_the_thread(lane: Lane) -> None:
    here = threading.get_ident()
    assert await done(lane, threading.get_ident, small=True) == here
    assert await done(lane, threading.get_ident, small=False) != here


async def test_a_small_job_that_takes_longer_goes_on_in_the_thread_and_keeps_its_place(
    lane: Lane,
) -> None:
    heard: list[Any] = []
    last = asyncio.get_running_loop().create_future()

    def job() -> Any:
        raise Longer(threading.get_ident)

    lane.do(job, heard.append, small=True)
    assert not lane.free
    lane.do(lambda: "next", heard.append, small=True)
    lane.do(lambda: None, last.set_result, small=True)
    await last
    assert heard[0] != threading.get_ident()
    assert heard[1] == "next"
    assert lane.free


async def test_a_small_job_that_waited_for_the_thread_is_done_there_in_full(lane: Lane) -> None:
    def job() -> Any:
        raise Longer(lambda: "rest")

    first = asyncio.ensure_future(done(lane, lambda: "first", small=False))
    await asyncio.sleep(0)
    assert await done(lane, job, small=True) == "rest"
    assert await first == "first"
    assert in_full(job) == "rest"


async def turns_of(answer: asyncio.Future[Any]) -> tuple[Any, int]:
    """The answer, and how often the event loop went round until it was there."""
    turns = await turns_until(answer.done)
    return answer.result(), turns


async def turns_until(happened: Callable[[], bool]) -> int:
    turns = 0
    while not happened():
        turns += 1
        await asyncio.sleep(0)
    return turns


async def test_a_long_command_does_not_keep_the_event_loop_waiting(tmp_path: Path) -> None:
    async with Solo(tmp_path) as solo:
        await solo.sql("CREATE TABLE t(a)")
        answer, turns = await turns_of(asyncio.ensure_future(solo.sql(LONG)))
        assert answer == Done(ROWS, ROWS)
        assert turns > TURNS
        assert await solo.sql("INSERT INTO t VALUES (1)") == Done(1, ROWS + 1)
        assert solo.runner.replica.leads


async def test_a_long_statement_of_a_transaction_does_not_either(tmp_path: Path) -> None:
    async with Solo(tmp_path) as solo:
        await solo.sql("CREATE TABLE t(a)")
        writer = solo.runner.replica.writer
        transaction = writer.begin(Settings.FOREIGN_KEYS, immediate=True)

        async def execute(*texts: str) -> tuple[Any, int]:
            reply = Awaited()
            transaction.execute(Step([Statement(text) for text in texts], 100, reply), None)
            (_, packed), turns = await turns_of(reply.future)
            return decode_answer(packed), turns

        assert (await execute("INSERT INTO t VALUES (-1)"))[0] == Done(1, 1)
        answer, turns = await execute(LONG)
        assert answer == Done(ROWS, ROWS + 1)
        assert turns > TURNS
        answer, turns = await execute("INSERT INTO t VALUES (-2)", LONG, "INSERT INTO t VALUES (3)")
        assert answer == Done(ROWS + 2, 2 * ROWS + 3)
        assert turns > TURNS
        transaction.rollback()
        assert await solo.rows("SELECT count(*) FROM t") == [[0]]


async def test_a_batch_in_a_transaction_keeps_nobody_waiting_and_is_run_once(
    tmp_path: Path,
) -> None:
    async with Solo(tmp_path) as solo:
        await solo.sql("CREATE TABLE t(a)")
        transaction = solo.runner.replica.writer.begin(Settings.FOREIGN_KEYS, immediate=True)
        connection = solo.runner.stores.machine._writer.connection
        many = Many("INSERT INTO t VALUES (?)", [[n] for n in range(ROWS)])
        body = encode(many)

        async def execute(step: Step) -> tuple[Any, int]:
            (_, packed), turns = await turns_of(step.reply.future)  # type: ignore[attr-defined]
            return decode_answer(packed), turns

        before = connection.total_changes()
        for number in range(1, 3):
            batch = Step([Batch(many, body)], len(body), Awaited())
            transaction.execute(batch, None)
            answer, turns = await execute(batch)
            assert answer == Done(ROWS, number * ROWS)
            assert turns > TURNS
        update = Step([Statement("UPDATE t SET a = a + 1")], 10, Awaited())
        transaction.execute(update, None)
        answer, turns = await execute(update)
        assert answer.changes == 2 * ROWS
        assert turns > TURNS
        assert connection.total_changes() - before == 4 * ROWS, "nothing was done again"
        transaction.rollback()
        assert await solo.rows("SELECT count(*) FROM t") == [[0]]


async def test_a_batch_that_nobody_waits_for_stops_with_its_transaction(tmp_path: Path) -> None:
    async with Solo(tmp_path) as solo:
        await solo.sql("CREATE TABLE t(a)")
        transaction = solo.runner.replica.writer.begin(Settings.FOREIGN_KEYS, immediate=True)
        endless = "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n)"
        many = Many(f"{endless} SELECT max(i) FROM n", [[n] for n in range(100)])
        heard = Heard()
        step = Step([Batch(many, encode(many))], 100, heard)
        transaction.execute(step, None)
        meter = solo.runner.stores.machine._writer.meter
        await turns_until(lambda: meter.burnt > 10)
        step.cancelled = True
        await turns_until(lambda: heard.times > 0)
        assert heard.why is Why.CANCELLED
        assert await solo.sql("INSERT INTO t VALUES (1)") == Done(1, 1)


async def test_a_read_of_a_transaction_that_writes_stops_when_nobody_waits_for_it(
    tmp_path: Path,
) -> None:
    """It runs as any statement does, but what its client has given up is the read."""
    async with Solo(tmp_path) as solo:
        transaction = solo.runner.replica.writer.begin(Settings.FOREIGN_KEYS, immediate=True)
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        sql = f"{endless} SELECT max(i) FROM n"
        heard = Heard()
        read = Read(sql, None, heard)
        transaction.execute(Step([Statement(sql)], 100, heard, fuel=200_000), read)
        meter = solo.runner.stores.machine._writer.meter
        await turns_until(lambda: meter.burnt > 10)
        read.cancelled = True
        await turns_until(lambda: heard.times > 0)
        assert heard.why is Why.CANCELLED


async def test_a_statement_that_fails_after_a_long_one_takes_its_request_back_alone(
    tmp_path: Path,
) -> None:
    async with Solo(tmp_path) as solo:
        await solo.sql("CREATE TABLE t(a CHECK (a IS NOT 'bad'))")
        transaction = solo.runner.replica.writer.begin(Settings.FOREIGN_KEYS, immediate=True)
        for texts, fails in (
            (["INSERT INTO t VALUES (-1)"], False),
            (["INSERT INTO t VALUES (-2)", LONG, "INSERT INTO t VALUES ('bad')"], True),
            (["SELECT a FROM t"], False),
        ):
            reply = Awaited()
            transaction.execute(Step([Statement(text) for text in texts], 100, reply), None)
            answer = decode_answer((await reply.future)[1])
            assert isinstance(answer, Done) is not fails
        assert answer.rows == [[-1]]
        transaction.rollback()


async def test_an_apply_with_a_verify_in_it_goes_on_after_its_mark(tmp_path: Path) -> None:
    async with Solo(tmp_path) as solo:
        await solo.sql("CREATE TABLE t(a)")
        together = [
            solo.propose(CommandKind.VERIFY, b"test"),
            solo.sql("INSERT INTO t VALUES (1)"),
            solo.sql(LONG),
        ]
        _, first, long = await asyncio.gather(*together)
        assert first == Done(1, 1)
        assert long == Done(ROWS, ROWS + 1)


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("fault", ["job", "then"])
async def test_the_first_fault_ends_the_lane(small: bool, fault: str) -> None:
    failures: asyncio.Queue[BaseException] = asyncio.Queue()
    lane = Lane(asyncio.get_running_loop(), "test", failures.put_nowait)
    heard: list[Any] = []

    def broken(*_: object) -> None:
        raise ValueError("broken")

    job, then = (broken, heard.append) if fault == "job" else (int, broken)
    lane.do(job, then, small=small)
    lane.do(int, heard.append, small=False)
    assert str(await failures.get()) == "broken"
    lane.do(int, heard.append, small=True)
    await lane.close()
    assert heard == []
    assert failures.empty(), "the first fault is told, and no other"
