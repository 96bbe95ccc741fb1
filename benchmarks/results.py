"""What was measured: a line of the table for each workload and system, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

from benchmarks.histogram import Histogram

OURS = "raftsql"
NODES_CLIENTS = (64.0,)
"""Which lines are drawn against the size of the cluster."""
HEADER = (
    f"{'workload':44} {'nodes':>5} {'by':10}{'rate':>18}{'p50':>8}{'p95':>8}{'p99':>8}{'p99.9':>9}"
    f"{'client':>8}{'servers':>9}{'MB':>6}{'ours/it':>9}"
)


@dataclass(slots=True)
class Measured:
    """What one load came to, before it is put beside others."""

    count: int
    elapsed: float
    latencies: Histogram
    client_cpu: float
    """Seconds of processor that the clients used."""
    errors: int = 0

    def add(self, other: Measured) -> None:
        """Another process worked at the same time."""
        self.count += other.count
        self.elapsed = max(self.elapsed, other.elapsed)
        self.latencies.add(other.latencies)
        self.client_cpu += other.client_cpu
        self.errors += other.errors


@dataclass(slots=True)
class Row:
    """One line. Latencies are milliseconds; what was not measured is 0."""

    workload: str
    by: str
    nodes: int
    rate: float
    unit: str = "/s"
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    p999: float = 0.0
    client_us: float = 0.0
    """Microseconds of the clients' processors for a request or row."""
    servers_cpu: float = 0.0
    """Seconds of all servers' processors for a thousand requests or rows."""
    memory_mb: float = 0.0
    """Of the largest server, resident, when the load ended."""
    errors: int = 0
    ratio: float = 0.0
    """Our rate divided by this one, or our time below it; 0 on our own lines."""
    tags: dict[str, float] = field(default_factory=dict)
    """Where the line stands in a plot, such as clients or bytes."""

    @classmethod
    def of(
        cls, workload: str, by: str, nodes: int, measured: Measured, *, rows: int, servers: float
    ) -> Row:
        """A load whose every request carries so many rows."""
        done = measured.count * rows
        p50, p95, p99, p999 = (
            measured.latencies.quantile(share) * 1e3 for share in (0.5, 0.95, 0.99, 0.999)
        )
        return cls(
            workload, by, nodes, done / measured.elapsed, " rows/s" if rows > 1 else "/s",
            p50, p95, p99, p999, measured.client_cpu / max(1, done) * 1e6,
            servers * 1e3 / max(1, done), errors=measured.errors,
        )  # fmt: skip

    @property
    def better_is_less(self) -> bool:
        """Whether the figure is a time."""
        return self.unit == " s"

    @property
    def figure(self) -> str:
        """The rate or the time, with its unit."""
        return f"{self.rate:,.3f} s" if self.better_is_less else f"{self.rate:,.0f}{self.unit}"

    def cell(self) -> str:
        """As a table with a column for each system shows it."""
        text = self.figure
        if self.p50:
            text += f" ({_short(self.p50)} / {_short(self.p99)} ms)"
        if self.ratio:
            text += f", x{self.ratio:.2f}" if self.ratio >= 1 else f", **x{self.ratio:.2f}**"
        return text

    def line(self) -> str:
        """As the table shows it."""
        cells = f"{self.workload:44} {self.nodes:>5} {self.by:10}{self.figure:>18}"
        for width, places, value in (
            (8, 2, self.p50), (8, 2, self.p95), (8, 2, self.p99), (9, 2, self.p999),
            (8, 1, self.client_us), (9, 3, self.servers_cpu), (6, 0, self.memory_mb),
            (9, 2, self.ratio),
        ):  # fmt: skip
            cells += f"{value:{width}.{places}f}" if value else " " * width
        return (cells + (f"  {self.errors} failed" if self.errors else "")).rstrip()


