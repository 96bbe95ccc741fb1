"""Steady load for a long time, and nothing grows: `python -m tests.faults.soak --minutes 30`.

Three real nodes, one client process, all on this machine. Every few seconds each node's memory,
handles, threads and files are looked at, and the latencies since then. In the end each series has
to be flat after warm-up, by a bound that a planted leak does not keep (`--leak memory`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.nodes import Nodes
from tests.faults.document import put
from tests.faults.results import commit, machine
from tests.faults.soak.flat import Bound, Points, Verdict, judge
from tests.faults.soak.leaks import LEAKS
from tests.faults.soak.load import Load
from tests.faults.soak.picture import Panel, picture
from tests.faults.soak.samples import sample

LOG: Final = ("--log-entries-max", "10000", "--log-tail-entries", "1000")
"""The log is shortened every minute, and not every twenty."""
NODE_BOUNDS: Final = {
    "memory_mb": ("memory, MB", Bound(0.06, 4)),
    "handles": ("open files and sockets", Bound(0.03, 2)),
    "threads": ("threads", Bound(0.03, 1)),
    "disk_mb": ("on the disk, MB", Bound(0.1, 8)),
    "journal_mb": ("of it the journal, MB", Bound(0.15, 8)),
}
CLIENT_BOUNDS: Final = {
    "writes_p50_ms": ("writes, p50 ms", Bound(0.3, 1)),
    "writes_p99_ms": ("writes, p99 ms", Bound(0.5, 15)),
    "reads_p50_ms": ("reads, p50 ms", Bound(0.3, 1)),
    "reads_p99_ms": ("reads, p99 ms", Bound(0.5, 15)),
}


def options() -> argparse.Namespace:
    """What can be chosen."""
    parser = argparse.ArgumentParser("python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=300.0, help="operations a second")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks")
    parser.add_argument("--leak", choices=list(LEAKS), default="", help="plant one into the nodes")
    parser.add_argument("--json", type=Path, default=Path("build/soak.json"))
    parser.add_argument("--plot", type=Path, default=None, help="write a picture there, as SVG")
    parser.add_argument("--tell", action="store_true", help="only tell what the JSON file holds")
    parser.add_argument(
        "--into", type=Path, default=None, help="put the table into this document, too"
    )
    return parser.parse_args()


class Leaking(Nodes):
    """Nodes with a leak."""

    def __init__(self, count: int, leak: str, *flags: str) -> None:
        super().__init__(count, *flags)
        self.program = (sys.executable, "-m", "tests.faults.soak.leaks", leak)


async def soak(nodes: Nodes, chosen: argparse.Namespace) -> dict[str, Any]:
    """Run the load, look at the nodes, and keep what was seen."""
    load = Load(nodes.url, chosen.rate)
    await load.prepare()
    began, samples = time.monotonic(), []
    working = asyncio.create_task(load.run())
    load.latencies()
    while (at := time.monotonic() - began) < chosen.minutes * 60 and not working.done():
        await asyncio.sleep(chosen.every - at % chosen.every)
        seen = [await asyncio.to_thread(sample, nodes, number) for number in nodes.processes]
        now = time.monotonic() - began
        samples.append({"at": now, "client": load.latencies(), "nodes": seen})
    load.stopped = True
    await working
    return {
        "minutes": chosen.minutes,
        "rate": chosen.rate,
        "leak": chosen.leak,
        "machine": machine(),
        "commit": commit(),
        "operations": dict(load.operations),
        "errors": dict(load.errors),
        "samples": samples,
    }


def series(kept: dict[str, Any]) -> dict[tuple[str, str], Points]:
    """By measure and whose it is, what was seen when."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for one in kept["samples"]:
        for name, value in one["client"].items():
            found.setdefault((name, "client"), []).append((one["at"], value))
        for number, node in enumerate(one["nodes"], 1):
            for name, value in node.items():
                found.setdefault((name, f"node {number}"), []).append((one["at"], value))
    return dict(found)


def verdicts(kept: dict[str, Any]) -> dict[tuple[str, str], Verdict]:
    """Whether each series that has a bound is flat."""
    bounds = NODE_BOUNDS | CLIENT_BOUNDS
    return {
        (name, whose): judge(points, bounds[name][1])
        for (name, whose), points in series(kept).items()
        if name in bounds
    }


def told(kept: dict[str, Any]) -> str:
    """The verdicts as a table."""
    operations = sum(kept["operations"].values())
    errors = ", ".join(f"{count} {name}" for name, count in kept["errors"].items())
    last = kept["samples"][-1]["nodes"]
    shortened = ", ".join(f"{node.get('compactions', 0):.0f}" for node in last)
    lines = [
        f"{kept['minutes']:g} minutes at {kept['rate']:g} operations a second: {operations} "
        f"operations, {errors or 'no error'}; logs shortened {shortened} times; "
        f"{kept['machine']}, commit {kept['commit']}",
        "",
        "| measure | of | median | growth after warm-up | bound | in an hour | |",
        "|---|---|---|---|---|---|---|",
    ]
    names = {name: title for name, (title, _) in (NODE_BOUNDS | CLIENT_BOUNDS).items()}
    for (name, whose), one in sorted(verdicts(kept).items()):
        lines.append(
            f"| {names[name]} | {whose} | {one.level:.1f} | {one.growth:+.2f} | {one.bound:.1f} | "
            f"{one.hourly:+.1f} | {'flat' if one.is_flat else 'GROWS'} |"
        )
    return "\n".join(lines)


def panels(kept: dict[str, Any]) -> list[Panel]:
    """What is drawn."""
    seen = series(kept)
    found: list[Panel] = []
    for name, (title, _) in NODE_BOUNDS.items():
        lines = {whose: points for (n, whose), points in seen.items() if n == name}
        found.append((title, lines))
    for name, title in (("wal_mb", "of it the WAL, MB"), ("full_collections", "full collections")):
        found.append((title, {whose: points for (n, whose), points in seen.items() if n == name}))
    for part in ("p50", "p99"):
        lines = {kind: seen[f"{kind}_{part}_ms", "client"] for kind in ("writes", "reads")}
        found.append((f"latency {part}, ms", lines))
    return found


def main() -> int:
    """Soak, or tell of a soak; 1 if something grew."""
    chosen = options()
    if not chosen.tell:
        nodes = Leaking(3, chosen.leak, *LOG) if chosen.leak else Nodes(3, *LOG)
        with nodes:
            kept = asyncio.run(soak(nodes, chosen))
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps(kept) + "\n")
    kept = json.loads(chosen.json.read_text())
    print(told(kept))
    if chosen.into is not None:
        put(chosen.into, "soak", told(kept))
    if chosen.plot is not None:
        title = f"{kept['minutes']:g} minutes at {kept['rate']:g} operations a second, three nodes"
        chosen.plot.write_text(picture(title, panels(kept)))
    return 0 if all(one.is_flat for one in verdicts(kept).values()) else 1


if __name__ == "__main__":
    sys.exit(main())
