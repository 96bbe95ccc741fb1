"""What a run tells a person: a line, a page of text, and a timeline."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from tests.faults.run import Outcome, Struck
from tests.faults.timeline import page

GRACE_S: Final = 0.7
"""What stands still so soon after a fault ended is counted as its doing."""


def windows(outcome: Outcome) -> list[tuple[Struck, float]]:
    """Of each fault, the longest time without a successful write that overlaps it."""
    writes = [0.0, *outcome.writes(), outcome.seconds]
    gaps = list(itertools.pairwise(writes))
    return [
        (
            struck,
            max(
                (b - a for a, b in gaps if a < struck.ended + GRACE_S and b > struck.begun),
                default=0.0,
            ),
        )
        for struck in outcome.struck
    ]


def summary(outcome: Outcome) -> str:
    """One line."""
    struck = Counter(one.fault for one in outcome.struck)
    longest = max((gap for _, gap in windows(outcome)), default=0.0)
    faults = ", ".join(f"{name} {count}" for name, count in sorted(struck.items()))
    return (
        f"seed {outcome.seed}: {outcome.seconds:.0f} s, {outcome.operations} operations, "
        f"{len(outcome.writes())} writes done, longest without a write {longest:.2f} s; "
        f"{faults or 'no fault'}; {len(outcome.violations)} violations"
    )


def text(outcome: Outcome) -> str:
    """The whole story."""
    lines = [summary(outcome), "", f"network: {outcome.network}", "", "faults"]
    for struck, gap in windows(outcome):
        lines.append(
            f"  {struck.begun:7.2f} - {struck.ended:7.2f}  {struck.fault:<16} "
            f"no write for {gap:5.2f} s  {struck.note}"
        )
    lines += ["", "workloads"]
    for workload in outcome.workloads:
        lines.append(f"  {workload.name:<14} {workload.level:<13} {workload.told()}")
    lines += ["", "violations" if outcome.violations else "no violations"]
    lines += [f"  {violation}" for violation in outcome.violations]
    return "\n".join(lines) + "\n"


def write(outcome: Outcome, folder: Path | None) -> Path:
    """Write it into a folder, or into a new one."""
    folder = folder or Path(tempfile.mkdtemp(prefix="raftsql-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    path, told = folder / f"seed-{outcome.seed}.txt", text(outcome)
    path.write_text(told)
    path.with_suffix(".html").write_text(page(outcome, windows(outcome), told))
    return path
