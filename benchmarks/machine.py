"""What machine a run was made on: figures mean nothing without it."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from pathlib import Path
from statistics import median

SYNCS = 300
BLOCK_BYTES = 256
RESERVED_BYTES = 1 << 20


def described() -> dict[str, object]:
    """Processors, memory, system, and what a sync takes in the folder of temporary files."""
    return {
        "cores": os.cpu_count(),
        "processor": _first("/proc/cpuinfo", "model name"),
        "memory_mb": round(int((_first("/proc/meminfo", "MemTotal") or "0").split()[0]) / 1024),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "sync_us": round(sync_seconds() * 1e6),
    }


def sync_seconds() -> float:
    """The median time of a small write and its fdatasync, into room that is reserved."""
    taken = []
    with tempfile.TemporaryFile(prefix="raftsql-sync-") as file:
        number = file.fileno()
        os.posix_fallocate(number, 0, RESERVED_BYTES)
        os.fsync(number)
        for k in range(SYNCS):
            began = time.perf_counter()
            os.pwrite(number, b"x" * BLOCK_BYTES, k * BLOCK_BYTES)
            os.fdatasync(number)
            taken.append(time.perf_counter() - began)
    return median(taken)


def _first(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return ""
