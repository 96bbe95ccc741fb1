"""Transactions that a page begins, by a button or by text."""

from __future__ import annotations

from pathlib import Path

from tests.console.browsing import served


async def test_a_transaction_is_seen_by_others_when_it_is_committed(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        await browser.query("CREATE TABLE t(a)")
        begun = (await browser.post("/api/transactions")).json
        name = begun["transaction"]
        assert begun["idle_seconds"] > 0
        (end,) = await browser.query("INSERT INTO t VALUES (1)", transaction=name)
        assert end["end"]["transaction"] == name
        assert await browser.rows("SELECT * FROM t", transaction=name) == [[1]]
        assert await browser.rows("SELECT * FROM t", consistency="stale") == []
        reply = await browser.post(f"/api/transactions/{name}/commit")
        assert (reply.status, reply.json) == (200, {"transaction": None})
        assert await browser.rows("SELECT * FROM t") == [[1]]
        gone = await browser.post(f"/api/transactions/{name}/commit")
        assert (gone.status, gone.kind) == (404, "transaction_lost")
        other = (await browser.post("/api/transactions")).json["transaction"]
        await browser.query("DELETE FROM t", transaction=other)
        assert (await browser.post(f"/api/transactions/{other}/rollback")).status == 200
        assert await browser.rows("SELECT * FROM t") == [[1]]


async def test_a_transaction_may_be_begun_and_ended_by_text(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        await browser.query("CREATE TABLE t(a)")
        lines = await browser.query("BEGIN; INSERT INTO t VALUES (1)")
        name = lines[-1]["end"]["transaction"]
        assert name
        lines = await browser.query("INSERT INTO t VALUES (2); COMMIT", transaction=name)
        assert lines[-1]["end"]["transaction"] is None
        assert await browser.rows("SELECT * FROM t") == [[1], [2]]
        lines = await browser.query("BEGIN; INSERT INTO t VALUES (3); ROLLBACK; SELECT 1")
        assert lines[-1]["end"]["transaction"] is None
        assert await browser.rows("SELECT count(*) FROM t") == [[2]]
        assert node.console.queries == 0


async def test_a_constraint_leaves_the_transaction_open(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        await browser.query("CREATE TABLE t(a UNIQUE)")
        name = (await browser.post("/api/transactions")).json["transaction"]
        await browser.query("INSERT INTO t VALUES (1)", transaction=name)
        (line,) = await browser.query("INSERT INTO t VALUES (1)", transaction=name)
        assert line["error"]["kind"] == "constraint"
        assert line["error"]["transaction"] == name
        await browser.post(f"/api/transactions/{name}/commit")
        assert await browser.rows("SELECT * FROM t") == [[1]]


async def test_transactions_of_one_session_are_few(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        replies = [await browser.post("/api/transactions") for _ in range(5)]
        assert [reply.status for reply in replies] == [200] * 4 + [429]
        lines = await browser.query("BEGIN")
        assert lines[-1]["error"]["kind"] == "busy"
        assert lines[-1]["error"]["transaction"] is None
        stranger = await node.browser()
        name = replies[0].json["transaction"]
        reply = await stranger.post(f"/api/transactions/{name}/commit")
        assert (reply.status, reply.kind) == (404, "transaction_lost")
