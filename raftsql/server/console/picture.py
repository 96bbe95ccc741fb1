"""The cluster in one picture, from what its members said last. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raftsql.raft.messages import NOBODY
from raftsql.raft.ready import RoleName, Status
from raftsql.server.console.gathering import Known, rates


def cluster(own: Status, known: Mapping[int, Known]) -> dict[str, Any]:
    """What a page shows."""
    pictures = {node: one.picture for node, one in known.items() if one.fresh and one.picture}
    leader, term = _leader(own, pictures)
    committed = max([own.committed, *(p.get("commit_index", 0) for p in pictures.values())])
    members = [
        _member(node, member.address, member.voter, known.get(node), own, leader, committed)
        for node, member in sorted(own.membership.members.items())
    ]
    return {
        "leader": leader or None,
        "term": term,
        "node_id": own.node,
        "members": members,
        "rates": rates(list(known.values())),
        "alarms": alarms(leader, members, pictures),
    }


def _leader(own: Status, pictures: Mapping[int, dict[str, Any]]) -> tuple[int, int]:
    """Who leads in the newest term that anybody knows of, if that one has a leader. What this node
    said of itself when it was last asked is older than what it knows."""
    said = [(own.term, own.leader)]
    others = [picture for node, picture in pictures.items() if node != own.node]
    said += [(p.get("term", 0), p.get("leader") or NOBODY) for p in others]
    term = max(t for t, _ in said)
    return max((leader for t, leader in said if t == term), default=NOBODY), term


def _member(
    node: int, address: str, voter: bool, known: Known | None, own: Status, leader: int,
    committed: int,
) -> dict[str, Any]:  # fmt: skip
    fresh = known is not None and known.fresh
    picture = known.picture if known is not None else {}
    role = str(picture.get("role", "")) if fresh else ""
    if node == own.node:
        role = str(own.role)
    elif node == leader and fresh:
        role = str(RoleName.LEADER)
    elif not role or (role == RoleName.LEADER and leader):
        role = str(RoleName.FOLLOWER if voter else RoleName.LEARNER)
    applied = own.applied if node == own.node else picture.get("applied_index")
    sizes = [picture.get(name) for name in ("database_bytes", "wal_bytes", "journal_bytes")]
    return {
        "node_id": node,
        "address": address,
        "role": role,
        "voter": voter,
        "term": own.term if node == own.node else picture.get("term"),
        "applied": applied,
        "lag": None if applied is None or not fresh else max(0, committed - applied),
        "latency_ms": known.latency_ms if known is not None and fresh else None,
        "disk_bytes": None if None in sizes else sum(size for size in sizes if size is not None),
        "memory_bytes": picture.get("memory_bytes"),
        "version": picture.get("version"),
        "reachable": fresh or node == own.node,
        "ready": picture.get("ready") if fresh else None,
        "console": picture.get("console"),
    }


def alarms(
    leader: int, members: list[dict[str, Any]], pictures: Mapping[int, dict[str, Any]]
) -> list[str]:
    """What somebody should look at."""
    found = [] if leader else ["no leader is known"]
    found += [f"node {m['node_id']} does not answer" for m in members if not m["reachable"]]
    for node, picture in sorted(pictures.items()):
        if picture.get("failure"):
            found.append(f"node {node} has stopped: {picture['failure']}")
        elif picture.get("ready") is False and leader:
            found.append(f"node {node} is not ready: {picture.get('unready_because')}")
        verified = picture.get("verified")
        if isinstance(verified, dict) and verified.get("equal") is False:
            found.append("the nodes do not hold the same: see `raftsql verify`")
        backup = picture.get("backup")
        if isinstance(backup, dict) and backup.get("failure"):
            found.append(f"the last scheduled backup failed: {backup['failure']}")
    versions = sorted({str(m["version"]) for m in members if m["version"]})
    if len(versions) > 1:
        found.append(f"the nodes run different versions: {', '.join(versions)}")
    return found
