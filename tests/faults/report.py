"""What a run tells a person: a line, a page of text and a timeline; and what many runs come to."""

from __future__ import annotations

import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests.faults.run import Outcome, Struck
from tests.faults.timeline import page

GRACE_S: Final = 0.7
"""What stands still so soon after a fault ended is counted as its doing."""
JUST_BEFORE_S: Final = 0.2
"""The last write before a fault was so near to it, or it was not the fault that stopped them."""
VIOLATIONS_MAX: Final = 20


def windows(outcome: Outcome) -> list[tuple[Struck, float]]:
    """Of each fault, the longest time without a successful write that began with it, or under it.

    One that had begun before is another fault's doing.
    """
    gaps = list(pairwise([0.0, *outcome.writes(), outcome.seconds]))
    return [
        (
            struck,
            max(
                (
                    after - before
                    for before, after in gaps
                    if struck.begun - JUST_BEFORE_S <= before < struck.ended + GRACE_S
                ),
                default=0.0,
            ),
        )
        for struck in outcome.struck
    ]


def is_alone(struck: Struck, outcome: Outcome) -> bool:
    """Whether no other fault was there meanwhile, so that the gap is this one's."""
    first, last = struck.begun - GRACE_S, struck.ended + GRACE_S
    others = [one for one in outcome.struck if one is not struck]
    return all(one.begun > last or one.ended < first for one in others)


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
    lines = [summary(outcome), "", f"network: {outcome.network}", "", "plan"]
    lines += [f"  {strike}" for strike in outcome.plan]
    lines += ["", "faults"]
    for struck, gap in windows(outcome):
        lines.append(
            f"  {struck.begun:7.2f} - {struck.ended:7.2f}  {struck.fault:<16} "
            f"no write for {gap:5.2f} s  {struck.note}"
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
    """Write it into a folder, or into a new one."""
    folder = folder or Path(tempfile.mkdtemp(prefix="raftsql-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    path, told = folder / f"seed-{outcome.seed}.txt", text(outcome)
    path.write_text(told)
    path.with_suffix(".html").write_text(page(outcome, windows(outcome), told))
    for number, log in outcome.logs.items():
        path.with_name(f"seed-{outcome.seed}-node{number}.log").write_text(log)
    return path


class Totals:
    """Many runs in two tables."""

    def __init__(self) -> None:
        self.rounds = self.writes = self.violations = 0
        self.seconds = 0.0
        self.struck: Counter[str] = Counter()
        self.longest: dict[str, float] = {}
        self.alone: dict[str, list[float]] = {}
        """Of each fault, the longest times without a write when nothing else was wrong."""
        self.work: dict[str, Counter[str]] = {}

    def add(self, outcome: Outcome) -> None:
        """One more run."""
        self.rounds += 1
        self.seconds += outcome.seconds
        self.writes += len(outcome.writes())
        self.violations += len(outcome.violations)
        for struck, gap in windows(outcome):
            self.struck[struck.fault] += 1
            self.longest[struck.fault] = max(gap, self.longest.get(struck.fault, 0.0))
            if is_alone(struck, outcome):
                self.alone.setdefault(struck.fault, []).append(gap)
        for workload in outcome.workloads:
            work = self.work.setdefault(workload.name, Counter())
            work["operations"] += workload.operations
            work.update(workload.fates())

    def __str__(self) -> str:
        operations = sum(work["operations"] for work in self.work.values())
        lines = [
            f"{self.rounds} rounds, {self.seconds / 60:.1f} minutes under load, "
            f"{operations} operations, {self.struck.total()} faults, {self.violations} violations",
            "",
            "| workload | operations | done | outcome unknown | certainly not done |",
            "|---|---|---|---|---|",
        ]
        for name, work in self.work.items():
            told = " | ".join(str(work[fate]) for fate in ("done", "unknown", "never"))
            lines.append(f"| {name} | {work['operations']} | {told} |")
        lines += [
            "",
            "| fault | times | alone: median, longest without a write | with others: longest |",
            "|---|---|---|---|",
        ]
        for fault, times in self.struck.most_common():
            gaps = sorted(self.alone.get(fault, []))
            own = f"{gaps[len(gaps) // 2]:.2f} s, {gaps[-1]:.2f} s" if gaps else ""
            lines.append(f"| {fault} | {times} | {own} | {self.longest[fault]:.2f} s |")
        return "\n".join(lines)
