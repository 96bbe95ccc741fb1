"""Many runs in three tables: the rounds, the work, and what each kind of fault cost.

The harness makes them from the results it has kept, so that no number in a document is typed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tests.faults.lives import Phase
from tests.faults.results import Faced, Result, longest_of


class Totals:
    """Many runs in tables."""

    def __init__(self, results: Iterable[Result] = ()) -> None:
        self.results = list(results)

    def add(self, result: Result) -> None:
        """One more run."""
        self.results.append(result)

    def __str__(self) -> str:
        results = self.results
        minutes = sum(result.seconds for result in results) / 60
        operations = sum(result.operations for result in results)
        faults = sum(len(result.faults) for result in results)
        violations = sum(len(result.violations) for result in results)
        lines = [
            f"{len(results)} rounds, {minutes:.1f} minutes under load, {operations} operations, "
            f"{faults} faults, {violations} violations ({', '.join(self._places())})",
            "",
            *self._rounds(),
            "",
            *self._work(),
            "",
            *self._faults(),
        ]
        return "\n".join(lines)

    def _places(self) -> list[str]:
        """Where, and of which commit, it all was."""
        return sorted({f"{one.machine}, commit {one.commit}" for one in self.results})

    def _rounds(self) -> list[str]:
        lines = [
            "| seed | nodes | network | operations | writes done | faults | no write for, longest "
            "| beyond the inevitable: longest | violations |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for one in self.results:
            beyond = max((faced.beyond for faced in one.faults), default=0.0)
            lines.append(
                f"| {one.seed} | {one.nodes} | {one.network} | {one.operations} | {one.writes} | "
                f"{len(one.faults)} | {one.longest} | {beyond:.2f} s | {len(one.violations)} |"
            )
        return lines

    def _work(self) -> list[str]:
        totals: dict[str, Counter[str]] = {}
        for result in self.results:
            for one in result.work:
                total = totals.setdefault(one.name, Counter())
                total.update(one.fates)
                total["operations"] += one.operations
        lines = [
            "| workload | operations | done | outcome unknown | certainly not done |",
            "|---|---|---|---|---|",
        ]
        for name, total in totals.items():
            fates = " | ".join(str(total[fate]) for fate in ("done", "unknown", "never"))
            lines.append(f"| {name} | {total['operations']} | {fates} |")
        return lines

    def _faults(self) -> list[str]:
        faced: dict[str, list[Faced]] = {}
        for result in self.results:
            for one in result.faults:
                faced.setdefault(one.fault, []).append(one)
        lines = [
            "| fault | times | no write for: median, longest | of the longest: down or cut off, "
            "starting, electing, led | beyond the inevitable: median, longest | "
            "when no other fault was there |",
            "|---|---|---|---|---|---|",
        ]
        for name, all_ in sorted(faced.items(), key=lambda item: -len(item[1])):
            lines.append(f"| {name} | {len(all_)} | {_told(all_)} |")
        return lines


def _told(faced: list[Faced]) -> str:
    worst = longest_of(one.gap for one in faced)
    parts = (
        worst.share(Phase.DOWN, Phase.CUT),
        worst.share(Phase.STARTING),
        worst.share(Phase.ELECTING),
        worst.share(Phase.LED),
    )
    alone = [one.beyond for one in faced if one.alone]
    return " | ".join(
        (
            _middle_and_most([one.gap.seconds for one in faced]),
            ", ".join(f"{part:.2f}" for part in parts),
            _middle_and_most([one.beyond for one in faced]),
            _middle_and_most(alone),
        )
    )


def _middle_and_most(values: list[float]) -> str:
    values = sorted(values)
    return f"{values[len(values) // 2]:.2f} s, {values[-1]:.2f} s" if values else ""
