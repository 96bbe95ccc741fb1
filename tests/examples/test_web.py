"""The box office: bookings go on, and no seat is sold twice, while the leader is killed."""

from __future__ import annotations

import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from threading import Event
from typing import Any

import pytest

pytest.importorskip("sqlalchemy")

import raftsql
from tests.examples.conftest import Start
from tests.server.processes import BOUND_SECONDS, Cluster, Node, free_port, until

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """One request; the status and the JSON that came back."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body if isinstance(body, str) else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def serves(port: int) -> bool:
    try:
        return ask(port, "GET", "/seats")[0] == 200
    except OSError:
        return False


def test_each_seat_has_who_was_told_so_though_the_leader_is_killed(
    cluster: Cluster, start: Start
) -> None:
    cluster.of(3)
    port = free_port()
    start("web", "--port", str(port), url=cluster.url)
    until(lambda: serves(port), "the first page")
    some = Event()

    def visitor(name: str) -> list[tuple[int, list[int]]]:
        """Try to book every pair of neighbours, in an order of one's own."""
        pairs = [[number, number + 1] for number in range(1, 61)]
        random.Random(name).shuffle(pairs)
        told = []
        for count, pair in enumerate(pairs):
            status, _ = ask(port, "POST", "/bookings", {"name": name, "seats": pair})
            told.append((status, pair))
            if count == 10:
                some.set()
        return told

    with ThreadPoolExecutor() as pool:
        visitors = {name: pool.submit(visitor, name) for name in ("Ada", "Barbara", "Grace")}
        assert some.wait(BOUND_SECONDS)
        cluster.leader().kill()
        told = {name: done.result() for name, done in visitors.items()}

    statuses = Counter(status for each in told.values() for status, _ in each)
    assert set(statuses) == {201, 409}, "nobody saw an error"
    sold = [
        (number, name)
        for name, each in told.items()
        for status, pair in each
        if status == 201
        for number in pair
    ]
    assert len(sold) == len(dict(sold)), "no seat was sold twice"
    _, seats = ask(port, "GET", "/seats")
    assert {int(number): name for number, name in seats.items() if name} == dict(sold)
    with raftsql.connect(cluster.url) as connection:
        count = connection.execute("SELECT count(*) FROM booking").fetchone()
    assert count == (statuses[201],), "nor booked twice by the one who has it"


def test_a_wish_that_can_not_be_had_changes_nothing(tmp_path: Path, start: Start) -> None:
    node = Node(tmp_path / "node").start().serves()
    try:
        port = free_port()
        start("web", "--port", str(port), url=node.url)
        until(lambda: serves(port), "the first page")
        assert ask(port, "POST", "/bookings", {"name": "Ada", "seats": [7, 8]})[0] == 201
        for seats in ([8, 9], [101]):
            status, said = ask(port, "POST", "/bookings", {"name": "Grace", "seats": seats})
            assert status == 409
            assert "not free" in said["error"]
        for wish in ("", "[]", '{"name": "Grace"}', '{"name": "Grace", "seats": ["best"]}'):
            assert ask(port, "POST", "/bookings", wish)[0] == 400
        _, seats = ask(port, "GET", "/seats")
        assert {number for number, name in seats.items() if name} == {"7", "8"}
    finally:
        node.end()
