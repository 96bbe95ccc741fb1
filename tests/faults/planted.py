"""Bugs put into the real program, each of which the suite must find: who watches must be watched.

They are planted from outside, by the entry point of a test's node, into every node of a cluster.
The product has no switch for any of them. Those of the simulators that a real cluster can show are
planted here too.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from tests.simulator.mutants import MUTANTS as CORE
from tests.simulator.replicas.mutants import planted as in_replica

LATE_S: Final = 0.1
_kept: Final = ExitStack()
"""What is planted stays as long as the process."""


@dataclass(frozen=True, slots=True)
class Planted:
    """A bug, and where it is looked for."""

    story: str
    put_in: Callable[[], None]
    workloads: tuple[str, ...]
    faults: tuple[str, ...]
    levels: dict[str, str] = field(default_factory=dict)


def _enter(context: Callable[[], AbstractContextManager[None]]) -> Callable[[], None]:
    return lambda: _kept.enter_context(context())


def _core(name: str) -> Callable[[], None]:
    return _enter(lambda: CORE[name].plant())


def _replica(name: str) -> Callable[[], None]:
    return _enter(lambda: in_replica(name))


def _sync_later() -> None:
    from raftsql.storage.files import RealFile

    right = RealFile.sync

    def late(file: Any) -> None:
        with suppress(OSError):  # It may be closed by now.
            right(file)

    def sync(self: Any) -> None:
        if "/journal" in os.readlink(f"/proc/self/fd/{self._descriptor}"):
            threading.Timer(LATE_S, late, [self]).start()
        else:
            right(self)

    RealFile.sync = sync  # type: ignore[method-assign]


def _never_give_up() -> None:
    """No bug: a leader that nobody hears steps down too early for some bugs to be seen."""
    from raftsql.raft.leader import Leader

    Leader._proved = lambda self: self.node.now  # type: ignore[method-assign]


def _read_without_a_quorum() -> None:
    _never_give_up()
    _core("reads_without_a_quorum")()


def _lease_without_end() -> None:
    from raftsql.raft.leader import Leader

    _never_give_up()
    Leader.lease_valid = lambda self: True  # type: ignore[method-assign]


def _clocks_of_their_own() -> None:
    from raftsql.database.environment import UNIX_EPOCH_JULIAN_MS, ClockVFS

    def now(self: Any) -> int:
        return UNIX_EPOCH_JULIAN_MS + time.time_ns() // 1_000_000

    ClockVFS.xCurrentTimeInt64 = now  # type: ignore[method-assign]


def _chance_of_their_own() -> None:
    from raftsql.database.environment import Pinned
    from raftsql.sql.pinned import Chance

    Pinned._drawn = lambda self: Chance(secrets.randbits(64))  # type: ignore[method-assign]


def _fuel_of_their_own() -> None:
    from raftsql.database import fuel

    share = secrets.SystemRandom().uniform(0.3, 1.0)
    fuel.near = fuel.exact = lambda units: max(1, int(units * share))


def _no_fuel() -> None:
    from raftsql.database import fuel

    fuel.near = fuel.exact = lambda units: fuel.NO_LIMIT


PLANTED: Final = {
    "answers-before-sync": Planted(
        "the journal says that entries are on the disk, and syncs them a moment later",
        _sync_later, ("sets", "counters"), ("power failure",),
    ),
    "counts-its-disk-early": Planted(
        CORE["counts_its_own_disk_early"].story,
        _core("counts_its_own_disk_early"), ("sets", "counters"), ("shifted majority",),
    ),
    "acknowledges-before-the-disk": Planted(
        CORE["acknowledges_before_the_disk"].story,
        _core("acknowledges_before_the_disk"), ("sets", "counters"), ("shifted majority",),
    ),
    "reads-without-a-quorum": Planted(
        CORE["reads_without_a_quorum"].story,
        _read_without_a_quorum, ("registers",), ("isolate", "pause"),
    ),
    "reads-before-applied": Planted(
        "a read is served before what it must see is applied",
        _replica("a read is served before what it must see is applied"),
        ("registers",), ("delayed", "slow disk"),
    ),
    "majority-too-small": Planted(
        CORE["majority_is_one_too_few"].story,
        _core("majority_is_one_too_few"), ("registers", "sets"), ("isolate", "split"),
    ),
    "applies-a-retry-again": Planted(
        "a retried write is applied again",
        _replica("a retried write is applied again"), ("counters",), ("deafen", "kill"),
    ),
    "singles-pass-transactions": Planted(
        "single writes pass an open transaction",
        _replica("single writes pass an open transaction"), ("lists", "bank"), ("transfer",),
    ),
    "upgrades-blindly": Planted(
        "a transaction writes although what it read has changed",
        _replica("a transaction writes although what it read has changed"),
        ("lists", "bank"), ("transfer",),
    ),
    "calls-unknown-failed": Planted(
        "a write whose outcome is unknown is called failed",
        _replica("a write whose outcome is unknown is called failed"),
        ("sets", "counters"), ("deafen", "pause"),
    ),
    "lies-about-its-age": Planted(
        "a stale read's age is a lie",
        _replica("a stale read's age is a lie"), ("staleness",), ("isolate", "pause"),
    ),
    "lease-without-end": Planted(
        "a leader's lease never ends",
        _lease_without_end, ("registers",), ("isolate", "pause"), {"registers": "lease"},
    ),
    "clocks-of-their-own": Planted(
        "each node applies with its own clock", _clocks_of_their_own, ("sets",), ("kill",),
    ),
    "chance-of-their-own": Planted(
        "each node draws its own random numbers", _chance_of_their_own, ("sets",), ("kill",),
    ),
    "fuel-of-their-own": Planted(
        "each node stops a runaway write where it thinks fit, as a timeout on each of them would",
        _fuel_of_their_own, ("runaways",), ("kill",),
    ),
    "no-fuel": Planted("a runaway write is not stopped", _no_fuel, ("runaways",), ("kill",)),
}  # fmt: skip


def plant(name: str) -> None:
    """Put the bug into this process, for good."""
    PLANTED[name].put_in()
