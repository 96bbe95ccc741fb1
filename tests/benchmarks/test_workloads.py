"""What is chosen on the command line, and that every workload can be run."""

from pathlib import Path

import pytest

from benchmarks import disturbed
from benchmarks.__main__ import parsed, write_plots
from benchmarks.ours import Cluster
from benchmarks.peers.etcd import put, ranged
from benchmarks.peers.fleet import NotThere
from benchmarks.peers.plain import PlainFile
from benchmarks.peers.rqlite import RqliteServers
from benchmarks.results import Report
from benchmarks.run import measure, measured
from benchmarks.workloads import GROUPS, loads

ROOT = Path(__file__).parent.parent.parent
SECONDS = 0.1


def test_groups_can_be_chosen_and_unknown_ones_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert parsed(["--only", "writes,reads"]).only == ["writes", "reads"]
    with pytest.raises(SystemExit):
        parsed(["--only", "wrties"])
    assert "wrties: choose from writes" in capsys.readouterr().err


def test_every_workload_has_a_name_of_its_own() -> None:
    labels = [load.label for group in GROUPS for load in loads(group)]
    assert len(labels) == len(set(labels)) > 40


def test_every_group_is_told_in_the_documentation() -> None:
    text = (ROOT / "docs" / "performance.md").read_text()
    options = parsed([])
    missing = [group for group in (*GROUPS, *options.peers) if f"`{group}`" not in text]
    assert not missing


def test_a_peer_that_is_not_there_is_skipped_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(NotThere, match="rqlite"):
        RqliteServers(tmp_path / "rqlited", 3)


def test_requests_of_etcd_are_protobuf() -> None:
    assert put(7, b"v") == b"/etcdserverpb.KV/Put\0\n\x0bfoo00000007\x12\x01v"
    assert put(7, b"v" * 300).endswith(b"\x12\xac\x02" + b"v" * 300)
    assert ranged(7, local=True).endswith(b"foo00000007\x38\x01")


def test_sqlite3_does_one_of_every_workload() -> None:
    report = Report(lambda text: None)
    with PlainFile() as servers:
        groups = [group for group in GROUPS if group not in ("processes", "row-size")]
        measure(report, servers, 1, groups, 0.001)
    assert {"insert, 1 client", "batch of 10", "3 statements, 1 client"} <= {
        row.workload for row in report.rows
    }
    assert not report.notes


@pytest.mark.e2e
@pytest.mark.long
def test_one_of_every_workload_runs_on_a_real_cluster(tmp_path: Path) -> None:
    report = Report(lambda text: None)
    chosen = [next(iter(loads(group))) for group in GROUPS]
    chosen += [load for load in loads("reads") if load.clients == 1]
    chosen += [load for load in loads("writes") if load.clients == 8]
    chosen += [load for load in loads("ranges") if load.work.kind == "big"]
    with Cluster(3) as cluster:
        cluster.clients[0].fill()
        for load in chosen:
            row = measured(cluster, cluster.clients[0], load, 3, SECONDS, report)
            assert row is not None, report.notes
            assert row.rate > 0
            report.add(row)
        for row in disturbed.disturbed(cluster, 1, SECONDS):
            report.add(row)
            assert not row.errors
    report.compare(3)
    write_plots(report, tmp_path)
    assert (tmp_path / "clients-inserts.svg").exists()
    assert "due inserts and a join, 1 MB" in report.table()
