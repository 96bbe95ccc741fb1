"""SQL from the page: rows, errors at their places, limits, cancelling, and pages that go away."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.console.browsing import served, until


async def test_rows_and_ends_of_several_statements(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        lines = await browser.query(
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b); -- a table\n"
            "INSERT INTO t(b) VALUES (1), (NULL), (x'00ff'), (1e999), (9007199254740993), ('é');"
            "SELECT * FROM t"
        )
        assert [line["statement"] for line in lines if "statement" in line] == [0, 1, 2]
        ends = [line["end"] for line in lines if "end" in line]
        assert [(end["rows"], end["changes"], end["last_row"]) for end in ends] == [
            (0, None, None), (0, 6, 6), (6, None, None),
        ]  # fmt: skip
        assert {"columns": ["a", "b"]} in lines
        assert [row for line in lines for row in line.get("rows", [])] == [
            [1, 1], [2, None], [3, {"blob": "AP8=", "length": 2}], [4, {"real": "inf"}],
            [5, {"int": "9007199254740993"}], [6, "é"],
        ]  # fmt: skip


async def test_an_error_points_at_its_place_in_the_whole_text(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        text = "SELECT 'é';\nSELECT * FRM t; SELECT 3"
        lines = await browser.query(text)
        error = lines[-1]["error"]
        assert text[error["start"] : error["end"]] == "FRM"
        assert error["kind"] == "sql"
        assert not any("SELECT 3" in line.get("sql", "") for line in lines)
        named = (await browser.query("SELECT 1, x FROM y"))[-1]["error"]
        assert "SELECT 1, x FROM y"[named["start"] : named["end"]] == "y"
        refused = (await browser.query("SELECT 1; ATTACH 'x' AS y"))[-1]["error"]
        assert (refused["kind"], refused["start"]) == ("refused", 10)
        unplaced = (await browser.query("SELECT json('{')"))[-1]["error"]
        assert (unplaced["start"], unplaced["end"]) == (None, None)


async def test_parameters_of_every_kind(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        given = [1, None, "x", {"int": "9223372036854775807"}, {"real": "-inf"}, {"blob": "AAE="}]
        (row,) = await browser.rows("SELECT ?, ?, ?, ?, ?, typeof(?)", parameters=given)
        assert row == [1, None, "x", {"int": "9223372036854775807"}, {"real": "-inf"}, "blob"]
        assert await browser.rows("SELECT :a + @b", parameters={"a": 1, "b": 2}) == [[3]]
        for wrong in ([[1]], [{"blob": "%"}], [{"int": "x"}], [{"other": 1}], {"a": {"text": 1}}):
            reply = await browser.post("/api/query", {"sql": "SELECT ?", "parameters": wrong})
            assert (reply.status, reply.kind) == (400, "bad_request")
        reply = await browser.post("/api/query", {"sql": "SELECT ?; SELECT 1", "parameters": [1]})
        assert reply.kind == "bad_request"


async def test_no_statement_at_all_is_no_error(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        for text in ("", "  ", "-- nothing", ";;"):
            (line,) = await browser.query(text)
            assert line["end"]["rows"] == 0


async def test_a_limit_cuts_and_says_so(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
        lines = await browser.query(sql, limit=1000)
        assert lines[-1]["end"]["rows"] == 1000
        assert lines[-1]["end"]["more"] is True
        assert "more" not in (await browser.query("SELECT 1", limit=5))[-1]["end"]


async def test_a_long_query_is_cancelled_where_it_runs(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        endless = (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT count(*) FROM n"
        )
        asking = asyncio.create_task(browser.query(endless, id="mine"))
        streams = node.host.clients.streams
        await until(lambda: any(stream._open for stream in streams))
        twice = await browser.post("/api/query", {"sql": "SELECT 1", "id": "mine"})
        assert (twice.status, twice.kind) == (409, "conflict")
        stranger = await node.browser()
        assert (await stranger.ask("DELETE", "/api/query/mine")).status == 404
        assert (await browser.ask("DELETE", "/api/query/mine")).status == 200
        lines = await asking
        assert lines[-1]["error"]["kind"] == "cancelled"
        await until(lambda: not any(stream._open for stream in streams))
        assert (await browser.ask("DELETE", "/api/query/mine")).status == 404
        assert await browser.rows("SELECT 1") == [[1]]


async def test_a_page_that_goes_away_ends_its_query(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
        answer = await browser.open("POST", "/api/query", {"sql": sql})
        read = 0
        async for line in answer.lines():
            read += len(line)
            if read > 1_000_000:
                break
        assert node.console.queries == 1
        answer.leave()
        await until(lambda: not node.console.queries)
        (stream,) = node.host.clients.streams
        await until(lambda: not stream._cursors and not stream._open)