class Report:
    """The table so far; each line is shown as soon as it is there."""

    def __init__(self, show: Callable[[str], object]) -> None:
        self.rows: list[Row] = []
        self.notes: list[str] = []
        self._show = show

    def begin(self) -> None:
        """Show what the columns are."""
        self._show(HEADER)

    def note(self, text: str) -> None:
        """Something that a reader of the table has to know, such as what was skipped."""
        self.notes.append(text)
        self._show(f"-- {text}")

    def add(self, row: Row) -> None:
        """One more line."""
        self.rows.append(row)
        self._show(row.line())

    def compare(self, nodes: int) -> None:
        """Put the figure of our cluster of this size beside every other of the same workload."""
        ours = {row.workload: row for row in self.rows if (row.by, row.nodes) == (OURS, nodes)}
        for row in self.rows:
            own = ours.get(row.workload)
            if row.by == OURS or own is None or not row.rate or not own.rate:
                continue
            row.ratio = row.rate / own.rate if row.better_is_less else own.rate / row.rate

    def table(self) -> str:
        """All lines, each workload's together and ours first."""
        order = {name: at for at, name in enumerate(dict.fromkeys(r.workload for r in self.rows))}
        rows = sorted(self.rows, key=lambda row: (order[row.workload], row.by != OURS))
        return "\n".join([HEADER, *(row.line() for row in rows)])

    def markdown(self) -> str:
        """A line for each workload and a column for each system, as the documentation shows it.

        Behind a peer's figure stands by how many times ours is better; where it is worse, in bold.
        """
        systems, lines = self._begun_table()
        for workload, nodes, rows in self._compared():
            lines.append(_line(workload, nodes, {row.by: row.cell() for row in rows}, systems))
        return "\n".join(lines) + "\n"

    def _begun_table(self) -> tuple[list[str], list[str]]:
        systems = sorted({row.by for row in self.rows}, key=lambda by: (by != OURS, by))
        titles = f"| workload | nodes | {' | '.join(systems)} |"
        return systems, [titles, "|---" * (len(systems) + 2) + "|"]

    def _compared(self) -> Iterator[tuple[str, int, list[Row]]]:
        """Each line of ours, and the peers' beside the first of its workload."""
        ours = [row for row in self.rows if row.by == OURS]
        compared = {row.workload: row.nodes for row in reversed(ours)}
        for own in ours:
            beside = [
                row
                for row in self.rows
                if row.workload == own.workload and row.by != OURS
                if compared[own.workload] == own.nodes
            ]
            yield own.workload, own.nodes, [own, *beside]

    def costs(self) -> str:
        """What a request or row takes of the machine, for a document: microseconds of the clients'
        and of all servers' processors, and the largest server's memory in MB."""
        systems, lines = self._begun_table()
        for workload, nodes, rows in self._compared():
            cells = {
                row.by: f"{row.client_us:,.0f} + {row.servers_cpu * 1e3:,.0f} µs, "
                f"{row.memory_mb:,.0f} MB"
                for row in rows
                if row.client_us or row.servers_cpu
            }
            if cells:
                lines.append(_line(workload, nodes, cells, systems))
        return "\n".join(lines) + "\n"

    def json(self, machine: dict[str, object], goals: Sequence[object] = ()) -> str:
        """Everything, for programs."""
        rows = [asdict(row) for row in self.rows]
        found = {"machine": machine, "goals": goals, "notes": self.notes, "rows": rows}
        return json.dumps(found, indent=1) + "\n"

    def series(
        self, tag: str, workloads: Sequence[str] = (), figure: str = "rate"
    ) -> dict[str, list[tuple[float, float]]]:
        """Rates, or another figure, by a tag: a line for each kind of workload (or all) and system.

        Of clusters of several sizes, that of the first is taken.
        """
        found: dict[str, dict[float, float]] = {}
        for row in self.rows:
            kind = row.workload.partition(",")[0]
            value = getattr(row, figure)
            if value and tag in row.tags and (not workloads or kind in workloads):
                name = f"{row.by} {kind}" if workloads else row.by
                found.setdefault(name, {}).setdefault(row.tags[tag], value)
        return {name: sorted(points.items()) for name, points in found.items()}

    def by_nodes(self, figure: str = "rate") -> dict[str, list[tuple[float, float]]]:
        """The same of ours by the size of the cluster, for what was measured on more than one."""
        found: dict[str, dict[float, float]] = {}
        for row in self.rows:
            value = getattr(row, figure)
            if value and row.by == OURS and row.tags.get("clients") in NODES_CLIENTS:
                found.setdefault(row.workload, {})[float(row.nodes)] = value
        return {name: sorted(line.items()) for name, line in found.items() if len(line) > 1}


def _line(workload: str, nodes: int, cells: dict[str, str], systems: Sequence[str]) -> str:
    texts = " | ".join(cells.get(by, "") for by in systems)
    return f"| {workload} | {nodes} | {texts} |"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
