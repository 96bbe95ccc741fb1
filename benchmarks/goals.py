"""The speeds that were aimed at, and what a run made of them.

Each goal is a ratio inside the run (by how many times ours is better than a peer's), or a figure
of ours that means something on any machine. A goal whose lines the run did not measure is told as
such: it is neither met nor missed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.results import OURS, Row


class Figures:
    """The lines of a run, by workload and system."""

    def __init__(self, rows: Sequence[Row], nodes: int) -> None:
        """Of our own, those of the cluster of this size."""
        self._rows = {
            (row.workload, row.by): row
            for row in rows
            if row.by != OURS or row.nodes == nodes or row.better_is_less
        }

    def ratio(self, workload: str, peer: str) -> float | None:
        """Our rate divided by the peer's."""
        ours, other = self._both(workload, peer)
        return None if ours is None or other is None else ours.rate / other.rate

    def sooner(self, workload: str, peer: str) -> float | None:
        """The peer's median time divided by ours."""
        ours, other = self._both(workload, peer)
        return None if ours is None or other is None else other.p50 / ours.p50

    def tail(self, workload: str) -> float | None:
        """How many times the median the 99th percentile of ours is."""
        ours = self._rows.get((workload, OURS))
        return None if ours is None else ours.p99 / ours.p50

    def rate(self, workload: str) -> float | None:
        """Our rate, or our time where the figure is one."""
        ours = self._rows.get((workload, OURS))
        return None if ours is None else ours.rate

    def _both(self, workload: str, peer: str) -> tuple[Row | None, Row | None]:
        return self._rows.get((workload, OURS)), self._rows.get((workload, peer))


@dataclass(frozen=True, slots=True)
class Goal:
    """One speed to reach."""

    text: str
    measure: Callable[[Figures], float | None]
    wanted: float
    less: bool = False
    """Whether the figure must stay below what is wanted."""
    unit: str = "x"

    def line(self, figures: Figures) -> tuple[str, str, str, str]:
        """What is wanted, what was measured, the goal itself, and whether it was met."""
        found = self.measure(figures)
        wanted = f"{'<' if self.less else '>='} {self._shown(self.wanted)}"
        if found is None:
            return self.text, wanted, "", "not measured"
        met = found < self.wanted if self.less else found >= self.wanted
        return self.text, wanted, self._shown(found), "met" if met else "MISSED"

    def _shown(self, value: float) -> str:
        if self.unit == "x":
            return f"x{value:.2f}"
        return f"{value:,.0f} {self.unit}" if value >= 100 else f"{value:.3f} {self.unit}"


GOALS = (
    Goal("64 clients' inserts, beside PostgreSQL's",
         lambda run: run.ratio("insert, 64 clients", "postgresql"), 1.0),
    Goal("256 clients' inserts, beside rqlite's",
         lambda run: run.ratio("insert, 256 clients", "rqlite"), 7.0),
    Goal("one client's insert at the median, beside etcd's put",
         lambda run: run.sooner("insert, 1 client", "etcd"), 1.0),
    Goal("64 clients' inserts: p99 in times of the median",
         lambda run: run.tail("insert, 64 clients"), 2.0, less=True),
    Goal("rows in transactions of 1,000, beside rqlite's",
         lambda run: run.ratio("batch of 1000 in a transaction", "rqlite"), 3.0),
    Goal("64 clients' linearizable reads, beside rqlite's",
         lambda run: run.ratio("linearizable read, 64 clients", "rqlite"), 3.0),
    Goal("64 clients' local reads, beside PostgreSQL's",
         lambda run: run.ratio("stale read, 64 clients", "postgresql"), 2.0),
    Goal("one client's read at the median, beside pyrqlite's (both by the leader's lease)",
         lambda run: run.sooner("lease read, 1 client", "pyrqlite"), 1.0),
    Goal("one client's insert, beside pyrqlite's",
         lambda run: run.ratio("insert, 1 client", "pyrqlite"), 2.0),
    Goal("a result of 10,000 rows: rows a second",
         lambda run: run.rate("result of 10000 rows"), 1_000_000, unit="rows/s"),
    Goal("interactive transactions of 3 statements, 64 clients",
         lambda run: run.rate("3 statements, 64 clients"), 1_500, unit="/s"),
    Goal("no write after kill -9, worst",
         lambda run: run.rate("no write after kill -9, worst"), 0.5, less=True, unit="s"),
    Goal("no write after a graceful stop, worst",
         lambda run: run.rate("no write after TERM, worst"), 0.05, less=True, unit="s"),
    Goal("4 processes' inserts, beside pyrqlite's",
         lambda run: run.ratio("insert, 4 processes", "pyrqlite"), 1.0),
    Goal("16 processes' inserts, beside pyrqlite's",
         lambda run: run.ratio("insert, 16 processes", "pyrqlite"), 1.0),
    Goal("16 processes' reads, beside pyrqlite's",
         lambda run: run.ratio("lease read, 16 processes", "pyrqlite"), 1.0),
)  # fmt: skip
TITLES = ("goal", "wanted", "measured", "")


def table(rows: Sequence[Row], nodes: int) -> str:
    """For people at a terminal."""
    figures = Figures(rows, nodes)
    lines = [TITLES, *(goal.line(figures) for goal in GOALS)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(TITLES))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def markdown(rows: Sequence[Row], nodes: int) -> str:
    """For a document; what was missed is in bold."""
    figures = Figures(rows, nodes)
    lines = [f"| {' | '.join(TITLES)} |".replace("|  |", "| |"), "|---|---|---|---|"]
    for goal in GOALS:
        text, wanted, found, word = goal.line(figures)
        word = "**missed**" if word == "MISSED" else word
        lines.append(f"| {text} | {wanted} | {found} | {word} |")
    return "\n".join(lines) + "\n"


def told(rows: Sequence[Row], nodes: int) -> list[dict[str, str]]:
    """For programs."""
    figures = Figures(rows, nodes)
    names = ("goal", "wanted", "measured", "verdict")
    return [dict(zip(names, goal.line(figures), strict=True)) for goal in GOALS]
