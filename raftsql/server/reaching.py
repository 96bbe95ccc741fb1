"""How the operator's commands reach a cluster, and how they say what goes on meanwhile."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from raftsql.server.operate import Unreachable, hosts, status
from raftsql.server.places import beside, opened
from raftsql_proto.admin_pb2_grpc import AdminStub

PART_BYTES: Final = 512 << 10


class Failed(Exception):
    """What the operator is told."""


@contextmanager
def admin(address: str) -> Iterator[AdminStub]:
    """A node, as operators ask it."""
    with opened(address) as channel:
        yield AdminStub(channel)


def cluster(url: str) -> dict[str, Any]:
    """The status of the first node of the URL that answers."""
    problem = Unreachable("--url names no node")
    for address in hosts(url):
        try:
            found: dict[str, Any] = json.loads(status(address, timeout=4.0))
        except Unreachable as error:
            problem = error
        else:
            return found
    raise problem


def leader(url: str) -> str:
    """Where the leader is, as the first node of the URL that answers knows it."""
    found = cluster(url)
    if not found.get("leader_address"):
        raise Unreachable("no leader is known: try again, or see `raftsql status`")
    return beside(found["leader_address"], hosts(url)[0])


class Progress:
    """One line on standard error, when somebody looks at it."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._shown = sys.stderr.isatty()
        self._at = 0.0

    def show(self, text: str) -> None:
        """Say it in place of what was said before, a few times a second."""
        now = time.monotonic()
        if self._shown and now - self._at > 0.1:
            self._at = now
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Clear the line."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def share(done: int, size: int) -> str:
    """How much of it is done, for people."""
    percent = 100 * done // size if size else 0
    return f"{done >> 20} of {size >> 20} MiB, {percent} %"
