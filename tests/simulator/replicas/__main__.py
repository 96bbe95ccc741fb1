"""`python -m tests.simulator.replicas --seeds 50`, or `--seed 7 --verbose` to see one."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulator.replicas.mutants import MUTANTS, hunt
from tests.simulator.replicas.world import simulate


def main() -> int:
    """Run what was asked for; the exit code says whether every rule held."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator.replicas")
    parser.add_argument("--seed", type=int, help="run this one world")
    parser.add_argument("--seeds", type=int, default=50, help="how many worlds to run")
    parser.add_argument("--start", type=int, default=1, help="the first seed of them")
    parser.add_argument("--verbose", action="store_true", help="with --seed: all that happens")
    parser.add_argument("--mutants", action="store_true", help="hunt the planted bugs")
    options = parser.parse_args()
    if options.mutants:
        return report_mutants()
    one = options.seed is not None
    seeds = [options.seed] if one else range(options.start, options.start + options.seeds)
    began = time.perf_counter()
    failed = counts = transactions = reads = snapshots = crashes = 0
    for seed in seeds:
        found = simulate(seed, trace=options.verbose and one)
        counts, transactions = counts + found.counts, transactions + found.transactions
        reads, snapshots = reads + found.reads, snapshots + found.snapshots
        crashes += found.crashes
        if found.failure is not None:
            failed += 1
            if one:
                print(found.details)
            print(f"{found.failure}\npython -m tests.simulator.replicas --seed {seed}", flush=True)
    seconds = time.perf_counter() - began
    print(
        f"{len(seeds)} seeds, {failed} failed: {counts} counts, {transactions} transactions, "
        f"{reads} reads, {snapshots} snapshots installed, {crashes} crashes in {seconds:.1f} s"
    )
    return 1 if failed else 0


def report_mutants() -> int:
    """Which seed catches each planted bug, and by which rule."""
    escaped = 0
    for name in MUTANTS:
        caught = hunt(name)
        escaped += caught is None
        said = "ESCAPED" if caught is None else f"seed {caught.seed}: {caught.failure}"
        print(f"{name}: {said}", flush=True)
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main())
