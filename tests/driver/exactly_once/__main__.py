"""The same as the test, for as long as wanted: `python -m tests.driver.exactly_once --minutes 60`.

Each round is a cluster of its own with a seed of its own; the first anomaly ends the run with 1.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.driver.exactly_once.world import World

ROUND_S = 30.0


def main() -> int:
    """Run rounds until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    end, seed = time.monotonic() + options.minutes * 60, options.seed
    while time.monotonic() < end:
        with World(seed) as world:
            for colour in ("threads", "tasks"):
                world.run(colour, min(ROUND_S, max(5.0, (end - time.monotonic()) / 2)))
            anomalies = world.anomalies()
        print(
            f"seed {seed}: {dict(world.ledger.fates())}; network {dict(world.faults)}; "
            f"leaders {dict(world.blows)}; {len(anomalies)} anomalies",
            flush=True,
        )
        if anomalies:
            print("\n".join(anomalies[:50]))
            return 1
        seed += 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
