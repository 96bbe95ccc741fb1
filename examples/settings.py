"""A replicated store of settings: one process writes, others see it at once, each at its own node.

    python -m examples.settings               # a writer and three readers, each at another node

or, with RAFTSQL_URL set, from as many terminals as you like:

    python -m examples.settings watch
    python -m examples.settings set limit 20  # prints a bookmark
    python -m examples.settings get limit --seen BOOKMARK

Reads here are of the level `session`: they are answered by the connected node alone, they never go
back in time, and they see what this connection has written. What *another* process has written they
may see a moment later, unless they were handed its bookmark: then they wait for that much.
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection as Pipe
from typing import Any, NamedTuple

import raftsql
from examples.cluster import cluster

# Each change takes the next version, over all keys: who has seen version 7 asks for what is newer.
SCHEMA = """
CREATE TABLE IF NOT EXISTS setting(
    key TEXT PRIMARY KEY,
    value TEXT,  -- NULL: it was removed; the row stays, so that watchers hear of it
    version INTEGER NOT NULL UNIQUE
)
"""
NEXT = "(SELECT coalesce(max(version), 0) + 1 FROM setting)"
PUT = f"""
INSERT INTO setting VALUES (:key, :value, {NEXT})
ON CONFLICT(key) DO UPDATE SET value = excluded.value, version = excluded.version
RETURNING key, value, version
"""
SWAP = f"""
UPDATE setting SET value = :value, version = {NEXT}
WHERE key = :key AND version = :version
RETURNING key, value, version
"""
POLL_SECONDS = 0.1


class Setting(NamedTuple):
    """A setting as it is since `version`; `value` None: there is none any more."""

    key: str
    value: str | None
    version: int


class Settings:
    """The settings, as one process sees them."""

    def __init__(self, url: str | None = None) -> None:
        self.connection = raftsql.connect(url, autocommit=True, consistency="session")

    def create(self) -> None:
        """Make the table, once."""
        self.connection.execute(SCHEMA)

    @property
    def seen(self) -> str:
        """How much this process has seen: hand it to another one, and that one sees it too."""
        return self.connection.bookmark

    @seen.setter
    def seen(self, bookmark: str) -> None:
        self.connection.bookmark = bookmark

    def put(self, key: str, value: str | None) -> Setting:
        """Set it, or with None remove it."""
        return Setting(*self._one(PUT, {"key": key, "value": value}))

    def swap(self, setting: Setting, value: str) -> Setting | None:
        """Set it if nobody else has changed it meanwhile; else None."""
        row = self._one(SWAP, {"key": setting.key, "value": value, "version": setting.version})
        return Setting(*row) if row else None

    def read(self, key: str) -> Setting | None:
        """What it is, at the level `session`."""
        row = self._one("SELECT key, value, version FROM setting WHERE key = ?", (key,))
        return Setting(*row) if row else None

    def watch(self, after: int = 0) -> Iterator[Setting]:
        """Each setting when it changes; of changes between two looks, the last one.

        To look is to ask the connected node for what is newer: one index lookup, no other node.
        """
        newer = "SELECT key, value, version FROM setting WHERE version > ? ORDER BY version"
        while True:
            for row in self.connection.execute(newer, (after,)).fetchall():
                after = row[2]
                yield Setting(*row)
            time.sleep(POLL_SECONDS)

    def _one(self, sql: str, parameters: Any) -> Any:
        return self.connection.execute(sql, parameters).fetchone()


def near(url: str, number: int) -> str:
    """The same cluster, with another node first: that one is asked as long as it works."""
    scheme, _, rest = url.partition("://")
    hosts, _, options = rest.partition("/")
    nodes = hosts.split(",")
    first = number % len(nodes)
    return f"{scheme}://{','.join(nodes[first:] + nodes[:first])}/{options}"


def reader(url: str, pipe: Pipe) -> None:
    """Get a bookmark, read, and say what was read and at which node."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started it.
    settings = Settings(url)
    while True:
        try:
            settings.seen = pipe.recv()
        except EOFError:
            return
        found = settings.read("limit")
        pipe.send((found, settings.connection.node))


def show(url: str, changes: int) -> None:
    """Write, and let readers at all nodes read just after it."""
    spawn = multiprocessing.get_context("spawn")
    pipes: list[Pipe] = []
    for number in range(3):
        ours, theirs = spawn.Pipe()
        spawn.Process(target=reader, args=(near(url, number), theirs), daemon=True).start()
        theirs.close()
        pipes.append(ours)
    settings = Settings(url)
    settings.create()
    for value in range(changes):
        written = settings.put("limit", str(value))
        for pipe in pipes:
            pipe.send(settings.seen)
        print(f"written {written.value} as version {written.version}; read", end=" ")
        for pipe in pipes:
            found, node = pipe.recv()
            assert found.version >= written.version, "a bookmark was not honoured"
            print(f"{found.value} at {node}", end="  ")
        print(flush=True)


def main() -> None:
    """The demonstration, or one command."""
    parser = argparse.ArgumentParser("examples.settings", description="a store of settings")
    parser.add_argument("--changes", type=int, default=10)
    commands = parser.add_subparsers(dest="command")
    command = commands.add_parser("set")
    command.add_argument("key")
    command.add_argument("value")
    command = commands.add_parser("get")
    command.add_argument("key")
    command.add_argument("--seen", metavar="BOOKMARK", help="see at least what its giver saw")
    commands.add_parser("watch")
    options = parser.parse_args()
    if options.command is None:
        with cluster() as url:
            show(url, options.changes)
        return
    settings = Settings()
    settings.create()
    if options.command == "set":
        settings.put(options.key, options.value)
        print(settings.seen)
    elif options.command == "get":
        if options.seen:
            settings.seen = options.seen
        print(settings.read(options.key))
    else:
        for setting in settings.watch():
            print(setting, flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
