"""The workloads that every system is given, in groups that can be chosen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.work import Work

CLIENTS = (1, 8, 64, 256)
READERS = (1, 64, 256)
PROCESSES = (1, 4, 16)
BATCHES = (10, 100, 1000)
MANY_ROWS = 10_000
RANGE_ROWS = 100
BIG_ROWS = 10_000
SIZES_BYTES = (100, 1_000, 10_000, 100_000, 1_000_000)
LEVELS = ("linearizable", "lease", "session", "stale")


@dataclass(frozen=True, slots=True)
class Load:
    """A workload as the table names it."""

    label: str
    work: Work
    clients: int = 1
    processes: int = 0
    """More than none: so many processes, with one client each that blocks."""
    tags: dict[str, float] = field(default_factory=dict)


def loads(group: str) -> Iterator[Load]:
    """All workloads of a group."""
    return {
        "writes": _writes, "processes": _processes, "batches": _batches,
        "transactions": _transactions, "reads": _reads, "ranges": _ranges,
        "mixed": _mixed, "row-size": _row_sizes,
    }[group]()  # fmt: skip


GROUPS = (
    "writes", "processes", "batches", "transactions", "reads", "ranges", "mixed", "row-size",
)  # fmt: skip
SIZE_GROUPS = ("writes", "reads")
"""What is measured again on clusters of other sizes."""


def _clients(count: int) -> str:
    return f"{count} client{'' if count == 1 else 's'}"


def _writes() -> Iterator[Load]:
    for clients in CLIENTS:
        tags = {"clients": float(clients)}
        yield Load(f"insert, {_clients(clients)}", Work("insert"), clients, tags=tags)


def _processes() -> Iterator[Load]:
    for kind, work in (("insert", Work("insert")), ("lease read", Work("read", level="lease"))):
        for count in PROCESSES:
            label = f"{kind}, {count} process{'' if count == 1 else 'es'}"
            yield Load(label, work, processes=count, tags={"processes": float(count)})


def _batches() -> Iterator[Load]:
    for rows in BATCHES:
        tags = {"rows": float(rows)}
        yield Load(f"batch of {rows}", Work("batch", rows), tags=tags)
        inside = Work("batch", rows, inside=True)
        yield Load(f"batch of {rows} in a transaction", inside, tags=tags)
    yield Load(f"executemany of {MANY_ROWS}", Work("batch", MANY_ROWS))


def _transactions() -> Iterator[Load]:
    for clients in (1, 64):
        yield Load(f"3 statements, {_clients(clients)}", Work("transaction"), clients)


def _reads() -> Iterator[Load]:
    for level in LEVELS:
        for at in ("leader", "follower"):
            for clients in READERS:
                work = Work("read", level=level, at=at)  # type: ignore[arg-type]
                tags = {"clients": float(clients)} if at == "leader" else {}
                place = "" if at == "leader" else " by a follower"
                yield Load(f"{level} read{place}, {_clients(clients)}", work, clients, tags=tags)


def _ranges() -> Iterator[Load]:
    for clients in (1, 64):
        label = f"range of {RANGE_ROWS} rows, {_clients(clients)}"
        yield Load(label, Work("range", RANGE_ROWS), clients)
    yield Load(f"result of {BIG_ROWS} rows", Work("big", BIG_ROWS))


def _mixed() -> Iterator[Load]:
    for clients in CLIENTS:
        tags = {"clients": float(clients)}
        yield Load(f"90 % reads, {_clients(clients)}", Work("mixed"), clients, tags=tags)


def _row_sizes() -> Iterator[Load]:
    for size in SIZES_BYTES:
        work = Work("insert", size_bytes=size)
        yield Load(f"insert of {size} bytes, 8 clients", work, 8, tags={"bytes": float(size)})
