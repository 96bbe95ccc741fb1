"""The console of one node as a browser meets it: each route, and what is no use of it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest

from tests.console.browsing import Browser, served, until


async def test_who_need_not_log_in_is_somebody_all_the_same(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = Browser(node.address)
        reply = await browser.get("/api/me")
        assert reply.status == 200
        assert reply.json | {"version": 0, "address": 0} == {
            "user": None, "role": None, "users": False, "node_id": 1, "version": 0, "address": 0,
            "idle_seconds": 1800,
        }  # fmt: skip
        cookie = reply.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path=/console" in cookie
        assert "Secure" not in cookie
        again = await browser.get("/api/me")
        assert "set-cookie" not in again.headers
        assert (await browser.post("/api/logout")).status == 200
        assert (await browser.get("/api/timeline")).status == 401


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


async def test_the_schema_with_hostile_names(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        hostile = """</script><img src=x onerror=alert(1)>"'; DROP TABLE t; -- /?#%2e"""
        quoted = '"' + hostile.replace('"', '""') + '"'
        await browser.query(
            f"CREATE TABLE {quoted}(a INTEGER PRIMARY KEY, {quoted} TEXT NOT NULL DEFAULT 'x');"
            f"CREATE UNIQUE INDEX i ON {quoted}(a, {quoted}); CREATE VIEW v AS SELECT 1 AS one;"
            f"CREATE TRIGGER tr AFTER INSERT ON {quoted} BEGIN SELECT 1; END;"
            f"CREATE VIRTUAL TABLE words USING fts5(a); INSERT INTO {quoted} VALUES (1, '<b>')"
        )
        tables = {t["name"]: t for t in (await browser.get("/api/schema")).json["tables"]}
        assert set(tables) == {hostile, "v", "words"}
        assert [tables[name]["kind"] for name in (hostile, "v", "words")] == [
            "table", "view", "virtual",
        ]  # fmt: skip
        found = tables[hostile]
        assert found["columns"][1] == {
            "name": hostile, "type": "TEXT", "notnull": True, "default": "'x'", "pk": 0,
        }  # fmt: skip
        assert [(i["name"], i["unique"]) for i in found["indexes"]] == [("i", True)]
        assert [t["name"] for t in found["triggers"]] == ["tr"]
        from urllib.parse import quote

        one = (await browser.get(f"/api/schema/{quote(hostile, safe='')}")).json
        assert one == {"rows": 1, "columns": ["a", hostile], "first": [[1, "<b>"]]}
        assert (await browser.get("/api/schema/nothing")).kind == "not_found"
        assert (await browser.get("/api/schema/sqlite_raftsql_position")).status == 404


async def test_a_table_that_is_long_to_count_is_not_counted(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        await browser.query(
            "CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
            " SELECT i FROM n"
        )
        found = (await browser.get("/api/schema/endless")).json
        assert found["rows"] is None
        assert found["first"][0] == [1]


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


async def test_the_cluster_is_told_each_second(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        await browser.query("CREATE TABLE t(a)")
        answer = await browser.open("GET", "/api/events")
        assert answer.headers["content-type"].startswith("text/event-stream")
        pictures = []
        async with asyncio.timeout(20):
            async for name, told in answer.events():
                if name != "cluster":
                    continue
                pictures.append(told)
                if len(pictures) == 1:
                    await browser.query("INSERT INTO t VALUES (1)")
                if told["rates"]["writes"]:
                    break
        (member,) = pictures[-1]["members"]
        assert pictures[-1]["leader"] == 1
        assert (member["role"], member["lag"], member["reachable"]) == ("leader", 0, True)
        assert member["applied"] > 0
        assert member["memory_bytes"] > 1_000_000
        assert member["disk_bytes"] > 0
        assert member["console"] == f"http://{node.address}/console/"
        assert pictures[-1]["alarms"] == []
        assert pictures[-1]["rates"]["write_p50_ms"] > 0
        answer.leave()
        watch = node.console.watch
        await until(lambda: not watch._listeners and not watch._gathering.known)


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
