"""A node's counters as a table that a person can read.

What can be counted is found in the node's picture of itself, whatever it holds: a server that is
newer than this shell shows its new counters too, only without words about them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from raftsql_shell.look import Row

ABOUT: Final = {
    "term": "elections so far, about",
    "first_index": "the log begins with this entry",
    "last_index": "the last entry of the log",
    "stored_index": "the last one that is safe on this disk",
    "commit_index": "the last one that is safe on a majority",
    "applied_index": "the last one that is in the database",
    "unapplied_entries": "committed, and not in the database yet",
    "log_entries": "how long the log is",
    "age_ms": "how old a stale read may be here",
    "writes_waiting": "proposed here, and not answered yet",
    "reads_waiting": "reads that wait for their place in the log",
    "transactions_open": "transactions that hold the writer",
    "transactions_waiting": "transactions that wait for it",
    "database_bytes": "the database's file",
    "wal_bytes": "what is not in that file yet",
    "compactions": "times that the log was shortened",
    "lease": "1 while reads need not ask the others",
    "members": "nodes in the cluster",
    "voters": "those that vote",
}
_NAMES: Final = ("node_id", "leader", "pid", "transferring_to")
"""Numbers that count nothing."""


def rows(picture: dict[str, Any], pattern: str = "") -> list[Row]:
    """Name, value and meaning of each counter whose name holds the pattern."""
    return [
        (name, value, ABOUT.get(name))
        for name, value in _counters(picture)
        if pattern.casefold().strip("%*") in name
    ]


def _counters(picture: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in picture.items():
        if name in _NAMES:
            continue
        yield from _numbers(name, value)
        if name == "applied_index" and "commit_index" in picture:
            yield "unapplied_entries", max(0, picture["commit_index"] - value)
        if name == "last_index" and "first_index" in picture:
            yield "log_entries", value - picture["first_index"] + 1
    members = picture.get("members", [])
    yield "members", len(members)
    yield "voters", sum(bool(member["voter"]) for member in members)


def _numbers(name: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, bool):
        yield name, int(value)
    elif isinstance(value, int | float):
        yield name, value
    elif isinstance(value, dict):
        for inner, each in value.items():
            yield from _numbers(f"{name}.{inner}", each)
