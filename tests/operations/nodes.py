"""Real nodes on loopback ports, for tests: started, killed and asked; every wait has an end."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import apsw

import raftsql
from raftsql.database.environment import Role, open_connection
from raftsql.server.operate import NotDone, Unreachable, status

WAIT_SECONDS = 20.0
COMMAND_SECONDS = 60.0
FAST = ("--heartbeat-ms", "50", "--election-ms", "400", "--lease-ms", "350", "--drift-ms", "20")


class Outcome(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Nodes:
    """A cluster of processes in a folder. Ends the processes it started, and no others."""

    def __init__(self, folder: Path, count: int, *flags: str) -> None:
        self.folder = folder
        self.addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
        self._flags = flags
        self.processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Nodes:
        self.folder.mkdir(exist_ok=True)
        try:
            for number in range(1, len(self.addresses) + 1):
                self.start(number)
            self.wait_until(lambda: self._formed(), "the cluster to form")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        for number in self.processes:
            self.kill(number)

    def _formed(self) -> bool:
        found = self.status(1)
        voters = [m for m in found.get("members", []) if m["voter"]]
        return bool(found.get("leader")) and len(voters) == len(self.addresses)

    @property
    def url(self) -> str:
        return f"raftsql://{','.join(self.addresses)}/"

    def data(self, number: int) -> Path:
        return self.folder / f"node{number}"

    def start(self, number: int) -> None:
        command = [
            sys.executable, "-m", "raftsql.server", "serve",
            "--data-dir", str(self.data(number)), "--listen", self.addresses[number - 1],
            "--node-id", str(number), *FAST, *self._flags,
        ]  # fmt: skip
        if number > 1:
            command += ["--join", ",".join(self.addresses)]
        with (self.folder / f"node{number}.log").open("ab") as log:
            self.processes[number] = subprocess.Popen(command, stdout=log, stderr=log)

    def grow(self) -> int:
        """Start one more node; its number in this object, which is not its id."""
        self.addresses.append(f"127.0.0.1:{free_ports(1)[0]}")
        number = len(self.addresses)
        command = [
            sys.executable, "-m", "raftsql.server", "serve",
            "--data-dir", str(self.data(number)), "--listen", self.addresses[number - 1],
            "--join", ",".join(self.addresses[:-1]), *FAST, *self._flags,
        ]  # fmt: skip
        with (self.folder / f"node{number}.log").open("ab") as log:
            self.processes[number] = subprocess.Popen(command, stdout=log, stderr=log)
        return number

    def kill(self, number: int) -> None:
        """As a power cut does for the process: nothing is finished."""
        process = self.processes[number]
        if process.poll() is None:
            process.kill()
        process.wait(10)

    def stop(self, number: int) -> None:
        self.processes[number].send_signal(signal.SIGTERM)
        self.processes[number].wait(15)

    def log(self, number: int) -> str:
        return (self.folder / f"node{number}.log").read_text(errors="replace")

    def status(self, number: int) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(status(self.addresses[number - 1], timeout=2.0))
        except (Unreachable, NotDone):
            return {}
        return found

    def leader(self) -> int:
        found = [0]

        def known() -> bool:
            for number, process in self.processes.items():
                if process.poll() is None and self.status(number).get("role") == "leader":
                    found[0] = number
                    return True
            return False

        self.wait_until(known, "a leader")
        return found[0]

    def follower(self) -> int:
        leader = self.leader()
        return next(number for number in sorted(self.processes) if number != leader)

    def wait_until(self, happened: Callable[[], bool], what: str) -> None:
        give_up_at = time.monotonic() + WAIT_SECONDS
        while not happened():
            if time.monotonic() > give_up_at:
                logs = "\n".join(self.log(number)[-1500:] for number in self.processes)
                raise AssertionError(f"waited in vain for {what}:\n{logs}")
            time.sleep(0.02)

    def wait_until_level(self, number: int) -> None:
        """Wait until a node has applied what the leader has."""
        leader = self.leader()

        def level() -> bool:
            theirs = self.status(leader).get("applied_index")
            return theirs is not None and self.status(number).get("applied_index") == theirs

        self.wait_until(level, f"node {number} to be level")

    def connect(self) -> Any:
        return raftsql.connect(self.url, autocommit=True, timeout=15.0)

    def run(self, *arguments: str | Path, url: str = "") -> Outcome:
        """The program, as an operator types it."""
        command = [sys.executable, "-m", "raftsql.server", *map(str, arguments)]
        done = subprocess.run(
            [*command, "--url", url or self.url],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def verify(self, *arguments: str | Path) -> dict[str, Any]:
        done = self.run("verify", "--json", *arguments)
        assert done.out, done.err
        report: dict[str, Any] = json.loads(done.out)
        return report


def rows(path: Path, sql: str) -> list[Any]:
    """What Python's own sqlite3 reads in a file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def changed(data: Path, sql: str) -> None:
    """Change a stopped node's database behind its back, so that its pages are sound."""
    with closing(open_connection(data / "database.db", Role.SERVICE)) as connection:
        connection.execute(sql)


def damage_table(data: Path, table: str) -> None:
    """Spoil the first page of a table in a stopped node's database file."""
    path = data / "database.db"
    with closing(open_connection(path, Role.SERVICE)) as connection:
        # What is in the WAL would hide the damage of the file.
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        ((page,),) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)
        ).fetchall()
    assert isinstance(page, int)
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xaa" * 4096
    path.write_bytes(content)
