"""Processor time and memory, of this process and of others. What has ended uses nothing."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from pathlib import Path


def own_cpu_seconds() -> float:
    """What this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident_mb(pid: int | str = "self") -> float:
    """The memory that a process has in use."""
    for line in _read(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def peak_mb(pid: int) -> float:
    """The most memory that a process has had in use, since it began or `forget_peaks`."""
    for line in _read(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def forget_peaks(pids: Iterable[int]) -> None:
    """Let the peaks of these processes count from now on."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def cpu_seconds(pid: int) -> float:
    """What a process, and those of its children that ended, have used."""
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


class Meter:
    """What processes use from now on."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._before = {pid: cpu_seconds(pid) for pid in pids}

    def cpu_seconds(self, pids: Iterable[int]) -> float:
        """Of these processes, some of which may be new."""
        return sum(cpu_seconds(pid) - self._before.get(pid, 0.0) for pid in pids)

    def largest_mb(self, pids: Iterable[int]) -> float:
        """The memory of the one that has most."""
        return max((resident_mb(pid) for pid in pids), default=0.0)


def family(pids: Iterable[int]) -> list[int]:
    """These processes and all below them, for servers that start others."""
    found, asked = [], list(pids)
    while asked:
        pid = asked.pop()
        found.append(pid)
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        asked += [int(child) for task in tasks for child in _read(task).split()]
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
