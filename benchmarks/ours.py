"""raftsql under load through its own driver, in both colours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import uvloop

import raftsql
from benchmarks.loads import Ask, alone, closed
from benchmarks.nodes import Nodes
from benchmarks.results import OURS, Measured
from benchmarks.work import (
    BIG,
    FILLED_ROWS,
    INSERT,
    MIXED_READS,
    NAME,
    RANGE,
    RANGE_FROM,
    READ_ID,
    SELECT,
    UPDATE,
    Client,
    Work,
)

TIMEOUT_S = 60.0


class Raftsql:
    """Tasks with a connection each; `addresses` begin with the leader."""

    by = OURS

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = list(addresses)

    def url(self, at: str = "leader") -> str:
        """All nodes, or a follower alone."""
        chosen = self.addresses[-1:] if at == "follower" else self.addresses
        return f"raftsql://{','.join(chosen)}/"

    def run(self, work: Work, *, clients: int, seconds: float) -> Measured | None:
        """In an event loop of its own."""
        if work.at == "follower" and len(self.addresses) < 2:
            return None
        return self.ask(asking(work), at=work.at, clients=clients, seconds=seconds)

    def ask(self, ask: Ask, *, at: str = "leader", clients: int, seconds: float) -> Measured:
        """The same with whatever a client is to do in a turn."""
        url = self.url(at)
        connect = partial(raftsql.AsyncConnection.connect, url, autocommit=True, timeout=TIMEOUT_S)
        return uvloop.run(closed(connect, ask, clients=clients, seconds=seconds))

    def fill(self) -> None:
        """Make the table foo."""
        with raftsql.connect(self.url(), autocommit=True, timeout=TIMEOUT_S) as connection:
            connection.execute("CREATE TABLE foo (id INTEGER PRIMARY KEY, name TEXT)")
            connection.executemany(INSERT, [(NAME,)] * FILLED_ROWS)


class Blocking(Raftsql):
    """One client that blocks, as in a web server's worker process."""

    def run(self, work: Work, *, clients: int, seconds: float) -> Measured | None:
        """Single rows only."""
        if clients > 1 or work.kind not in ("insert", "read"):
            return None
        with raftsql.connect(self.url(work.at), autocommit=True, timeout=TIMEOUT_S) as connection:
            if work.kind == "insert":
                return alone(lambda: connection.execute(INSERT, (NAME,)), seconds=seconds)
            return alone(
                lambda: connection.execute(
                    SELECT, (READ_ID,), consistency=work.level
                ).fetchone(),
                seconds=seconds,
            )  # fmt: skip


def asking(work: Work) -> Callable[[Any], Awaitable[object]]:
    """What one client does in a turn."""
    return {
        "insert": _insert, "batch": _batch, "transaction": _transaction, "read": _read,
        "range": _range, "big": _big, "mixed": _mixed,
    }[work.kind](work)  # fmt: skip


def _insert(work: Work) -> Callable[[Any], Awaitable[object]]:
    values = (work.name,)
    return lambda connection: connection.execute(INSERT, values)


def _batch(work: Work) -> Callable[[Any], Awaitable[object]]:
    rows = [(work.name,)] * work.rows

    async def ask(connection: Any) -> None:
        if work.inside:
            await connection.execute("BEGIN")
        await connection.executemany(INSERT, rows)
        if work.inside:
            await connection.execute("COMMIT")

    return ask


def _transaction(work: Work) -> Callable[[Any], Awaitable[object]]:
    async def ask(connection: Any) -> None:
        await connection.execute("BEGIN IMMEDIATE")
        await connection.execute(INSERT, (work.name,))
        await connection.execute(UPDATE, (READ_ID,))
        await (await connection.execute(SELECT, (READ_ID,))).fetchone()
        await connection.execute("COMMIT")

    return ask


def _read(work: Work) -> Callable[[Any], Awaitable[object]]:
    async def ask(connection: Any) -> object:
        cursor = await connection.execute(SELECT, (READ_ID,), consistency=work.level)
        return await cursor.fetchone()

    return ask


def _range(work: Work) -> Callable[[Any], Awaitable[object]]:
    values = (RANGE_FROM, RANGE_FROM + work.rows)

    async def ask(connection: Any) -> object:
        return await (await connection.execute(RANGE, values, consistency=work.level)).fetchall()

    return ask


def _big(work: Work) -> Callable[[Any], Awaitable[object]]:
    async def ask(connection: Any) -> object:
        cursor = await connection.execute(BIG, (work.rows,), consistency=work.level)
        return await cursor.fetchall()

    return ask


def _mixed(work: Work) -> Callable[[Any], Awaitable[object]]:
    write, read, turn = _insert(work), _read(work), 0

    async def ask(connection: Any) -> object:
        nonlocal turn
        turn += 1
        return await (write if turn % (MIXED_READS + 1) == 0 else read)(connection)

    return ask


class Cluster(Nodes):
    """Nodes, with the client that loads them."""

    clients: Sequence[Client] = ()

    def __enter__(self) -> Cluster:
        super().__enter__()
        leader = self.wait_for_leader(voters=len(self.addresses))
        others = [one for k, one in enumerate(self.addresses, 1) if k != leader]
        self.clients = [Raftsql([self.addresses[leader - 1], *others])]
        return self

    def pids(self) -> list[int]:
        """Of the nodes that run."""
        return [one.pid for one in self.processes.values() if one.poll() is None]
