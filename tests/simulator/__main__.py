"""The simulator's command line: `python -m tests.simulator --seeds 300`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing import get_context

from tests.simulator.mutants import MUTANTS, hunt
from tests.simulator.run import Outcome, simulate


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; the exit code says whether every rule held."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this one world")
    parser.add_argument("--seeds", type=int, default=300, help="how many worlds to run")
    parser.add_argument("--start", type=int, default=1, help="the first seed of them")
    parser.add_argument("--jobs", type=int, default=2, help="processes to use")
    parser.add_argument("--verbose", action="store_true", help="with --seed: all that happens")
    parser.add_argument("--mutants", nargs="*", metavar="NAME", help="hunt the planted bugs")
    parser.add_argument("--bound", type=int, default=1000, help="seeds to try for each of them")
    parser.add_argument("--markdown", action="store_true", help="with --mutants: as a document")
    options = parser.parse_args(arguments)
    if options.mutants is not None:
        names = options.mutants or list(MUTANTS)
        return report_mutants(names, options)
    if options.seed is not None:
        return report([simulate(options.seed, trace=options.verbose)], verbose=options.verbose)
    return report(outcomes(options.start, options.seeds, options.jobs))


def outcomes(start: int, count: int, jobs: int) -> Iterator[Outcome]:
    """All seeds, in order, on so many processes."""
    seeds = range(start, start + count)
    if jobs <= 1:
        yield from map(simulate, seeds)
        return
    with get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(simulate, seeds, chunksize=8)


def report(found: Iterator[Outcome] | Sequence[Outcome], *, verbose: bool = False) -> int:
    """Say what failed and how to see it again, then how much was tried."""
    began = time.perf_counter()
    count = failed = steps = commits = reads = elections = 0
    for outcome in found:
        count += 1
        steps, commits = steps + outcome.steps, commits + outcome.commits
        reads, elections = reads + outcome.reads, elections + outcome.elections
        if outcome.failure is not None:
            failed += 1
            if verbose:
                print(outcome.details)
            print(outcome.failure)
            print(f"python -m tests.simulator --seed {outcome.seed}", flush=True)
    seconds = time.perf_counter() - began
    print(
        f"{count} seeds, {failed} failed: {steps} steps, {commits} commits, {reads} reads, "
        f"{elections} elections in {seconds:.1f} s ({seconds / max(count, 1):.3f} s a seed)"
    )
    return 1 if failed else 0


PREFACE = """# Planted bugs

Written by `python -m tests.simulator --mutants --markdown`; `make simulate-mutants` hunts again.
Each is a bug that some Raft implementation has really had, planted into the core from outside by
[tests/simulator/mutants.py](../tests/simulator/mutants.py). Seeds are tried from 1 on until a rule
breaks; a bug that no seed finds fails the run.
"""


def report_mutants(names: Sequence[str], options: argparse.Namespace) -> int:
    """Hunt each, and print which seed caught it by which rule."""
    escaped = 0
    if options.markdown:
        print(PREFACE)
    print("| planted bug | what it does | caught by the rule | seed |")
    print("|---|---|---|---|")
    find = partial(hunt, start=options.start, bound=options.bound)
    with get_context("spawn").Pool(options.jobs) as pool:
        for catch in pool.imap(find, names):
            escaped += catch.seed is None
            rule = catch.failure.split(":")[0] if options.markdown else catch.failure
            seed = f"ESCAPED {catch.tried} seeds" if catch.seed is None else str(catch.seed)
            story = MUTANTS[catch.mutant].story
            print(f"| {catch.mutant} | {story} | {rule} | {seed} |", flush=True)
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main())
