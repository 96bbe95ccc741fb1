"""A node's state as `raftsql status --json` prints it: complete enough to script with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import raftsql
from raftsql.cluster.runner import Runner
from raftsql.database.compaction import wal_bytes
from raftsql.database.environment import fingerprint
from raftsql.raft.ready import Status


def members(runner: Runner, status: Status) -> list[dict[str, Any]]:
    """The members, what they run, and how far the leader knows them to be."""
    found = []
    versions = {**runner.versions, status.node: raftsql.__version__}
    for node, member in sorted(status.membership.members.items()):
        peer = status.peers.get(node)
        found.append(
            {
                "node_id": node,
                "address": member.address,
                "voter": member.voter,
                "priority": member.priority,
                "leader": node == status.leader,
                "match": status.last.index if node == status.node else peer and peer.match,
                "flow": peer and peer.flow,
                "heard_ms_ago": 0 if node == status.node else peer and peer.heard_ms_ago,
                "version": versions.get(node) or None,
            }
        )
    return found


def picture(runner: Runner, address: str) -> dict[str, Any]:
    """Everything worth knowing of a running node."""
    status = runner.node.status()
    leader = status.membership.members.get(status.leader)
    database = runner.stores.database
    return {
        "node_id": status.node,
        "address": address,
        "cluster": f"{runner.config.cluster:016x}",
        "version": raftsql.__version__,
        "fingerprint": fingerprint(),
        "pid": os.getpid(),
        "role": str(status.role),
        "term": status.term,
        "leader": status.leader or None,
        "leader_address": leader.address if leader else None,
        "first_index": status.base.index + 1,
        "last_index": status.last.index,
        "stored_index": status.stored,
        "commit_index": status.committed,
        "applied_index": status.applied,
        "lease": status.lease_valid,
        "transferring_to": status.transferring_to or None,
        "age_ms": runner.replica.reading.age_ms(),
        "writes_waiting": len(runner.replica.proposals),
        "reads_waiting": len(runner.replica.reading),
        "transactions_open": runner.replica.writer.open_count,
        "transactions_waiting": runner.replica.writer.waiting_count,
        "database_bytes": _size(database),
        "wal_bytes": wal_bytes(database),
        "journal_bytes": folder_bytes(runner.stores.datadir.journal),
        "sessions": runner.stores.machine.session_count,
        "compactions": runner.housekeeping.compactions,
        "waits_for": runner.marking.waits_for or None,
        "failure": str(runner.failure) if runner.failure else None,
        "members": members(runner, status),
        "removed": list(status.membership.removed),
    }


def unformed(address: str, waits_for: str) -> dict[str, Any]:
    """A node that belongs to no cluster yet."""
    return {
        "node_id": None,
        "address": address,
        "version": raftsql.__version__,
        "pid": os.getpid(),
        "role": "learner",
        "term": 0,
        "leader": None,
        "applied_index": 0,
        "members": [],
        "waits_for": waits_for,
    }


def as_json(what: object) -> str:
    """For the wire and for people."""
    return json.dumps(what, indent=2)


def folder_bytes(folder: Path) -> int:
    """The size of the files in a folder; one that goes meanwhile does not count."""
    return sum(_size(path) for path in folder.iterdir())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
