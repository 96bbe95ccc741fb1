"""What kind of world a seed makes: its size, its limits, its speeds and how much goes wrong.

The core's times are the product's own. Its limits are tiny, so that every window, bound and
snapshot is met all the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from raftsql.raft.config import Config
from raftsql.raft.messages import NodeId
from tests.simulator.network import Weather
from tests.simulator.timeline import MS

CLUSTER = 7


@dataclass(slots=True)
class Settings:
    """Everything that is drawn once, before the first event."""

    founders: int
    processes_max: int
    safety_ms: int
    """How long things go wrong."""
    fault_every_ms: int
    """The mean time between two faults."""
    faults: dict[str, int]
    """Which faults there are, and how often each is chosen."""
    weather: Weather
    clients: int
    keys: int
    think_ms: int
    reads: float
    lease_reads: float
    drift: float
    """How far a node's clock may be from the true rate, as a fraction."""
    gather_us: int
    disk_us: int
    apply_us: int
    batch_max: int
    lazy: bool
    """Take from the core only what the disk and the state machine are free for, as the replica."""
    checkpoint: float
    """How often the state is made durable after a batch of entries."""
    log_tail: int
    """At most so many entries are kept behind a checkpoint."""
    ship_fails: float
    install_fails: float
    limits: dict[str, int] = field(default_factory=dict)

    def config(self, node: NodeId) -> Config:
        """The core's settings."""
        return Config(node=node, cluster=CLUSTER, **self.limits)


FAULTS = {
    "partition": 6,
    "one_way": 4,
    "isolate_leader": 4,
    "clog": 3,
    "heal": 3,
    "crash": 8,
    "crash_many": 2,
    "pause": 5,
    "slow_disk": 4,
    "transfer": 7,
    "change": 14,
    "wipe": 2,
    "burst": 4,
    "crash_voter": 3,
    "rivals": 5,
    "abdicate": 2,
    "usurp": 8,
    "coup": 5,
    "strand": 6,
    "unreachable": 4,
}
"""Every fault, and its usual weight; see schedule.py for what each does."""


def drawn(chance: Random) -> Settings:
    """The world of a seed."""
    faults = {name: weight for name, weight in FAULTS.items() if chance.random() < 0.75}
    focused = chance.random() < 0.35
    if focused:  # A few faults in fair weather get further than many that disturb each other.
        names = chance.sample(list(FAULTS), 2)
        faults = {name: FAULTS[name] for name in names}
    faults["heal"] = FAULTS["heal"]
    calm = focused or chance.random() < 0.25
    pick = chance.choice
    limits = _limits(chance)
    drift = pick([0.0, 0.02, 0.045, 0.045, 0.3])
    if drift == 0.3:
        limits["drift_ms"] = 150  # So much difference must be allowed for.
        faults["usurp"] = 40
    every_ms = [400, 600] if focused else [50, 100, 200, 400]
    return Settings(
        founders=pick([1, 2, 3, 3, 3, 3, 4, 5, 5]),
        processes_max=8,
        safety_ms=pick([5_000, 8_000, 8_000, 12_000]),
        fault_every_ms=pick(every_ms),
        faults=faults,
        weather=_weather(chance, calm=calm),
        clients=pick([2, 4, 6]),
        keys=pick([1, 2, 4]),
        think_ms=pick([10, 30, 80, 400]),
        reads=pick([0.2, 0.5, 0.7]),
        lease_reads=pick([0.0, 0.5, 0.9]),
        drift=drift,
        gather_us=pick([50, 300, 2000]),
        disk_us=pick([100, 200, 1000, 5000]),
        apply_us=pick([20, 100, 1000]),
        batch_max=pick([1, 3, 10]),
        lazy=chance.random() < 0.5,
        checkpoint=pick([0.02, 0.1, 0.3, 0.6]),
        log_tail=pick([0, 3, 20]),
        ship_fails=pick([0.0, 0.1, 0.4]),
        install_fails=pick([0.0, 0.1, 0.3]),
        limits=limits,
    )


def _weather(chance: Random, *, calm: bool) -> Weather:
    if calm:
        return Weather(delay_us=chance.choice([100, 500, 3000]))
    return Weather(
        drop=chance.choice([0.0, 0.01, 0.05, 0.2]),
        repeat=chance.choice([0.0, 0.02, 0.1]),
        delay_us=chance.choice([100, 500, 3000, 15 * MS]),
        stray=chance.choice([0.0, 0.02, 0.1]),
        stray_us=chance.choice([50, 400, 3000]) * MS,
        ordered=chance.random() < 0.5,
    )


def _limits(chance: Random) -> dict[str, int]:
    pick = chance.choice
    return {
        "append_entries_max": pick([1, 2, 8, 1000]),
        "append_bytes_max": pick([1, 60, 1_000_000]),
        "inflight_messages_max": pick([1, 2, 8, 64]),
        "inflight_bytes_max": pick([50, 1_000_000]),
        "uncommitted_entries_max": pick([5, 50, 1000]),
        "uncommitted_bytes_max": pick([200, 1_000_000]),
        "apply_entries_max": pick([1, 3, 1000]),
        "apply_bytes_max": pick([50, 1_000_000]),
        "tail_entries_max": pick([0, 2, 20, 1000]),
        "tail_bytes_max": pick([0, 200, 1_000_000]),
        "read_rounds_max": pick([1, 2, 4]),
        "read_patience_ms": pick([0, 3, 40]),
        "reads_waiting_max": pick([2, 1000]),
        "ship_ms_max": 2000,
        "disk_ms_max": pick([500, 3000]),
        "promote_rounds_max": pick([1, 10]),
    }
