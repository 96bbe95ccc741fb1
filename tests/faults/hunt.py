"""Whether the suite can fail: bugs that are planted, and levels that are held to what they never
promised. Each has to be found, by one of a few seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.faults.history import Violation
from tests.faults.networks import network
from tests.faults.planted import PLANTED
from tests.faults.run import Outcome, Run

SECONDS: Final = 12.0
SEEDS_MAX: Final = 12
WORDS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Weaker:
    """A level that a workload's checker must find wanting, under these faults."""

    workload: str
    level: str
    broken: str
    faults: tuple[str, ...]


WEAKER: Final = (
    Weaker("registers", "stale", "linearizable registers", ("isolate",)),
    Weaker("registers", "session", "linearizable registers", ("isolate",)),
    Weaker("lists", "stale", "strict serializability", ("isolate",)),
    Weaker("sessions", "stale", "sessions that never go back", ("isolate", "pause")),
    Weaker("staleness", "unbounded", "bounded staleness", ("isolate", "pause")),
)


@dataclass(slots=True)
class Catch:
    """What was found, and where."""

    name: str
    story: str
    seed: int | None
    tried: int
    violation: Violation | None
    outcome: Outcome | None = None

    def __str__(self) -> str:
        if self.violation is None:
            return f"{self.name}: NOT FOUND in {self.tried} seeds"
        return f"{self.name}: seed {self.seed}: {self.found_as}"

    @property
    def found_as(self) -> str:
        """The violation in a line."""
        assert self.violation is not None, "it was found"
        return self.violation.what.splitlines()[0][:WORDS_MAX].replace("|", "/")

    def row(self) -> str:
        """A line of a table."""
        if self.violation is None:
            return f"| {self.name}: {self.story} | not found in {self.tried} seeds | |"
        return f"| {self.name}: {self.story} | {self.seed} | {self.found_as} |"


def planted(name: str, *, kind: str = "", start: int = 1, bound: int = SEEDS_MAX) -> Catch:
    """The first seed that finds a planted bug."""
    bug = PLANTED[name]
    runs = (
        _run(
            seed,
            kind,
            workloads=bug.workloads,
            faults=bug.faults,
            levels=bug.levels,
            plant=name,
        )
        for seed in range(start, start + bound)
    )
    return _first(name, bug.story, runs, bound)


def weaker(case: Weaker, *, kind: str = "", start: int = 1, bound: int = SEEDS_MAX) -> Catch:
    """The first seed that shows that a level does not promise what a stronger one does."""
    runs = (
        _run(
            seed,
            kind,
            workloads=(case.workload,),
            faults=case.faults,
            levels={case.workload: case.level},
        )
        for seed in range(start, start + bound)
    )
    return _first(f"{case.workload} at {case.level}", f"breaks {case.broken}", runs, bound)


def _run(seed: int, kind: str, **more: object) -> Outcome:
    with network(kind) as net:
        return Run(seed, SECONDS, network=net, **more).run()  # type: ignore[arg-type]


def _first(name: str, story: str, runs: object, bound: int) -> Catch:
    for tried, outcome in enumerate(runs, 1):  # type: ignore[call-overload]
        if outcome.violations:
            told = [each for each in outcome.violations if each.story] or outcome.violations
            return Catch(name, story, outcome.seed, tried, told[0], outcome)
    return Catch(name, story, None, bound, None)
