"""Who is let through, to what: every route by nobody, by somebody of each role, and by other sites.

The routes are found in the application itself: a new one is asked for here before anybody has
thought about it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from raftsql.server.console import guarding
from raftsql.server.console.app import POINTS
from raftsql.server.console.guarding import Takes
from raftsql_proto import users_pb2
from tests.console.browsing import PASSWORD, Browser, Served, served, until

BODIES: dict[str, Any] = {
    "/api/query": {"sql": "SELECT 1"},
    "/api/export": {"sql": "SELECT 1", "format": "csv"},
    "/api/check": {"sql": "SELECT 1"},
    "/api/plan": {"sql": "SELECT 1"},
    "/api/actions/remove": {"node_id": 9},
    "/api/actions/add": {"node_id": 9},
    "/api/actions/promote": {"node_id": 9},
    "/api/login": {"user": "eva", "password": "a guess"},
}


@asynccontextmanager
async def closed(folder: Path, *flags: str) -> AsyncIterator[Served]:
    """A node with users: an admin, one who writes, one who reads, one who may nothing."""
    async with served(folder, *flags) as node:
        await node.add("root", role="admin")
        await node.add("ann", role="write")
        await node.add("rea", role="read")
        await node.add("eva")
        yield node


def path_of(path: str) -> str:
    return path.replace("{id}", "1").replace("{name}", "x.js")


async def test_every_route_is_a_point_that_says_what_it_takes(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        served_app: Any = node.console.mount().app
        routes = served_app.inner.routes
        assert all(isinstance(route, Route) for route in routes)
        points = [getattr(route.endpoint, "point", None) for route in routes]
        assert points == list(POINTS)
        open_to_all = {point.path for point in POINTS if point.takes is Takes.NOTHING}
        assert open_to_all == {"/", "/static/{name}", "/api/login", "/api/me"}
        actions = {point for point in POINTS if "/actions/" in point.path or "backup" in point.path}
        assert {point.takes for point in actions} == {Takes.ADMIN}


async def test_nobody_gets_nowhere(tmp_path: Path) -> None:
    async with closed(tmp_path) as node:
        stranger = Browser(node.address)
        forged = Browser(node.address, {node.console.cookie: "A" * 43})
        for point in POINTS:
            path = path_of(point.path)
            if path in ("/", "/static/x.js"):
                continue
            body = BODIES.get(point.path)
            reply = await stranger.ask(point.method, path, body)
            assert (reply.status, reply.kind) == (401, "login"), point.path
            if point.path != "/api/login":
                reply = await forged.ask(point.method, path, body)
                assert (reply.status, reply.kind) == (401, "expired"), point.path


async def test_who_is_no_admin_may_not_act(tmp_path: Path) -> None:
    async with closed(tmp_path) as node:
        before = node.host.membership()
        for name in ("ann", "rea", "eva"):
            browser = await node.browser(name)
            for point in POINTS:
                if point.takes is Takes.ADMIN:
                    body = BODIES.get(point.path)
                    reply = await browser.ask(point.method, path_of(point.path), body)
                    assert (reply.status, reply.kind) == (403, "forbidden"), point.path
        assert node.host.membership() == before
        root = await node.browser("root")
        assert (await root.post("/api/actions/snapshot")).status == 200
        assert (await root.get("/api/backup")).status == 200


async def test_sql_is_judged_by_the_users_own_rights(tmp_path: Path) -> None:
    async with closed(tmp_path) as node:
        root = await node.browser("root")
        await root.query("CREATE TABLE t(a); INSERT INTO t VALUES (1)")
        ann, rea, eva = [await node.browser(name) for name in ("ann", "rea", "eva")]
        assert (await ann.query("INSERT INTO t VALUES (2)"))[-1]["end"]["changes"] == 1
        assert await rea.rows("SELECT count(*) FROM t") == [[2]]
        refused = (await rea.query("INSERT INTO t VALUES (3)"))[-1]["error"]
        assert refused["kind"] == "sql"
        assert "rea" in refused["message"]
        for browser in (rea, eva):
            name = (await browser.post("/api/transactions")).json["transaction"]
            lines = await browser.query("INSERT INTO t VALUES (3)", transaction=name)
            assert "error" in lines[-1]
        assert "error" in (await eva.query("SELECT * FROM t"))[-1]
        export = await eva.post("/api/export", {"sql": "SELECT * FROM t", "format": "csv"})
        assert export.status == 400
        assert (await eva.get("/api/table?name=t")).status == 400
        assert [t["name"] for t in (await eva.get("/api/schema")).json["tables"]] == ["t"]
        assert await root.rows("SELECT count(*) FROM t") == [[2]]


async def test_me_says_who_one_is(tmp_path: Path) -> None:
    async with closed(tmp_path) as node:
        for name, role in (("root", "admin"), ("ann", "write"), ("rea", "read"), ("eva", "none")):
            me = (await (await node.browser(name)).get("/api/me")).json
            assert (me["user"], me["role"], me["users"]) == (name, role, True)


async def test_a_wrong_password_is_noted_and_slowed_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    audit = tmp_path / "audit.log"
    async with closed(tmp_path, "--audit-log", str(audit)) as node:
        stranger = Browser(node.address)
        statuses = []
        for _ in range(6):
            guess = {"user": "root", "password": "hunter2 is no word"}
            reply = await stranger.post("/api/login", guess)
            statuses.append(reply.status)
            assert reply.kind == "login"
            assert "hunter2" not in reply.body.decode()
        assert statuses[:5] == [401] * 5
        assert statuses[5] == 429
        notes = audit.read_text()
        assert '"event": "login"' in notes
        assert "refused" in notes
        assert "127.0.0.1" in notes
        browser = await node.browser("ann")
        secret = browser.cookies[node.console.cookie]
        await browser.post("/api/logout")
        everything = audit.read_text() + caplog.text
        assert '"event": "logout"' in everything
        for word in ("hunter2", PASSWORD, secret, "rt1."):
            assert word not in everything


async def test_a_login_is_gone_with_its_user_and_with_a_new_password(tmp_path: Path) -> None:
    async with closed(tmp_path) as node:
        ann, rea = await node.browser("ann"), await node.browser("rea")
        root = await node.browser("root")
        await root.query("CREATE TABLE t(a)")
        name = (await ann.post("/api/transactions")).json["transaction"]
        await ann.query("SELECT * FROM t", transaction=name)
        assert node.host.runner is not None
        assert node.host.runner.replica.writer.open_count == 1
        stream = await rea.open("GET", "/api/events")
        told = asyncio.create_task(last_event(stream))
        await node.change("ann", password="another long word")
        await node.change("rea", remove=True)
        for browser in (ann, rea):
            reply = await browser.post("/api/query", {"sql": "SELECT 1"})
            assert (reply.status, reply.kind) == (401, "expired")
        assert await told == "expired"
        await until(lambda: len(node.console.sessions) == 1)
        writer = node.host.runner.replica.writer
        await until(lambda: not writer.open_count)
        assert await root.rows("SELECT 1") == [[1]]


async def last_event(stream: Any) -> str:
    async with asyncio.timeout(20):
        return [name async for name, _ in stream.events()][-1]


async def test_a_login_ends_what_the_browser_had_open_as_somebody_else(tmp_path: Path) -> None:
    async with closed(tmp_path) as node:
        browser = await node.browser("ann")
        earlier = Browser(node.address, dict(browser.cookies))
        stream = await browser.open("GET", "/api/events")
        told = asyncio.create_task(last_event(stream))
        await browser.login("rea")
        assert await told == "expired"
        assert len(node.console.sessions) == 1
        assert (await browser.get("/api/me")).json["user"] == "rea"
        assert (await earlier.get("/api/me")).kind == "expired"


async def test_a_second_login_of_the_same_user_ends_nothing(tmp_path: Path) -> None:
    async with closed(tmp_path) as node:
        browser = await node.browser("ann")
        name = (await browser.post("/api/transactions")).json["transaction"]
        await browser.login("ann")
        assert await browser.rows("SELECT 1", transaction=name) == [[1]]
        assert len(node.console.sessions) == 1
        wrong = await browser.post("/api/login", {"user": "ann", "password": "a guess"})
        assert (wrong.status, wrong.kind) == (401, "login")


async def test_behind_a_proxy_that_speaks_tls_the_cookie_is_for_tls_alone(tmp_path: Path) -> None:
    async with closed(tmp_path) as node:
        given = {"user": "ann", "password": PASSWORD}
        for scheme, is_secure in (("http", False), ("https", True)):
            origin = f"{scheme}://{node.address}"
            reply = await Browser(node.address).post("/api/login", given, origin=origin)
            assert ("secure" in reply.headers["set-cookie"].lower()) is is_secure


async def test_a_login_that_is_not_used_ends_with_what_it_has_open(tmp_path: Path) -> None:
    async with closed(tmp_path, "--console-idle-seconds", "1") as node:
        root = await node.browser("root")
        await root.query("CREATE TABLE t(a)")
        name = (await root.post("/api/transactions")).json["transaction"]
        await root.query("INSERT INTO t VALUES (1)", transaction=name)
        await until(lambda: not len(node.console.sessions))
        reply = await root.post("/api/query", {"sql": "SELECT 1"})
        assert (reply.status, reply.kind) == (401, "expired")
        await root.login("root")
        assert await root.rows("SELECT * FROM t") == []
        assert (await root.query("INSERT INTO t VALUES (2)"))[-1]["end"]["changes"] == 1


async def test_users_that_come_to_be_end_the_sessions_of_nobody(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        nobody = await node.browser()
        assert await nobody.rows("SELECT 1") == [[1]]
        await node.change("root", add=users_pb2.AddUser(password=PASSWORD, role="admin"))
        reply = await nobody.post("/api/query", {"sql": "SELECT 1"})
        assert (reply.status, reply.kind) == (401, "expired")


async def test_what_other_sites_make_a_browser_send_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        here = f"http://{node.address}"
        for headers, status in (
            ({"x-raftsql-console": ""}, 403),
            ({"origin": "http://evil.example"}, 403),
            ({"origin": "null"}, 403),
            ({"origin": f"http://{node.address}.evil.example"}, 403),
            ({"content-type": "text/plain"}, 403),
            ({"content-type": "application/x-www-form-urlencoded"}, 403),
            ({"origin": here}, 200),
            ({"origin": f"https://{node.address}"}, 200),
            ({"content-type": "application/json; charset=utf-8"}, 200),
        ):
            reply = await browser.post("/api/query", {"sql": "SELECT 1"}, **headers)
            assert reply.status == status, headers
            if status == 403:
                assert reply.kind == "csrf"
        for point in POINTS:
            if point.method != "GET":
                path = path_of(point.path)
                reply = await browser.ask(point.method, path, None, {"x-raftsql-console": "0"})
                assert (reply.status, reply.kind) == (403, "csrf")


async def test_what_other_sites_make_a_browser_fetch_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        stranger = Browser(node.address)
        for site in ("cross-site", "same-site"):
            headers = {"sec-fetch-site": site}
            assert (await stranger.ask("GET", "/", None, headers)).status == 200, "a link to it"
            for point in POINTS:
                if "/api/" in point.path:
                    path, body = path_of(point.path), BODIES.get(point.path)
                    reply = await stranger.ask(point.method, path, body, headers)
                    assert (reply.status, reply.kind) == (403, "csrf"), point.path
        assert len(node.console.sessions) == 0, "a session nobody wished for"


async def test_a_name_that_others_gave_this_machine_is_refused_while_nobody_logs_in(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        evil = {"host": "evil.example:80", "origin": "http://evil.example:80"}
        reply = await browser.ask("POST", "/api/query", {"sql": "SELECT 1"}, evil)
        assert (reply.status, reply.kind) == (403, "host")
        assert (await browser.ask("GET", "/api/me", None, {"host": "evil.example"})).status == 403
        for name in ("localhost:1", "127.0.0.1", "[::1]:4080", "10.1.2.3:80"):
            assert (await browser.ask("GET", "/api/me", None, {"host": name})).status == 200
        await node.add("root", role="admin")
        proxied = await browser.ask("GET", "/api/me", None, {"host": "console.example"})
        assert (proxied.status, proxied.kind) == (401, "expired")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"sql": 1}', b'{"sql": "x", "limit": -1}', b"\xff\xfe", b"[" * 100_000,
     b'{"sql": "SELECT 1", "timeout": 1e400}', b'{"sql": "SELECT 1", "id": ' + b'"x"' * 2 + b"}",
     b'{"sql":"SELECT 1","id":"' + b"x" * 200 + b'"}'],
)  # fmt: skip
async def test_a_body_of_another_form_is_refused(tmp_path: Path, body: bytes) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        reply = await browser.post("/api/query", body)
        assert (reply.status, reply.kind) == (400, "bad_request")


async def test_a_body_that_is_too_long_is_refused(tmp_path: Path) -> None:
    async with closed(tmp_path) as node:
        browser = await node.browser("root")
        long = {"user": "x" * 20_000, "password": ""}
        assert (await browser.post("/api/login", long)).kind == "too_large"
        text = {"sql": "SELECT '" + "x" * (4 << 20) + "'"}
        reply = await browser.post("/api/query", text)
        assert (reply.status, reply.kind) == (413, "too_large")
        # Who is nobody is not even listened to.
        assert (await Browser(node.address).post("/api/query", text)).kind == "login"


async def test_a_body_that_does_not_come_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarding, "BODY_SECONDS", 0.05)
    async with closed(tmp_path) as node:
        place, _, port = node.address.rpartition(":")
        reader, writer = await asyncio.open_connection(place, int(port))
        head = (
            "POST /console/api/login HTTP/1.1",
            f"Host: {node.address}",
            "X-Raftsql-Console: 1",
            "Content-Type: application/json",
            "Content-Length: 5",
            "Connection: close",
        )
        writer.write("\r\n".join([*head, "", ""]).encode())
        answer = await asyncio.wait_for(reader.read(), 30)
        assert b" 408 " in answer.partition(b"\r\n")[0]
        assert b"did not come within" in answer
        writer.close()


async def test_safe_headers_are_on_every_answer(tmp_path: Path) -> None:
    async with closed(tmp_path) as node:
        stranger = Browser(node.address)
        for path in ("/", "/static/none.js", "/api/me", "/api/nothing", "/api/schema"):
            headers = (await stranger.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["x-frame-options"] == "DENY"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "server" not in headers
            if path.startswith("/api"):
                assert headers["cache-control"] == "no-store"


async def test_a_failure_shows_nothing_of_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()

        def broken() -> Any:
            raise RuntimeError(f"secret of {tmp_path}")

        monkeypatch.setattr(node.console.watch, "happened", broken)
        reply = await browser.get("/api/timeline")
        assert (reply.status, reply.kind) == (500, "failed")
        assert "secret" not in reply.body.decode()
        assert "default-src" in reply.headers["content-security-policy"]
