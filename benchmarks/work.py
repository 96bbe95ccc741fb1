"""What a system is asked to do, in words that every system understands or declines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from benchmarks.results import Measured

Kind = Literal["insert", "batch", "transaction", "read", "range", "big", "mixed"]

FILLED_ROWS = 10_000
"""Every system begins with so many rows in foo, numbered from 1."""
NAME = "fiona"
INSERT = "INSERT INTO foo (name) VALUES (?)"
SELECT = "SELECT name FROM foo WHERE id = ?"
RANGE = "SELECT id, name FROM foo WHERE id > ? AND id <= ?"
BIG = "SELECT id, name, id * 1.5, id % 7 FROM foo WHERE id <= ?"
UPDATE = "UPDATE foo SET name = 'fiona' WHERE id = ?"
READ_ID = 7
RANGE_FROM = 1000
MIXED_READS = 9
"""A write, then so many reads, then a write: 90 to 10."""


@dataclass(frozen=True, slots=True)
class Work:
    """One request of a client, over and over."""

    kind: Kind
    rows: int = 1
    level: str = "linearizable"
    at: Literal["leader", "follower"] = "leader"
    size_bytes: int = len(NAME)
    inside: bool = False
    """Whether a batch stands between BEGIN and COMMIT."""

    def packed(self) -> dict[str, Any]:
        """For another process."""
        return asdict(self)

    @property
    def name(self) -> str:
        """What is inserted."""
        return NAME if self.size_bytes == len(NAME) else "x" * self.size_bytes


class Client(Protocol):
    """Puts load on a system that runs somewhere."""

    by: str
    addresses: Sequence[str]

    def run(self, work: Work, *, clients: int, seconds: float) -> Measured | None:
        """Do it, or None where the system has nothing of the kind."""

    def fill(self) -> None:
        """Make the table foo, with its first rows."""


class Servers(Protocol):
    """A system's processes, started when entered and ended when left."""

    clients: Sequence[Client]

    def pids(self) -> list[int]:
        """All of them."""

    def __enter__(self) -> Servers: ...

    def __exit__(self, *_: object) -> None: ...
