"""What is kept of a run when its history is gone: small, as JSON, and enough for every table."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tests.faults.lives import OURS, Phase, shares, stretches
from tests.faults.run import Outcome, Struck

GRACE_S: Final = 0.7
"""What stands still so soon after a fault ended is counted as its doing."""
JUST_BEFORE_S: Final = 0.2
"""The last write before a fault was so near to it, or it was not the fault that stopped them."""
SHORT_S: Final = 0.005
"""Nobody would call that a time without a write."""
ENDING: Final = ".json"


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without an acknowledged write, and what the cluster was meanwhile."""

    begun: float = 0.0
    ended: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.ended - self.begun

    def share(self, *phases: Phase) -> float:
        """How long these phases were."""
        return sum(self.phases.get(phase.value, 0.0) for phase in phases)

    @property
    def beyond(self) -> float:
        """What was neither the fault itself nor the start of processes."""
        return self.share(*OURS)

    def __str__(self) -> str:
        told = [
            f"{phase.value} {self.share(phase):.2f}"
            for phase in Phase
            if self.share(phase) >= 0.005
        ]
        return f"{self.seconds:.2f} s ({', '.join(told)})"


@dataclass(frozen=True, slots=True)
class Faced:
    """A fault that happened, and the longest time without a write that it made."""

    fault: str
    begun: float
    ended: float
    note: str
    alone: bool
    """No other fault was there meanwhile."""
    gap: Gap
    beyond: float
    """The longest of its times without a write that was not inevitable."""


@dataclass(frozen=True, slots=True)
class Work:
    """What became of a workload's operations."""

    name: str
    level: str
    operations: int
    fates: dict[str, int]


@dataclass(frozen=True, slots=True)
class Result:
    """One run."""

    seed: int
    network: str
    nodes: int
    seconds: float
    writes: int
    work: list[Work]
    faults: list[Faced]
    longest: Gap
    """The longest time without a write, whoever made it."""
    violations: list[str]
    machine: str
    commit: str

    @property
    def operations(self) -> int:
        return sum(one.operations for one in self.work)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def result_of(outcome: Outcome) -> Result:
    """What is kept of it."""
    gaps = _gaps(outcome)
    faults = [_faced(struck, gaps, outcome) for struck in outcome.struck]
    work = [
        Work(one.name, one.level, one.operations, dict(one.fates())) for one in outcome.workloads
    ]
    return Result(
        seed=outcome.seed,
        network=outcome.network,
        nodes=outcome.nodes,
        seconds=outcome.seconds,
        writes=len(outcome.writes()),
        work=work,
        faults=faults,
        longest=longest_of(gaps),
        violations=[violation.what for violation in outcome.violations],
        machine=machine(),
        commit=commit(),
    )


def _faced(struck: Struck, gaps: list[Gap], outcome: Outcome) -> Faced:
    """A fault, and the times without a write that began with it, or under it.

    One that had begun before is another fault's doing.
    """
    first, last = struck.begun - JUST_BEFORE_S, struck.ended + GRACE_S
    own = [gap for gap in gaps if first <= gap.begun < last]
    return Faced(
        struck.fault,
        struck.begun,
        struck.ended,
        struck.note,
        is_alone(struck, outcome),
        longest_of(own),
        max((gap.beyond for gap in own), default=0.0),
    )


def _gaps(outcome: Outcome) -> list[Gap]:
    """The times between two writes that were acknowledged one after the other."""
    phases = stretches(outcome.events)
    moments = [0.0, *outcome.writes(), outcome.seconds]
    return [
        Gap(first, last, {p.value: round(s, 4) for p, s in shares(phases, first, last).items()})
        for first, last in pairwise(moments)
        if last - first > SHORT_S
    ]


def longest_of(gaps: Iterable[Gap]) -> Gap:
    return max(gaps, key=lambda gap: gap.seconds, default=Gap())


def is_alone(struck: Struck, outcome: Outcome) -> bool:
    """Whether no other fault was there meanwhile, so that the gap is this one's."""
    first, last = struck.begun - GRACE_S, struck.ended + GRACE_S
    others = [one for one in outcome.struck if one is not struck]
    return all(one.begun > last or one.ended < first for one in others)


def load(place: Path) -> list[Result]:
    """The results in a file, or in a folder and those below it, by their seeds."""
    paths = sorted(place.rglob("seed-*" + ENDING)) if place.is_dir() else [place]
    return sorted(map(_loaded, paths), key=lambda result: (result.seed, result.nodes))


def _loaded(path: Path) -> Result:
    told: dict[str, Any] = json.loads(path.read_text())
    faults = [Faced(**{**one, "gap": Gap(**one["gap"])}) for one in told["faults"]]
    work = [Work(**one) for one in told["work"]]
    return Result(**{**told, "faults": faults, "work": work, "longest": Gap(**told["longest"])})


@cache
def machine() -> str:
    """On what it ran."""
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


@cache
def commit() -> str:
    """Of which commit the program was, if that can be known."""
    if named := os.environ.get("RAFTSQL_COMMIT"):
        return named
    command = ["git", "rev-parse", "--short=8", "HEAD"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
