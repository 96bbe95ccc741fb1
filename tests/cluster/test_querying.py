"""Short reads run in place, long ones in a thread, and all of them end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from raftsql.cluster.querying import TOGETHER_MAX, Querying
from raftsql.cluster.requests import Read
from raftsql.database.readers import Page
from raftsql.sql.commands import Why
from raftsql_proto.frames import decode_rows
from tests.cluster.running import Awaited, Refused, running

NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {})"
ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
FOREVER = ENDLESS + " WHERE i < 0"


async def test_a_short_read_is_answered_in_place(tmp_path: Path) -> None:
    async with running(tmp_path / "d") as node:
        _, future = node.ask("SELECT 1")
        assert future.done()


async def test_a_long_read_runs_beside_the_loop(tmp_path: Path) -> None:
    async with running(tmp_path / "d") as node:
        _, future = node.ask(NUMBERS.format(3_000_000) + " SELECT count(*) FROM n")
        assert not future.done()
        turns = 0
        while not future.done():
            await asyncio.sleep(0.001)
            turns += 1
        assert turns > 10
        assert decode_rows((await future).rows) == [[3_000_000]]


async def test_reads_that_come_together_are_answered_each_though_one_is_long(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "d") as node:
        replies = [Awaited() for _ in range(3)]
        texts = ["SELECT 1", NUMBERS.format(500_000) + " SELECT count(*) FROM n", "SELECT 3"]
        assert isinstance(node.runner.querying, Querying)
        node.runner.querying.run(
            [Read(text, None, reply) for text, reply in zip(texts, replies, strict=True)]
        )
        pages = await asyncio.gather(*(reply.future for reply in replies))
        assert [decode_rows(page.rows) for page in pages] == [[[1]], [[500_000]], [[3]]]


async def test_the_loop_has_its_turn_between_many_reads(tmp_path: Path) -> None:
    """What is answered first leaves while the rest still runs, and heartbeats need not wait."""
    async with running(tmp_path / "d") as node:
        replies = [Awaited() for _ in range(3 * TOGETHER_MAX)]
        assert isinstance(node.runner.querying, Querying)
        node.runner.querying.run([Read("SELECT 1", None, reply) for reply in replies])
        answered = [sum(reply.future.done() for reply in replies)]
        while answered[-1] < len(replies):
            await asyncio.sleep(0)
            answered.append(sum(reply.future.done() for reply in replies))
        assert answered == [TOGETHER_MAX, 2 * TOGETHER_MAX, 3 * TOGETHER_MAX]


async def test_a_read_is_cut_at_its_deadline(tmp_path: Path) -> None:
    async with running(tmp_path / "d") as node:
        with pytest.raises(Refused) as refused:
            await node.rows(FOREVER, deadline_ms=node.runner.now_ms() + 50)
        assert refused.value.why is Why.TIMEOUT
        assert await node.rows("SELECT 1") == [[1]]


async def test_a_read_is_cut_when_its_client_does_not_want_it(tmp_path: Path) -> None:
    async with running(tmp_path / "d") as node:
        read, future = node.ask(FOREVER)
        await asyncio.sleep(0)
        read.cancelled = True
        with pytest.raises(Refused) as refused:
            await future
        assert refused.value.why is Why.CANCELLED


async def test_a_large_result_is_paged_from_one_moment(tmp_path: Path) -> None:
    async with running(tmp_path / "d") as node:
        await node.write("CREATE TABLE t (x)")
        await node.write(f"INSERT INTO t {NUMBERS.format(100)} SELECT i FROM n")
        page = await node.page("SELECT x FROM t", page_rows=30)
        await node.write("DELETE FROM t")
        rows = decode_rows(page.rows)
        while page.more is not None:
            reply = Awaited()
            node.runner.querying.next_page(page.more, Read("", None, reply, page_rows=30))
            page = await reply.future
            assert isinstance(page, Page)
            rows += decode_rows(page.rows)
        assert rows == [[i] for i in range(1, 101)]
        assert node.runner.readers.holds == 0


async def test_a_result_that_was_let_go_is_gone(tmp_path: Path) -> None:
    async with running(tmp_path / "d") as node:
        page = await node.page(ENDLESS, page_rows=5)
        assert page.more is not None
        page.more.close()
        reply = Awaited()
        node.runner.querying.next_page(page.more, Read("", None, reply))
        with pytest.raises(Refused) as refused:
            await reply.future
        assert refused.value.why is Why.CURSOR_GONE


async def test_held_results_are_bounded_and_short_reads_go_on(tmp_path: Path) -> None:
    async with running(tmp_path / "d") as node:
        asked = [node.ask(ENDLESS, page_rows=5)[1] for _ in range(100)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        pages = [page for page in found if isinstance(page, Page)]
        refused = [error for error in found if isinstance(error, Refused)]
        assert len(pages) + len(refused) == 100
        assert {error.why for error in refused} == {Why.OVERLOADED}
        assert await node.rows("SELECT 1") == [[1]]
        for page in pages:
            assert page.more is not None
            page.more.close()
        assert node.runner.readers.holds == 0
