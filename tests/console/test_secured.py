"""The consoles of a cluster with certificates and users: what one node shows of all."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.console.browsing import Browser, leave_all
from tests.operations.nodes import free_ports
from tests.security.secured import PASSWORDS, Secured

pytestmark = [pytest.mark.e2e, pytest.mark.long]


class Consoles(Secured):
    """Three of them, each with a page."""

    def __init__(self, folder: Path) -> None:
        self.places = [f"127.0.0.1:{port}" for port in free_ports(3)]
        super().__init__(folder, 3)

    def flags(self, number: int) -> list[str]:
        return [*super().flags(number), "--console", "--http", self.places[number - 1]]

    def browser(self, number: int) -> Browser:
        trusted = ssl.create_default_context(cafile=str(self.clients.certificate))
        return Browser(self.places[number - 1], tls=trusted)


@pytest.fixture(scope="module")
def consoles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consoles]:
    made = Consoles(tmp_path_factory.mktemp("consoles"))
    try:
        yield made.start().people()
    finally:
        made.stop()


@pytest.fixture(autouse=True)
async def _leaving() -> AsyncIterator[None]:
    yield
    leave_all()


async def test_every_member_is_seen_from_every_node(consoles: Consoles) -> None:
    for number in (1, 2, 3):
        browser = consoles.browser(number)
        await browser.login("eva", PASSWORDS["eva"])
        stream = await browser.open("GET", "/api/events")
        async with asyncio.timeout(30):
            async for name, told in stream.events():
                if name == "cluster" and all(m["reachable"] for m in told["members"]):
                    break
        assert [member["node_id"] for member in told["members"]] == [1, 2, 3]
        assert all(member["memory_bytes"] for member in told["members"])
        assert told["members"][0]["console"] == f"https://{consoles.places[0]}/console/"
        stream.leave()


async def test_rights_are_the_same_at_every_node(consoles: Consoles) -> None:
    for number in (1, 2, 3):
        ann = consoles.browser(number)
        await ann.login("ann", PASSWORDS["ann"])
        assert await ann.rows("SELECT price FROM prices") == [[7]]
        assert (await ann.query("INSERT INTO orders(what) VALUES ('x')"))[-1]["end"]["changes"] == 1
        for sql in (
            "SELECT * FROM secrets",
            "INSERT INTO prices VALUES (1, 1)",
            "DROP TABLE orders",
        ):
            assert "error" in (await ann.query(sql))[-1], sql
        for path, body in (("verify", {}), ("remove", {"node_id": 3}), ("transfer", {"to": 1})):
            reply = await ann.post(f"/api/actions/{path}", body)
            assert (reply.status, reply.kind) == (403, "forbidden")
        root = consoles.browser(number)
        await root.login("root", PASSWORDS["root"])
        verified = await root.post("/api/actions/verify")
        assert (verified.json["equal"], verified.json["complete"]) == (True, True)
        assert await root.rows("SELECT * FROM secrets") == [["hidden"]]
        assert (await root.get("/api/backup")).body.startswith(b"SQLite format 3\0")


async def test_what_administrators_do_is_noted_with_their_place(consoles: Consoles) -> None:
    root = consoles.browser(1)
    await root.login("root", PASSWORDS["root"])
    assert (await root.post("/api/actions/snapshot")).status == 200
    ann = consoles.browser(1)
    await ann.login("ann", PASSWORDS["ann"])
    lines = [json.loads(line) for line in consoles.audit(1).read_text().splitlines()]
    compacted = [line for line in lines if line["event"] == "compact"]
    assert compacted[-1]["user"] == "root"
    assert compacted[-1]["peer"].startswith("ipv4:127.0.0.1:")
    text = consoles.audit(1).read_text()
    assert not any(word in text for word in PASSWORDS.values())
    assert not any(cookie in text for cookie in root.cookies.values())
