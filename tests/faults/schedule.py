"""Which faults come when: all of it from one seed.

A plan is made before anything runs. What it can't know (who leads then) it names by role, and the
same seed names the same roles at the same times. Two faults may overlap: that is the mixture.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.faults.faults import FAULTS

FIRST_S: Final = 1.0
"""Some time of peace in the beginning, to compare with."""
LAST_S: Final = 2.0
"""And in the end: faults that come later would show nothing."""
LASTS_S: Final = (0.5, 3.5)
PEACE_S: Final = (0.8, 2.5)
MIXED: Final = 0.3
"""How often a second fault joins the first."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault at its time."""

    at: float
    fault: str
    lasts: float
    seed: int
    """From which the fault draws what it leaves open: the node, the percentage, the direction."""

    def __str__(self) -> str:
        return f"{self.at:6.2f} s  {self.fault} for {self.lasts:.2f} s"


def plan(seed: int, seconds: float, kinds: Sequence[str] = ()) -> list[Strike]:
    """The strikes of a run, in the order of their times."""
    chance = random.Random(f"schedule {seed}")
    names = list(kinds) or list(FAULTS)
    weights = [FAULTS[name].weight for name in names]
    strikes, at = [], FIRST_S
    while at < seconds - LAST_S:
        fault = chance.choices(names, weights)[0]
        lasts = min(chance.uniform(*LASTS_S), seconds - LAST_S - at)
        strikes.append(Strike(at, fault, lasts, chance.getrandbits(32)))
        second = chance.choices(names, weights)[0]
        later = chance.uniform(0, lasts * 0.7)
        if chance.random() < MIXED and _go_together(fault, second):
            # It ends with the first, so that it never meets the next one of its own layer.
            strikes.append(Strike(at + later, second, lasts - later, chance.getrandbits(32)))
        at += lasts + chance.uniform(*PEACE_S)
    return sorted(strikes, key=lambda strike: strike.at)


def _go_together(one: str, other: str) -> bool:
    """Whether ending one of two faults leaves the other as it was."""
    layers = {FAULTS[one].layer, FAULTS[other].layer}
    return len(layers) == 2 and "everything" not in layers
