"""Whether a node is alive, and whether it should be given work: what /livez and /readyz say.

Alive: the event loop turns, or nobody would answer, and nothing has made the node stop. A node
that waits for its cluster is alive. Ready: it belongs to a cluster whose leader it knows, its
database is near what is committed, and it is not about to stop. Each answer comes with its reasons.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from raftsql.raft.messages import NOBODY
from raftsql.rpc.tally import Kind, Outcome
from raftsql.server.host import Host


def dead(host: Host) -> str:
    """Why this node can do no more, or nothing."""
    failure = host.runner.failure if host.runner is not None else None
    return "" if failure is None else f"the node has stopped: {failure}"


def unready(host: Host) -> str:
    """Why this node should not be given work now, or nothing."""
    runner = host.runner
    if runner is None:
        return f"the node belongs to no cluster yet: it {host.admin.waits_for}"
    if dead(host):
        return dead(host)
    if host.stopping:
        return "the node is stopping"
    node = runner.node
    if node.removed:
        return "the node was removed from the cluster"
    if node.leader == NOBODY:
        return "no leader is known"
    lag = node.log.committed - node.log.applied
    if lag > host.settings.ready_lag_entries:
        return f"the database is {lag} entries behind what is committed"
    if node.installing is not None:
        return "a snapshot is being installed"
    return ""


def told(host: Host) -> dict[str, Callable[[], Any]]:
    """What `raftsql status` says of it."""
    return {
        "alive": lambda: not dead(host),
        "ready": lambda: not unready(host),
        "unready_because": lambda: unready(host) or None,
        "uptime_seconds": lambda: round(time.time() - host.started_at),
        "http": lambda: host.settings.http or None,
        "console": lambda: console_url(host) or None,
        "memory_bytes": resident_bytes,
        "statements": lambda: _statements(host),
    }


def console_url(host: Host) -> str:
    """Where this node's console is, if it has one: as whoever reaches the node reaches it."""
    settings = host.settings
    if not settings.console:
        return ""
    place, _, port = settings.http.rpartition(":")
    if place in ("0.0.0.0", "[::]", "::"):
        place = settings.advertise.rpartition(":")[0]
    return f"{'https' if settings.tls_cert else 'http'}://{place}:{port}/console/"


def resident_bytes() -> int | None:
    """The memory that this process holds; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * resource.getpagesize()


def _statements(host: Host) -> dict[str, Any]:
    """What clients asked of this node since it started; the durations in buckets that double."""
    tally = host.clients.tally
    tally.settle()
    written = [tally.cells[kind][Outcome.DONE] for kind in (Kind.WRITE, Kind.COMMIT)]
    return {
        "writes": sum(durations.count for durations in written),
        "reads": tally.cells[Kind.READ][Outcome.DONE].count,
        "write_buckets": [sum(counts) for counts in zip(*(d.counts for d in written), strict=True)],
    }
