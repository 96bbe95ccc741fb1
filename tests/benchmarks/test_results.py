"""The table of what was measured."""

import json

import pytest

from benchmarks.histogram import Histogram
from benchmarks.results import HEADER, Measured, Report, Row


def report() -> tuple[Report, list[str]]:
    shown: list[str] = []
    return Report(shown.append), shown


def row(workload: str, by: str, rate: float, *, nodes: int = 3, unit: str = "/s") -> Row:
    return Row(workload, by, nodes, rate, unit)


def test_a_load_becomes_a_line_with_its_costs_for_each_row() -> None:
    measured = Measured(100, 2.0, Histogram([0.004] * 100), client_cpu=0.5)
    found = Row.of("batch of 10", "raftsql", 3, measured, rows=10, servers=3.0)
    assert (found.rate, found.unit) == (500.0, " rows/s")
    assert found.p50 == pytest.approx(4.0, rel=0.01)
    assert (found.client_us, found.servers_cpu) == (500.0, 3.0)


def test_processes_that_worked_at_once_are_added() -> None:
    one = Measured(10, 1.0, Histogram([0.1] * 10), 0.5)
    one.add(Measured(30, 1.5, Histogram([0.2] * 30), 0.25, errors=1))
    assert (one.count, one.elapsed, one.client_cpu, one.errors) == (40, 1.5, 0.75, 1)
    assert one.latencies.count == 40


def test_a_peers_line_tells_how_much_faster_ours_is() -> None:
    found, _ = report()
    found.add(row("insert", "raftsql", 900.0))
    found.add(row("insert", "raftsql", 100.0, nodes=5))
    found.add(row("insert", "sqlite3", 1800.0, nodes=1))
    found.compare(3)
    assert [one.ratio for one in found.rows] == [0.0, 0.0, 0.5]


def test_of_two_times_the_shorter_is_the_better() -> None:
    found, _ = report()
    found.add(row("restart", "rqlite", 3.0, unit=" s"))
    found.add(row("restart", "raftsql", 1.5, unit=" s"))
    found.compare(3)
    assert found.rows[0].ratio == 2.0


def test_a_workload_that_only_a_peer_has_is_compared_with_nothing() -> None:
    found, _ = report()
    found.add(row("insert", "etcd", 10.0))
    found.compare(3)
    assert found.rows[0].ratio == 0.0


def test_the_table_puts_a_workload_together_and_ours_first() -> None:
    found, _ = report()
    for workload, by in (("a", "etcd"), ("b", "raftsql"), ("a", "raftsql")):
        found.add(row(workload, by, 1.0))
    lines = found.table().splitlines()
    assert lines[0] == HEADER
    assert [line.split()[::2][:2] for line in lines[1:]] == [
        ["a", "raftsql"],
        ["a", "etcd"],
        ["b", "raftsql"],
    ]


def test_the_documents_table_has_a_column_for_each_system_and_shows_what_was_lost_in_bold() -> None:
    found, _ = report()
    found.add(row("insert", "raftsql", 100.0))
    found.add(row("insert", "raftsql", 50.0, nodes=5))
    found.add(row("insert", "etcd", 80.0))
    found.add(row("insert", "sqlite3", 400.0, nodes=1))
    found.compare(3)
    assert found.markdown().splitlines() == [
        "| workload | nodes | raftsql | etcd | sqlite3 |",
        "|---|---|---|---|---|",
        "| insert | 3 | 100/s | 80/s, x1.25 | 400/s, **x0.25** |",
        "| insert | 5 | 50/s |  |  |",
    ]


def test_every_line_and_note_is_shown_at_once_and_kept_in_the_json() -> None:
    found, shown = report()
    found.note("etcd isn't installed")
    found.add(row("insert", "raftsql", 1234.5))
    assert "etcd isn't installed" in shown[0]
    assert "1,234/s" in shown[1]
    told = json.loads(found.json({"cores": 2}))
    assert told["machine"] == {"cores": 2}
    assert told["notes"] == ["etcd isn't installed"]
    assert told["rows"][0]["rate"] == 1234.5


def test_a_series_grows_with_its_tag_and_keeps_the_first_clusters_figure() -> None:
    found, _ = report()
    for clients, rate, nodes in ((8, 20.0, 3), (1, 10.0, 3), (8, 99.0, 5)):
        one = row(f"insert, {clients} clients", "raftsql", rate, nodes=nodes)
        one.tags = {"clients": float(clients)}
        found.add(one)
    assert found.series("clients", ("insert",)) == {"raftsql insert": [(1.0, 10.0), (8.0, 20.0)]}


def test_rates_are_told_by_the_size_of_the_cluster() -> None:
    found, _ = report()
    for nodes, rate in ((5, 5.0), (1, 20.0)):
        one = row("insert, 64 clients", "raftsql", rate, nodes=nodes)
        one.tags = {"clients": 64.0}
        found.add(one)
    assert found.by_nodes() == {"insert, 64 clients": [(1.0, 20.0), (5.0, 5.0)]}


def test_a_plot_of_costs_leaves_out_what_was_not_measured() -> None:
    found, _ = report()
    for clients, used in ((1, 0.5), (8, 0.0)):
        one = row(f"insert, {clients} clients", "raftsql", 100.0)
        one.tags, one.servers_cpu = {"clients": float(clients)}, used
        found.add(one)
    assert found.series("clients", ("insert",), "servers_cpu") == {"raftsql insert": [(1.0, 0.5)]}


def test_costs_have_a_table_of_their_own() -> None:
    found, _ = report()
    own = Row("insert", "raftsql", 3, 100.0, client_us=20.4, servers_cpu=0.0615, memory_mb=80.0)
    found.add(own)
    found.add(row("restart", "raftsql", 1.0, unit=" s"))
    assert found.costs().splitlines()[2:] == ["| insert | 3 | 20 + 62 µs, 80 MB |"]
