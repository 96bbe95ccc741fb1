"""The consoles of three real nodes: what a page sees when a leader dies, from any of them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.console.browsing import Browser, leave_all
from tests.operations.nodes import Nodes, free_ports

pytestmark = pytest.mark.e2e

SHOWN_SECONDS = 2.0


class Consoles(Nodes):
    """Nodes that serve consoles, each on a port of its own."""

    def __init__(self, folder: Path, count: int) -> None:
        super().__init__(folder, count)
        self.places = [f"127.0.0.1:{port}" for port in free_ports(count)]

    def start(self, number: int) -> None:
        # Patient enough that a busy machine alone makes nobody campaign.
        self._flags = ("--http", self.places[number - 1], "--console", "--election-ms", "1000")
        super().start(number)

    async def browser(self, number: int) -> Browser:
        made = Browser(self.places[number - 1])
        assert (await made.get("/api/me")).status == 200
        return made


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Consoles]:
    with Consoles(tmp_path / "nodes", 3) as found:
        yield found


@pytest.fixture(autouse=True)
async def _leaving() -> AsyncIterator[None]:
    yield
    leave_all()


async def pictures(browser: Browser, seen: list[tuple[float, str, Any]]) -> None:
    """Note what a page is told, and when."""
    stream = await browser.open("GET", "/api/events")
    async for name, told in stream.events():
        seen.append((time.monotonic(), name, told))


async def until(happened: Any, what: str, seconds: float = 30.0) -> None:
    give_up_at = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < give_up_at, f"waited in vain for {what}"
        await asyncio.sleep(0.01)


def clusters(seen: list[tuple[float, str, Any]]) -> list[tuple[float, Any]]:
    return [(at, told) for at, name, told in seen if name == "cluster"]


def complete(seen: list[tuple[float, str, Any]]) -> bool:
    """All members answer, and one is seen to lead."""
    if not clusters(seen):
        return False
    told = clusters(seen)[-1][1]
    roles = [member["role"] for member in told["members"] if member["reachable"]]
    return len(roles) == 3 and roles.count("leader") == 1


async def test_the_death_of_a_leader_is_seen_and_the_next_one_within_two_seconds(
    nodes: Consoles,
) -> None:
    leader = nodes.leader()
    others = [number for number in (1, 2, 3) if number != leader]
    seen: dict[int, list[tuple[float, str, Any]]] = {number: [] for number in others}
    tasks = [
        asyncio.create_task(pictures(await nodes.browser(number), seen[number]))
        for number in others
    ]
    for number in others:
        await until(lambda n=number: complete(seen[n]), "a whole picture")
        assert clusters(seen[number])[-1][1]["leader"] == leader
    nodes.kill(leader)
    killed = time.monotonic()
    await until(lambda: any(nodes.status(n).get("role") == "leader" for n in others), "a leader")
    led = time.monotonic()
    for number in others:

        def shown(number: int = number) -> list[float]:
            return [
                at for at, told in clusters(seen[number])
                if at > killed and told["leader"] in others
            ]  # fmt: skip

        await until(shown, "the new leader on the page")
        assert shown()[0] - led < SHOWN_SECONDS

        def gone(number: int = number) -> bool:
            told = clusters(seen[number])[-1][1]
            return f"node {leader} does not answer" in told["alarms"]

        await until(gone, "the dead node to be shown as gone")
        happened = [told for _, name, told in seen[number] if name == "happened"]
        assert any(one["kind"] == "election" and "leads" in one["text"] for one in happened)
        # One that is gone delays no picture.
        times = [at for at, _ in clusters(seen[number])]
        assert max(b - a for a, b in pairwise(times)) < SHOWN_SECONDS
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_every_node_takes_sql_and_wishes_whoever_leads(nodes: Consoles) -> None:
    browsers = [await nodes.browser(number) for number in (1, 2, 3)]
    await browsers[0].query("CREATE TABLE t(a)")
    for number, browser in enumerate(browsers, start=1):
        assert (await browser.query(f"INSERT INTO t VALUES ({number})"))[-1]["end"]["changes"] == 1
        name = (await browser.post("/api/transactions")).json["transaction"]
        await browser.query(f"INSERT INTO t VALUES ({number * 10})", transaction=name)
        reply = await browser.post(f"/api/transactions/{name}/commit")
        assert reply.status == 200, reply.body
    for browser in browsers:
        assert await browser.rows("SELECT sum(a) FROM t") == [[66]]
    leader = nodes.leader()
    follower = browsers[nodes.follower() - 1]
    target = next(number for number in (1, 2, 3) if number != leader)
    reply = await follower.post("/api/actions/transfer", {"to": target})
    assert reply.json["leader"] == target, reply.body
    assert (await follower.post("/api/actions/verify")).json["complete"] is True
    away = next(number for number in (1, 2, 3) if number not in (target, leader))
    demoted = await follower.post("/api/actions/add", {"node_id": away, "learner": True})
    assert demoted.status == 200, demoted.body
    promoted = await follower.post("/api/actions/promote", {"node_id": away})
    assert "has a vote" in promoted.json["text"]
    removed = await browsers[target - 1].post("/api/actions/remove", {"node_id": away})
    assert len(removed.json["members"]) == 2
    happened = (await browsers[target - 1].get("/api/timeline")).json["happened"]
    assert any(one["kind"] == "membership" and f"n{away}" in one["text"] for one in happened)


async def test_a_transaction_whose_leader_dies_is_lost_and_says_so(nodes: Consoles) -> None:
    browser = await nodes.browser(nodes.follower())
    await browser.query("CREATE TABLE t(a)")
    name = (await browser.post("/api/transactions")).json["transaction"]
    await browser.query("INSERT INTO t VALUES (1)", transaction=name)
    nodes.kill(nodes.leader())
    lines = await browser.query("INSERT INTO t VALUES (2)", transaction=name, timeout=20)
    assert lines[-1]["error"]["kind"] == "transaction_lost"
    assert lines[-1]["error"]["transaction"] is None
    assert (await browser.query("INSERT INTO t VALUES (3)"))[-1]["end"]["changes"] == 1
    assert await browser.rows("SELECT a FROM t") == [[3]]


async def test_without_a_majority_the_page_still_says_what_it_knows(nodes: Consoles) -> None:
    survivor = nodes.follower()
    browser = await nodes.browser(survivor)
    await browser.query("CREATE TABLE t(a)")
    await browser.rows("SELECT * FROM t", consistency="session")
    for number in (1, 2, 3):
        if number != survivor:
            nodes.kill(number)
    seen: list[tuple[float, str, Any]] = []
    task = asyncio.create_task(pictures(browser, seen))
    await until(
        lambda: clusters(seen) and "no leader is known" in clusters(seen)[-1][1]["alarms"],
        "the alarm",
    )
    told = clusters(seen)[-1][1]
    assert told["leader"] is None
    assert [m["reachable"] for m in told["members"]].count(True) == 1
    assert await browser.rows("SELECT count(*) FROM t", consistency="stale") == [[0]]
    lines = await browser.query("INSERT INTO t VALUES (1)", timeout=1)
    assert lines[-1]["error"]["kind"] in ("unavailable", "timeout")
    assert [t["name"] for t in (await browser.get("/api/schema")).json["tables"]] == ["t"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.long
async def test_ten_million_rows_flow_by_and_the_node_stays_small(nodes: Consoles) -> None:
    leader = nodes.leader()
    browser = await nodes.browser(leader)
    sql = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10000000)"
        " SELECT i FROM n"
    )
    before = nodes.status(leader)["memory_bytes"]
    most, waits = [before], []
    stop = threading.Event()

    def look() -> None:
        with nodes.connect() as connection:
            while not stop.wait(0.05):
                began = time.monotonic()
                connection.execute("SELECT 1").fetchall()
                waits.append(time.monotonic() - began)
                most.append(nodes.status(leader).get("memory_bytes", 0))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        term = nodes.status(leader)["term"]
        stream = await browser.open("POST", "/api/query", {"sql": sql, "timeout": 600})
        count = size = 0
        async with asyncio.timeout(110):
            async for piece in stream.pieces():
                size += len(piece)
                count += piece.count(b"],") + piece.count(b"]]}")
    finally:
        stop.set()
        looking.join()
    assert count == 10_000_000
    assert max(most) - before < 64 << 20
    assert sorted(waits)[len(waits) // 2] < 0.1
    assert nodes.status(leader)["term"] == term


async def test_a_page_that_does_not_read_costs_no_memory(nodes: Consoles) -> None:
    leader = nodes.leader()
    browser = await nodes.browser(leader)
    sql = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        " SELECT hex(zeroblob(1000)) FROM n"
    )
    before = nodes.status(leader)["memory_bytes"]
    streams = [await browser.open("POST", "/api/query", {"sql": sql}) for _ in range(12)]
    refused = 0
    for stream in streams[6:]:
        async for line in stream.lines():
            refused += b'"busy"' in line
    assert refused == 6
    assert await browser.rows("SELECT 1") == [[1]]
    with nodes.connect() as connection:
        connection.execute("CREATE TABLE t(a)")
        assert nodes.status(leader)["memory_bytes"] - before < 64 << 20
    for stream in streams:
        stream.leave()


async def test_long_and_binary_cells_are_cut_and_say_so(nodes: Consoles) -> None:
    browser = await nodes.browser(nodes.leader())
    (row,) = await browser.rows(
        "SELECT hex(zeroblob(2500000)), zeroblob(5000000), CAST(x'ff41' AS TEXT), 'a' || char(0)"
    )
    assert row[0] == {"text": "0" * 4096, "length": 5_000_000}
    assert row[1]["length"] == 5_000_000
    assert len(row[1]["blob"]) < 400
    assert row[2:] == ["\ufffdA", "a\0"]
    deep = "SELECT " + "(" * 5000 + "1" + ")" * 5000
    assert "error" in (await browser.query(deep))[-1]
    assert (await browser.post("/api/check", {"sql": deep})).status == 200
    assert "error" in (await browser.post("/api/plan", {"sql": deep})).json
    wide = "SELECT " + ", ".join(f"'{'x' * 500}' AS c{n}" for n in range(1500))
    (row,) = await browser.rows(wide)
    assert len(row) == 1500
    assert row[0]["length"] == 500


@pytest.mark.long
async def test_hundreds_of_pages_look_at_one_node_through_one_gatherer(nodes: Consoles) -> None:
    leader = nodes.leader()
    browser = await nodes.browser(leader)
    browsers = [await nodes.browser(leader) for _ in range(10)]
    streams = [await each.open("GET", "/api/events") for each in browsers for _ in range(30)]
    assert {stream.status for stream in streams} == {200}
    one_more = await browser.ask("GET", "/api/events")
    assert (one_more.status, one_more.kind) == (429, "busy")

    async def first(stream: Any) -> str:
        async with asyncio.timeout(30):
            async for name, _ in stream.events():
                return str(name)
        return ""

    names = await asyncio.gather(*(first(stream) for stream in streams))
    assert set(names) == {"cluster"}
    assert await browser.rows("SELECT 1") == [[1]]
    assert nodes.status(leader)["role"] == "leader"
    for stream in streams:
        stream.leave()
