"""All workloads, by name."""

from __future__ import annotations

from typing import Final

from tests.faults.workloads.registers import Registers
from tests.faults.workloads.workload import Workload

WORKLOADS: Final[dict[str, type[Workload]]] = {one.name: one for one in (Registers,)}
