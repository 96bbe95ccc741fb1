"""What an administrator does from the page: the same calls as from the command line."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.console.browsing import served


async def test_a_backup_is_the_database(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        await browser.query("CREATE TABLE t(a); INSERT INTO t VALUES ('kept')")
        reply = await browser.get("/api/backup")
        assert reply.status == 200
        assert ".db" in reply.headers["content-disposition"]
        file = tmp_path / "backup.db"
        file.write_bytes(reply.body)
        connection = sqlite3.connect(file)
        assert connection.execute("SELECT a FROM t").fetchall() == [("kept",)]
        connection.close()
        cross = await browser.ask("GET", "/api/backup", None, {"sec-fetch-site": "cross-site"})
        assert (cross.status, cross.kind) == (403, "csrf")


async def test_actions_answer_as_the_command_line_does(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        assert "durable up to" in (await browser.post("/api/actions/snapshot")).json["text"]
        verified = (await browser.post("/api/actions/verify")).json
        assert verified["equal"] is True
        assert "all nodes are equal" in verified["text"]
        for name, body in (
            ("transfer", {"to": 0}), ("add", {"address": "127.0.0.1:9"}), ("add", {"node_id": 9}),
            ("promote", {"node_id": 9}), ("remove", {"node_id": 9}), ("remove", {"node_id": 1}),
        ):  # fmt: skip
            reply = await browser.post(f"/api/actions/{name}", body)
            assert (reply.status, reply.kind) == (409, "conflict"), (name, body)
        happened = (await browser.get("/api/timeline")).json["happened"]
        assert any(one["kind"] == "snapshot" for one in happened)
        assert any(one["kind"] == "election" and "leads" in one["text"] for one in happened)
