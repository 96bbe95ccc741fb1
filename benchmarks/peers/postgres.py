"""PostgreSQL with one synchronous standby, which has applied a write before it is answered."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

from benchmarks.crowd import crowd
from benchmarks.nodes import free_ports
from benchmarks.peers.fleet import Fleet, NotThere
from benchmarks.results import Measured
from benchmarks.wire import SYNC, Failed, Postgres, executed, message, prepared
from benchmarks.work import FILLED_ROWS, MIXED_READS, NAME, RANGE_FROM, READ_ID, Work

STATEMENTS = {
    "insert": "INSERT INTO foo (name) VALUES ($1)",
    "read": "SELECT name FROM foo WHERE id = $1::text::integer",
    "range": "SELECT id, name FROM foo WHERE id > $1::text::integer AND id <= $2::text::integer",
    "big": "SELECT id, name, id * 1.5, id % 7 FROM foo WHERE id <= $1::text::integer",
    "update": "UPDATE foo SET name = 'fiona' WHERE id = $1::text::integer",
    "begin": "BEGIN",
    "commit": "COMMIT",
}
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
"""
OWNER = "postgres"
"""The server refuses to run as root; then the system's user of this name owns it."""


class Prepared(Postgres):
    """A connection with all statements prepared."""

    __slots__ = ()

    def open(self) -> None:
        """Log in and prepare."""
        super().open()
        self.send(b"".join(prepared(name, sql) for name, sql in STATEMENTS.items()) + SYNC)
        self.wait()


class PostgresClient:
    """Prepared statements; `addresses` are the primary and the standby."""

    by = "postgresql"

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = list(addresses)

    def run(self, work: Work, *, clients: int, seconds: float) -> Measured | None:
        """The primary knows every write; a standby answers with what it has."""
        if work.level not in ("linearizable", "stale"):
            return None
        if work.at == "follower" and work.level == "linearizable":
            return None
        address = self.addresses[1 if work.at == "follower" else 0]
        return crowd(
            lambda: Prepared(address), self._requests(work), clients=clients, seconds=seconds
        )

    def _requests(self, work: Work) -> Callable[[], Sequence[bytes]]:
        insert = executed("insert", work.name.encode())
        one = executed("read", b"%d" % READ_ID)
        begin, commit = executed("begin"), executed("commit")
        if work.kind == "mixed":
            turns = cycle([insert + SYNC] + [one + SYNC] * MIXED_READS)
            return lambda: (next(turns),)
        # A batch without BEGIN is one message too, and PostgreSQL makes it one transaction.
        batch = insert * work.rows
        requests: tuple[bytes, ...] = {
            "insert": (insert + SYNC,),
            "batch": ((begin + batch + commit if work.inside else batch) + SYNC,),
            "transaction": (
                begin + insert + SYNC,
                executed("update", b"%d" % READ_ID) + SYNC,
                one + SYNC,
                commit + SYNC,
            ),
            "read": (one + SYNC,),
            "range": (
                executed("range", b"%d" % RANGE_FROM, b"%d" % (RANGE_FROM + work.rows)) + SYNC,
            ),
            "big": (executed("big", b"%d" % work.rows) + SYNC,),
        }[work.kind]
        return lambda: requests

    def fill(self) -> None:
        """Make the table foo."""
        say(
            self.addresses[0],
            "CREATE TABLE foo (id serial PRIMARY KEY, name text)",
            f"INSERT INTO foo (name) SELECT '{NAME}' FROM generate_series(1, {FILLED_ROWS})",
        )


def say(address: str, *statements: str) -> None:
    """Run statements one after another."""
    wire = Postgres(address)
    for sql in statements:
        wire.send(message(b"Q", sql.encode() + b"\0"))
        wire.wait()
    wire.socket.close()


class PostgresServers(Fleet):
    """A primary and its standby on loopback."""

    stop_signal = signal.SIGINT  # Else it would wait for the standby's connection.

    def __init__(self) -> None:
        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        on_path = shutil.which("initdb")
        if not folders and on_path is None:
            raise NotThere("postgresql")
        super().__init__()
        self._programs = folders[-1] if folders else Path(str(on_path)).resolve().parent
        self._owner = OWNER if os.geteuid() == 0 else getpass.getuser()

    def begin(self) -> None:
        """Make the primary, copy the standby from it, and wait until writes need both."""
        if os.geteuid() == 0:
            shutil.chown(self.folder, self._owner)
        ports = free_ports(2)
        primary, standby = self.folder / "primary", self.folder / "standby"
        addresses = [f"127.0.0.1:{port}" for port in ports]
        self._run("initdb", "-D", str(primary), "-A", "trust", "-U", "bench")
        with (primary / "postgresql.conf").open("a") as file:
            file.write(f"{SETTINGS}port = {ports[0]}\n")
        with (primary / "pg_hba.conf").open("a") as file:
            file.write("host replication all 127.0.0.1/32 trust\n")
        self._serve(primary)
        self.until(lambda: _answers(addresses[0]), "the primary")
        self._run(
            "pg_basebackup", "-h", "127.0.0.1", "-p", str(ports[0]), "-U", "bench",
            "-D", str(standby), "-R", "-c", "fast",
        )  # fmt: skip
        with (standby / "postgresql.conf").open("a") as file:
            file.write(f"port = {ports[1]}\n")
        self._serve(standby)
        self.until(lambda: _answers(addresses[1]), "the standby")
        say(
            addresses[0],
            "ALTER SYSTEM SET synchronous_standby_names = '*'",
            "ALTER SYSTEM SET synchronous_commit = 'remote_apply'",
            "SELECT pg_reload_conf()",
        )
        self.clients = [PostgresClient(addresses)]

    def _serve(self, folder: Path) -> None:
        self.spawn(str(self._programs / "postgres"), "-D", str(folder), user=self._user())

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        subprocess.run(
            command, check=True, capture_output=True, timeout=60, user=self._user(), cwd="/"
        )

    def _user(self) -> str | None:
        return self._owner if os.geteuid() == 0 else None


def _answers(address: str) -> bool:
    try:
        say(address, "SELECT 1")
    except (OSError, Failed):
        return False
    return True
