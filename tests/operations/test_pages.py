"""The pages of real nodes, over HTTP: what a probe sees when nodes come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.operations.nodes import Nodes, free_ports


class Watched(Nodes):
    """Nodes that serve pages, each on a port of its own."""

    def __init__(self, folder: Path, count: int) -> None:
        super().__init__(folder, count)
        self.ports = free_ports(count)

    def start(self, number: int) -> None:
        place = f"127.0.0.1:{self.ports[number - 1]}"
        # Patient enough that a busy machine alone makes nobody campaign.
        self._flags = ("--http", place, "--slow-statement-ms", "10", "--election-ms", "2000")
        super().start(number)

    def page(self, number: int, path: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.ports[number - 1], timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError as error:
            return 0, str(error)
        finally:
            connection.close()

    def metric(self, number: int, name: str) -> float | None:
        _, text = self.page(number, "/metrics")
        for line in text.splitlines():
            if line.startswith(f"raftsql_{name} "):
                return float(line.split()[-1])
        return None


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with Watched(tmp_path_factory.mktemp("pages") / "nodes", 3) as found:
        yield found


def test_ready_nodes_say_so_and_agree_on_who_leads(nodes: Watched) -> None:
    for number in (1, 2, 3):
        nodes.wait_until(lambda n=number: nodes.page(n, "/readyz")[0] == 200, "it to be ready")  # type: ignore[misc]
        assert nodes.page(number, "/livez") == (200, "alive\n")
    leader = nodes.leader()
    assert nodes.metric(leader, "raft_is_leader") == 1
    for number in (1, 2, 3):
        nodes.wait_until(lambda n=number: nodes.metric(n, "raft_leader") == leader, "one word")  # type: ignore[misc]


def test_what_clients_do_is_counted_where_they_are_connected(nodes: Watched) -> None:
    leader = nodes.leader()
    with nodes.connect() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS counted(v)")
        for number in range(20):
            connection.execute("INSERT INTO counted VALUES (?)", (number,))
    texts = "\n".join(nodes.page(number, "/metrics")[1] for number in (1, 2, 3))
    assert 'raftsql_statement_seconds_count{kind="write",outcome="done"}' in texts
    _, text = nodes.page(leader, "/metrics")
    series = [x for x in text.splitlines() if x.startswith("raftsql_raft_commit_seconds_count")]
    assert float(series[0].split()[-1]) > 0


@pytest.mark.long
def test_a_node_without_a_majority_is_alive_and_not_ready(nodes: Watched) -> None:
    survivor, *others = 1, 2, 3
    for number in others:
        nodes.kill(number)
    nodes.wait_until(lambda: nodes.page(survivor, "/readyz")[0] == 503, "it to be not ready")
    assert nodes.page(survivor, "/readyz")[1] == "no leader is known\n"
    assert nodes.page(survivor, "/livez") == (200, "alive\n")
    assert nodes.status(survivor)["unready_because"] == "no leader is known"
    for number in others:
        nodes.start(number)
    nodes.wait_until(lambda: nodes.page(survivor, "/readyz")[0] == 200, "it to be ready again")


def test_a_crowd_of_scrapes_costs_no_leader_its_lead(nodes: Watched) -> None:
    leader = nodes.leader()
    before = nodes.metric(leader, "raft_leader_changes_total")
    give_up_at = time.monotonic() + 3.0
    scraped = [0] * 4

    def scrape(place: int) -> None:
        while time.monotonic() < give_up_at:
            assert nodes.page(leader, "/metrics")[0] == 200
            scraped[place] += 1

    threads = [threading.Thread(target=scrape, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(scraped) > 20
    assert nodes.leader() == leader
    assert nodes.metric(leader, "raft_leader_changes_total") == before


def test_a_node_that_does_not_lead_hands_nothing_over(nodes: Watched) -> None:
    leader, follower = nodes.leader(), nodes.follower()
    done = nodes.run("transfer", "--away", url=nodes.addresses[follower - 1])
    assert (done.code, done.out) == (0, f"node {leader} leads\n")
    assert nodes.leader() == leader
    done = nodes.run("transfer", "--away", url=nodes.addresses[leader - 1])
    assert done.code == 0
    assert nodes.leader() != leader


def test_members_and_elections_are_lines_of_the_log(nodes: Watched) -> None:
    assert "is a member now: a voter" in nodes.log(1)
    assert any("is leader, led by" in nodes.log(number) for number in (1, 2, 3))


def test_a_slow_statement_is_a_line_of_the_log_without_its_values(nodes: Watched) -> None:
    text = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 400000)"
    with nodes.connect() as connection:
        connection.execute(f"{text} SELECT count(*), ? FROM n", ("hunter2",)).fetchone()
    logs = ""

    def named() -> bool:
        nonlocal logs
        logs = "".join(nodes.log(number) for number in (1, 2, 3))
        return f"slow: {text}" in logs

    nodes.wait_until(named, "the line")
    assert "hunter2" not in logs
    assert "outcome=done" in logs
