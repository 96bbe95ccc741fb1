"""The command line of the benchmark."""

from pathlib import Path

import pytest

from benchmarks.__main__ import PLOTS, parsed, write_plots
from benchmarks.results import OURS, Report, Row


def test_groups_are_chosen_and_left_out_by_name() -> None:
    options = parsed(["--only", "writes,reads", "--without", "reads"])
    assert (options.only, options.without) == (["writes", "reads"], ["reads"])


def test_a_group_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(["--only", "wrongs"])
    assert "wrongs: choose from writes" in capsys.readouterr().err


def test_every_chart_is_drawn_where_its_lines_were_measured(tmp_path: Path) -> None:
    report = Report(lambda text: None)
    for _, _, tag, workloads, _ in PLOTS:
        for workload in workloads or ("insert of so many bytes",):
            for value in (1.0, 64.0):
                report.add(
                    Row(f"{workload}, {tag} {value}", OURS, 3, 10.0, client_us=1.0,
                        servers_cpu=1.0, memory_mb=1.0, tags={tag: value})
                )  # fmt: skip
    report.add(Row(f"insert, clients {64.0}", OURS, 1, 20.0, servers_cpu=1, tags={"clients": 64.0}))
    write_plots(report, tmp_path)
    names = {file.stem for file in tmp_path.iterdir()}
    assert names == {name for name, *_ in PLOTS} | {"cluster-size", "cost-cluster-size"}


def test_one_point_is_no_chart(tmp_path: Path) -> None:
    report = Report(lambda text: None)
    report.add(Row("insert, 1 client", OURS, 3, 10.0, tags={"clients": 1.0}))
    write_plots(report, tmp_path)
    assert list(tmp_path.iterdir()) == []
