"""All workloads, by name."""

from __future__ import annotations

from typing import Final

from tests.faults.workloads.bank import Bank
from tests.faults.workloads.counters import Counters
from tests.faults.workloads.lists import Lists
from tests.faults.workloads.registers import Registers
from tests.faults.workloads.runaways import Runaways
from tests.faults.workloads.sessions import Sessions
from tests.faults.workloads.sets import Sets
from tests.faults.workloads.staleness import Staleness
from tests.faults.workloads.workload import Workload

WORKLOAD_CLASSES: Final = (
    Registers, Lists, Bank, Sets, Counters, Sessions, Staleness, Runaways,
)  # fmt: skip
WORKLOADS: Final[dict[str, type[Workload]]] = {one.name: one for one in WORKLOAD_CLASSES}
