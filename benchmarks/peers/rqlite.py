"""rqlite, given the path of an `rqlited` that the user has, over HTTP and through pyrqlite."""

from __future__ import annotations

import importlib.util
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.crowd import crowd
from benchmarks.loads import alone
from benchmarks.nodes import free_ports
from benchmarks.peers.fleet import Fleet, NotThere
from benchmarks.results import Measured
from benchmarks.wire import Http, post
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
    Client,
    Work,
)

LEVELS = {"linearizable": "linearizable", "lease": "weak", "stale": "none"}
"""What comes nearest to our levels; it has none for a session."""


class Rqlite:
    """Over keep-alive HTTP; `addresses` begin with the leader."""

    by = "rqlite"

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = list(addresses)

    def run(self, work: Work, *, clients: int, seconds: float) -> Measured | None:
        """Requests that lie ready."""
        requests = self._requests(work)
        if requests is None or (work.at == "follower" and len(self.addresses) < 2):
            return None
        address = self.addresses[-1 if work.at == "follower" else 0]
        return crowd(lambda: Http(address), requests, clients=clients, seconds=seconds)

    def _requests(self, work: Work) -> Callable[[], Sequence[bytes]] | None:
        insert = post("/db/execute", json.dumps([[INSERT, work.name]]).encode())
        match work.kind:
            case "insert":
                return lambda: (insert,)
            case "batch":
                where = "/db/execute?transaction" if work.inside else "/db/execute"
                many = post(where, json.dumps([[INSERT, work.name]] * work.rows).encode())
                return lambda: (many,)
            case "transaction":
                return None
        if work.level not in LEVELS:
            return None
        if work.kind == "mixed":
            mixed = cycle([insert] + [self._query(work, SELECT, READ_ID)] * MIXED_READS)
            return lambda: (next(mixed),)
        query = {
            "read": lambda: self._query(work, SELECT, READ_ID),
            "range": lambda: self._query(work, RANGE, RANGE_FROM, RANGE_FROM + work.rows),
            "big": lambda: self._query(work, BIG, work.rows),
        }[work.kind]()
        return lambda: (query,)

    def _query(self, work: Work, sql: str, *values: int) -> bytes:
        body = json.dumps([[sql, *values]]).encode()
        return post(f"/db/query?level={LEVELS[work.level]}", body)

    def fill(self) -> None:
        """Make the table foo."""
        self.ask("/db/execute", ["CREATE TABLE foo (id INTEGER PRIMARY KEY, name TEXT)"])
        self.ask("/db/execute?transaction", [[INSERT, NAME]] * FILLED_ROWS)

    def ask(self, path: str, body: Any) -> Any:
        """One call."""
        wire = Http(self.addresses[0])
        wire.send(post(path, json.dumps(body).encode()))
        wire.wait()
        wire.socket.close()


class Pyrqlite:
    """One client that blocks, through the Python driver."""

    by = "pyrqlite"

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = list(addresses)

    def run(self, work: Work, *, clients: int, seconds: float) -> Measured | None:
        """Single rows, and batches by executemany."""
        if clients > 1 or work.kind not in ("insert", "read", "batch") or work.inside:
            return None
        if work.kind == "read" and (work.level != "lease" or work.at != "leader"):
            return None  # It reads at the weak level, always.
        import pyrqlite.dbapi2  # type: ignore[import-not-found]

        host, _, port = self.addresses[0].rpartition(":")
        connection = pyrqlite.dbapi2.connect(host=host, port=int(port))
        cursor = connection.cursor()
        rows = [(NAME,)] * work.rows
        ask = {
            "insert": lambda: cursor.execute(INSERT, (NAME,)),
            "batch": lambda: cursor.executemany(INSERT, rows),
            "read": lambda: cursor.execute(SELECT, (READ_ID,)),
        }[work.kind]
        measured = alone(ask, seconds=seconds)
        connection.close()
        return measured

    def fill(self) -> None:
        """The other client did it: both speak with the same servers."""


class RqliteServers(Fleet):
    """Nodes on loopback, with their defaults."""

    def __init__(self, program: Path | None, nodes: int) -> None:
        if program is None or not program.exists():
            raise NotThere("rqlite (name its binary with --rqlited)")
        super().__init__()
        self._program, self._nodes = program, nodes

    def begin(self) -> None:
        """Start them and wait for a leader that all know."""
        ports = free_ports(2 * self._nodes)
        http = [f"127.0.0.1:{port}" for port in ports[: self._nodes]]
        raft = [f"127.0.0.1:{port}" for port in ports[self._nodes :]]
        for k in range(self._nodes):
            together = ["-bootstrap-expect", str(self._nodes), "-join", ",".join(raft)]
            self.spawn(
                str(self._program), "-node-id", str(k + 1), "-http-addr", http[k],
                "-raft-addr", raft[k], *(together if self._nodes > 1 else []),
                str(self.folder / f"node{k + 1}"),
            )  # fmt: skip
        self.until(lambda: self._leader(http), "rqlite")
        leader = self._leader(http)
        found: list[Client] = [Rqlite([leader, *(one for one in http if one != leader)])]
        if importlib.util.find_spec("pyrqlite"):
            found.append(Pyrqlite(found[0].addresses))
        self.clients = found

    def _leader(self, http: list[str]) -> str:
        try:
            with urllib.request.urlopen(f"http://{http[0]}/nodes", timeout=2) as answer:
                nodes = json.load(answer)
        except (urllib.error.URLError, OSError, ValueError):
            return ""
        if sum(1 for one in nodes.values() if one.get("reachable")) < self._nodes:
            return ""
        found = [one["api_addr"] for one in nodes.values() if one.get("leader")]
        return found[0].removeprefix("http://") if found else ""
