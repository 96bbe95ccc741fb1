"""What else one console serves: verdicts, plans, files; and what is not there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from raftsql.server.metrics import Metrics
from raftsql.server.web import Web
from tests.console.browsing import Browser, served, until
from tests.rpc.net import free_port
from tests.server.test_host import made


async def test_verdicts_mark_the_words_they_are_about(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        sql = "SELECT 1; INSERT INTO t VALUES (random()); CREATE TABLE a(b); ATTACH 'x' AS y; BEGIN"
        found = (await browser.post("/api/check", {"sql": sql})).json["statements"]
        assert [(one["kind"], one["verdict"]) for one in found] == [
            ("read", "pure"), ("write", "pinned"), ("schema", "pure"), ("refused", "refused"),
            ("transaction", "pure"),
        ]  # fmt: skip
        (word,) = found[1]["words"]
        assert sql[word["start"] : word["end"]] == word["text"] == "random"
        (word,) = found[3]["words"]
        assert sql[word["start"] : word["end"]] == "ATTACH"
        assert word["why"]
        assert word["instead"]


async def test_a_plan_needs_no_values(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        await browser.query("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        for sql in (
            "SELECT * FROM t WHERE a = ?1 OR b = ?3 ORDER BY b",
            "DELETE FROM t WHERE a = :name",
            "SELECT * FROM t, t AS u WHERE t.a = ? AND u.a = ?",
        ):
            nodes = (await browser.post("/api/plan", {"sql": sql})).json["nodes"]
            assert nodes
            assert {"id", "parent", "detail"} == set(nodes[0])
        wrong = (await browser.post("/api/plan", {"sql": " SELECT * FRM t"})).json["error"]
        assert (wrong["start"], wrong["end"]) == (10, 13)
        two = await browser.post("/api/plan", {"sql": "SELECT 1; SELECT 2"})
        assert two.kind == "bad_request"


async def test_exports_hold_everything(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        sql = (
            "SELECT 1 AS a, NULL AS a, 'x,\"y' AS t, x'00ff' AS b,"
            " replace(hex(zeroblob(2500000)), '0', 'é') AS l"
        )
        csv = await browser.post("/api/export", {"sql": sql, "format": "csv"})
        assert csv.headers["content-disposition"] == 'attachment; filename="result.csv"'
        text = csv.body.decode()
        assert text.startswith('a,a,t,b,l\r\n1,,"x,""y",00ff,')
        assert text.count("é") == 5_000_000
        reply = await browser.post("/api/export", {"sql": sql, "format": "json"})
        ((row),) = json.loads(reply.body)
        assert row["l"] == "é" * 5_000_000
        assert (row["a"], row["a_2"], row["t"], row["b"]) == (1, None, 'x,"y', "AP8=")
        empty = await browser.post("/api/export", {"sql": "SELECT 1 WHERE 0", "format": "json"})
        assert empty.json == []
        for sql, kind in (
            ("CREATE TABLE t(a)", "bad_request"),
            ("SELECT x", "sql"),
            ("", "bad_request"),
        ):
            reply = await browser.post("/api/export", {"sql": sql, "format": "csv"})
            assert (reply.status, reply.kind) == (400, kind)
        assert node.console.queries == 0


@pytest.mark.parametrize(
    "path", ["/api/nothing", "/nothing", "/static/../app.py", "/static/app.py", "/static/.x.js"]
)
async def test_what_is_not_there_is_said_as_json_with_safe_headers(
    tmp_path: Path, path: str
) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        reply = await browser.get(path)
        assert (reply.status, reply.kind) == (404, "not_found")
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        wrong = await browser.ask("PUT", "/api/me")
        assert wrong.status == 405
        assert wrong.headers["x-frame-options"] == "DENY"


async def test_who_does_not_ask_for_a_console_has_none(tmp_path: Path) -> None:
    host = made(tmp_path)
    address = f"127.0.0.1:{free_port()}"
    web = Web(host, Metrics(host), address)
    web.start()
    try:
        assert web.console is None
        browser = Browser(address)
        for path in ("", "/", "/api/me"):
            assert (await browser.get(path)).status == 404
    finally:
        await web.close()
        await host.close()


async def test_an_export_that_is_cancelled_does_not_look_whole(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
        asked = {"sql": sql, "format": "csv", "id": "mine"}
        stream = await browser.open("POST", "/api/export", asked)

        async def read() -> None:
            async for piece in stream.pieces():
                if len(piece) > 1000:
                    await browser.ask("DELETE", "/api/query/mine")

        with pytest.raises((asyncio.IncompleteReadError, ValueError)):
            await read()
        await until(lambda: not node.console.queries)
        assert node.console.held == 0


async def test_who_leaves_out_the_slash_is_shown_the_way(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        reply = await Browser(node.address).get("")
        assert reply.status == 307
        assert reply.headers["location"].endswith("/console/")
