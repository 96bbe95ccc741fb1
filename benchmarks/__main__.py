"""raftsql and its peers under the same loads, in one run, with one table.

    python -m benchmarks [--only writes,reads] [--without database-size] [--seconds 2]
                         [--nodes 3 1 5] [--rqlited PATH] [--peers etcd,sqlite3]
                         [--json FILE] [--markdown FILE] [--plots FOLDER]

What each line means is told in docs/performance.md. Everything runs on loopback, in folders that go
when the run ends. A peer that isn't installed is skipped by its name.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from benchmarks import goals
from benchmarks.machine import described
from benchmarks.plots import Points, chart
from benchmarks.results import OURS, Report
from benchmarks.run import OWN_GROUPS, PEERS, run
from benchmarks.workloads import GROUPS

RATE, SERVERS, CLIENT, MEMORY = (
    ("rate", "a second"),
    ("servers_cpu", "servers' processor seconds for 1,000"),
    ("client_us", "clients' processor, µs each"),
    ("memory_mb", "MB of the largest server"),
)
BY_SIZE = ("insert by size", "read by size")
PLOTS = (
    ("clients-inserts", "Single-row inserts", "clients", ("insert",), RATE),
    ("clients-reads", "Point reads", "clients", ("linearizable read", "stale read"), RATE),
    ("clients-mixed", "Nine reads to a write", "clients", ("90 % reads",), RATE),
    ("processes", "Inserts of processes", "processes", ("insert",), RATE),
    ("row-size", "Inserts of 8 clients", "bytes", (), RATE),
    ("database-size", "64 clients while the database grows", "megabytes", BY_SIZE, RATE),
    ("cost-clients-inserts", "What an insert costs", "clients", ("insert",), SERVERS),
    ("cost-clients-reads", "What a read costs", "clients", ("linearizable read",), SERVERS),
    ("cost-driver", "What our driver costs", "clients", ("insert", "linearizable read"), CLIENT),
    ("cost-row-size", "What an insert of 8 clients costs", "bytes", (), SERVERS),
    ("cost-database-size", "What it costs while the database grows", "megabytes", BY_SIZE, SERVERS),
    ("memory-database-size", "Memory while the database grows", "megabytes", BY_SIZE, MEMORY),
)
"""File, title, what grows (the tag it is kept under), which workloads (none means all), and which
figure."""
CLUSTER_SIZE = ("cluster-size", "Clusters of raftsql")


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    groups = (*GROUPS, *OWN_GROUPS)
    parser.add_argument("--only", type=partial(_words, groups), help=f"of {', '.join(groups)}")
    parser.add_argument("--without", type=partial(_words, groups), default=[], help="leave out")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each line")
    parser.add_argument(
        "--nodes", type=int, nargs="+", default=[3, 1, 5],
        help="sizes of our cluster; all is measured on the first, inserts and reads on the others",
    )  # fmt: skip
    parser.add_argument("--peers", type=partial(_words, PEERS), default=list(PEERS))
    parser.add_argument("--rqlited", type=Path, help="the binary of rqlite's server")
    parser.add_argument("--size-mb", type=int, default=50, help="where writes are disturbed")
    parser.add_argument("--sizes-mb", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--times", type=int, default=3, help="deaths of a leader")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the table for a document")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="write charts as SVG there")
    return parser.parse_args(arguments)


def _words(known: tuple[str, ...], text: str) -> list[str]:
    found = [word for word in text.split(",") if word]
    unknown = ", ".join(word for word in found if word not in known)
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown}: choose from {', '.join(known)}")
    return found


def write_plots(report: Report, folder: Path) -> None:
    """A chart for each thing that grows, where there is more than one point."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, title, tag, workloads, (figure, up) in PLOTS:
        series = report.series(tag, workloads, figure=figure)
        if figure == CLIENT[0]:
            series = {name: line for name, line in series.items() if name.startswith(OURS)}
        _write(folder, name, title, tag, up, series)
    for figure, up in (RATE, SERVERS):
        name, title = CLUSTER_SIZE
        name = name if figure == RATE[0] else f"cost-{name}"
        _write(folder, name, title, "nodes", up, report.by_nodes(figure))


def _write(
    folder: Path, name: str, title: str, across: str, up: str, series: dict[str, Points]
) -> None:
    if any(len(points) > 1 for points in series.values()):
        (folder / f"{name}.svg").write_text(chart(title, across, up, series))


def main() -> None:
    """Measure, print, and write what was measured."""
    options = parsed()
    machine = described()
    report = Report(partial(print, flush=True))
    report.note(", ".join(f"{name} {value}" for name, value in machine.items()))
    report.begin()
    run(options, report)
    report.compare(options.nodes[0])
    nodes = options.nodes[0]
    print(f"\n{report.table()}\n\n{goals.table(report.rows, nodes)}\n")
    for note in report.notes:
        print(f"-- {note}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(report.json(machine, goals.told(report.rows, nodes)))
    if options.markdown:
        texts = (goals.markdown(report.rows, nodes), report.markdown(), report.costs())
        options.markdown.write_text("\n".join(texts))
    if options.plots:
        write_plots(report, options.plots)


if __name__ == "__main__":
    main()
