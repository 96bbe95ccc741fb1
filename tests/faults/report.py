"""What one run tells a person: a line, a page of text and a timeline."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from tests.faults.results import ENDING, Result, result_of
from tests.faults.run import Outcome
from tests.faults.timeline import page

VIOLATIONS_MAX: Final = 20


def summary(result: Result) -> str:
    """One line."""
    struck = Counter(one.fault for one in result.faults)
    faults = ", ".join(f"{name} {count}" for name, count in sorted(struck.items()))
    return (
        f"seed {result.seed}: {result.nodes} nodes, {result.seconds:.0f} s, "
        f"{result.operations} operations, {result.writes} writes done, "
        f"longest without a write {result.longest}; "
        f"{faults or 'no fault'}; {len(result.violations)} violations"
    )


def text(outcome: Outcome) -> str:
    """The whole story."""
    result = result_of(outcome)
    lines = [summary(result), "", f"network: {outcome.network}", "", "plan"]
    lines += [f"  {strike}" for strike in outcome.plan]
    lines += ["", "faults, and the longest time without a write that each made"]
    for one in result.faults:
        lines.append(
            f"  {one.begun:7.2f} - {one.ended:7.2f}  {one.fault:<16} no write for {one.gap}"
            f"  {one.note}"
        )
    lines += ["", "workloads"]
    for workload in outcome.workloads:
        lines.append(f"  {workload.name:<14} {workload.level:<13} {workload.told()}")
    lines += ["", "violations" if outcome.violations else "no violations"]
    lines += [f"  {violation}" for violation in outcome.violations[:VIOLATIONS_MAX]]
    if len(outcome.violations) > VIOLATIONS_MAX:
        lines.append(f"  and {len(outcome.violations) - VIOLATIONS_MAX} more")
    return "\n".join(lines) + "\n"


def write(outcome: Outcome, folder: Path | None) -> Path:
    """Write it into a folder, or into a new one: as text, as a timeline, and for the tables."""
    folder = folder or Path(tempfile.mkdtemp(prefix="raftsql-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    path, result = folder / f"seed-{outcome.seed}.txt", result_of(outcome)
    path.write_text(text(outcome))
    path.with_suffix(".html").write_text(page(outcome, result, text(outcome)))
    result.save(path.with_suffix(ENDING))
    for number, log in outcome.logs.items():
        path.with_name(f"seed-{outcome.seed}-node{number}.log").write_text(log)
    return path
