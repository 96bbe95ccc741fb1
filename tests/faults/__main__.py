"""Real processes, real faults, checked histories: `python -m tests.faults --minutes 60`.

Each round is a cluster of its own with a seed of its own. The first violation ends the program with
1, after its report is written; the line that repeats it is printed.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from functools import partial
from pathlib import Path

from tests.faults import hunt
from tests.faults.document import put
from tests.faults.faults import FAULTS
from tests.faults.networks import network
from tests.faults.planted import PLANTED
from tests.faults.report import summary, write
from tests.faults.results import load, result_of
from tests.faults.run import Outcome, Run
from tests.faults.totals import Totals
from tests.faults.workloads import WORKLOADS

ROUND_S = 40.0


def options() -> argparse.Namespace:
    """What can be chosen."""
    parser = argparse.ArgumentParser("python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=0.0, help="run rounds for so long")
    parser.add_argument("--rounds", type=int, default=1, help="run at least so many")
    parser.add_argument("--seed", type=int, default=1, help="the first round's (default: 1)")
    parser.add_argument("--seconds", type=float, default=ROUND_S, help="how long a round is")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument(
        "--mixed",
        action="store_true",
        help="every third round with five nodes, every sixth through proxies, by its seed",
    )
    parser.add_argument("--workload", action="append", choices=list(WORKLOADS), default=[])
    parser.add_argument(
        "--level",
        action="append",
        default=[],
        metavar="WORKLOAD=LEVEL",
        help="read at this level; one that promises less breaks the workload's promise",
    )
    parser.add_argument("--fault", action="append", choices=list(FAULTS), default=[])
    parser.add_argument("--network", choices=["namespaces", "proxies"], default="")
    parser.add_argument("--plant", default="", help=f"plant one of {', '.join(PLANTED)}")
    parser.add_argument("--hunt", action="store_true", help="find the planted bugs, or those")
    parser.add_argument("--weaker", action="store_true", help="see weaker levels break promises")
    parser.add_argument("--report", type=Path, default=None, help="write the reports there")
    parser.add_argument(
        "--summary", type=Path, default=None, help="only tell what the reports there came to"
    )
    parser.add_argument(
        "--into", type=Path, default=None, help="put the tables into this document, too"
    )
    return parser.parse_args()


def main() -> int:
    """Do what was asked for; the exit code."""
    chosen = options()
    if chosen.summary is not None:
        told = str(Totals(load(chosen.summary)))
        print(told)
        if chosen.into is not None:
            put(chosen.into, "runs", told)
        return 0
    # Whoever ends this program ends its nodes, and gives its network back.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return _hunt(chosen) if chosen.hunt or chosen.weaker else _rounds(chosen)


def _hunt(chosen: argparse.Namespace) -> int:
    """Planted bugs, and levels that are too weak: all have to be found."""
    names = chosen.plant.split(",") if chosen.plant else list(PLANTED)
    hunts = [partial(hunt.planted, name, kind=chosen.network) for name in names if chosen.hunt]
    if chosen.weaker:
        hunts += [partial(hunt.weaker, case, kind=chosen.network) for case in hunt.WEAKER]
    catches = []
    for one in hunts:
        catches.append(catch := one())
        print(catch, flush=True)
        if catch.outcome is not None and chosen.report is not None:
            write(catch.outcome, chosen.report / catch.name.replace(" ", "-"))
    told = "\n".join(["| what | seed | found as |\n|---|---|---|", *(c.row() for c in catches)])
    print(f"\n{told}")
    if chosen.into is not None:
        put(chosen.into, "hunts", told)
    return 1 if any(catch.violation is None for catch in catches) else 0


def _rounds(chosen: argparse.Namespace) -> int:
    """Run rounds until the time is up."""
    end, seed = time.monotonic() + chosen.minutes * 60, chosen.seed
    totals = Totals()
    try:
        return _until(end, seed, chosen, totals)
    finally:
        print(f"\n{totals}")


def _until(end: float, seed: int, chosen: argparse.Namespace, totals: Totals) -> int:
    last = seed + chosen.rounds
    while True:
        outcome = _round(seed, chosen)
        result = result_of(outcome)
        print(summary(result), flush=True)
        totals.add(result)
        if chosen.report is not None or outcome.violations:
            print(f"report: {write(outcome, chosen.report)}", flush=True)
        seed += 1
        if outcome.violations or (seed >= last and time.monotonic() >= end):
            return 1 if outcome.violations else 0


def _round(seed: int, chosen: argparse.Namespace) -> Outcome:
    five, through_proxies = chosen.mixed and seed % 3 == 0, chosen.mixed and seed % 6 == 5
    with network("proxies" if through_proxies else chosen.network) as net:
        return Run(
            seed,
            chosen.seconds,
            network=net,
            workloads=chosen.workload,
            faults=chosen.fault,
            levels=dict(each.split("=", 1) for each in chosen.level),
            nodes=5 if five else chosen.nodes,
            plant=chosen.plant,
        ).run()


if __name__ == "__main__":
    sys.exit(main())
