"""What a soak looks at every few seconds: each node's process, its files, and what it counts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.nodes import Nodes
from benchmarks.usage import cpu_seconds, resident_mb
from raftsql.server.operate import NotDone, Unreachable, call
from raftsql_proto import admin_pb2

MB: Final = 1_000_000
ASK_S: Final = 5.0
COUNTED: Final = {
    "compactions": r"^raftsql_compactions_total (\S+)",
    "full_collections": r'^python_gc_collections_total\{generation="2"\} (\S+)',
    "sessions": r"^raftsql_sessions (\S+)",
    "waiting": r"^raftsql_writes_waiting (\S+)",
}
"""What a node says of itself, and where that stands in its metrics."""

Sample = dict[str, float]


def sample(nodes: Nodes, number: int) -> Sample:
    """One node, now."""
    pid, folder = nodes.processes[number].pid, nodes.folder / f"node{number}"
    sizes = dict(_sizes(folder))
    found = {
        "memory_mb": resident_mb(pid),
        "handles": float(len(os.listdir(f"/proc/{pid}/fd"))),
        "threads": float(len(os.listdir(f"/proc/{pid}/task"))),
        "cpu_seconds": cpu_seconds(pid),
        "disk_mb": sum(sizes.values()) / MB,
        "journal_mb": sum(size for path, size in sizes.items() if "journal" in path.parts) / MB,
        "wal_mb": sum(size for path, size in sizes.items() if path.name.endswith("-wal")) / MB,
    }
    return found | _counted(nodes.addresses[number - 1])


def _sizes(folder: Path) -> Iterator[tuple[Path, int]]:
    """What each file takes on the disk; files come and go while one looks."""
    for path in folder.rglob("*"):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        if path.is_file():
            yield path, stat.st_blocks * 512


def _counted(address: str) -> Sample:
    try:
        reply: Any = call(address, lambda stub: stub.Metrics, admin_pb2.MetricsRequest(), ASK_S)
    except (Unreachable, NotDone):
        return {}
    found = {}
    for name, pattern in COUNTED.items():
        match = re.search(pattern, reply.text, re.MULTILINE)
        if match:
            found[name] = float(match[1])
    return found
