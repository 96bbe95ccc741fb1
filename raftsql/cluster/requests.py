"""What clients ask of a replica, and how it answers: plain values and one callback object.

A request carries everything that was decided about it at the door (its plan, its packed body) and
the `Reply` that waits. Each request is answered once: with a result, with a page, or with a refusal
that promises nothing was written, except for Why.UNKNOWN, which promises nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from raftsql.database.reader import NOTHING_MINE, Mine
from raftsql.database.readers import OpenMoment, Page
from raftsql.raft.messages import NodeId
from raftsql.sql.commands import CommandKind, Level, Parameters, Settings, Why

DEFAULT_FUEL = 2_000_000
"""Two thousand million steps of SQLite's machine: about half a minute of work."""


class Reply(Protocol):
    """Where an answer goes. Called from the replica's own thread, once."""

    def result(self, answer: bytes, index: int) -> None:
        """A packed Answer, and where in the log it happened (0: nowhere)."""

    def page(self, page: Page, index: int, age_ms: int) -> None:
        """Rows of a read, the index of the state they are of, and how old that may be (-1: not
        known)."""

    def refused(self, why: Why, message: str) -> None:
        """It was not carried out, and why."""


class Stage(Enum):
    """How far a request has come."""

    PROPOSED = "proposed"
    """A write stands in the leader's log."""
    COMMITTED = "committed"
    """A majority has stored it."""
    GRANTED = "granted"
    """What a read must wait for is known."""
    RUNS = "runs"
    """A read, or a transaction's statement, has its turn."""


class Watcher(Protocol):
    """Whoever wants to know how far a request has come, and when. Costs nothing where there is
    none."""

    def reached(self, stage: Stage, index: int = 0) -> None:
        """The request is there; `index` is its place in the log, or the one it waits for."""


@dataclass(slots=True, eq=False)
class Write:
    """A command on its way into the log."""

    kind: CommandKind
    body: bytes
    reply: Reply
    settings: Settings = Settings.FOREIGN_KEYS
    session: int = 0
    sequence: int = 0
    floor: int = 0
    fuel: int = DEFAULT_FUEL
    deadline_ms: int = 0
    """When the client stops waiting, by the runner's clock; 0: never."""
    cancelled: bool = False
    """The client does not want it any more."""
    term: int = 0
    """The term in which it was proposed."""
    watcher: Watcher | None = None


@dataclass(slots=True, eq=False)
class Read:
    """A query on its way to the right moment."""

    sql: str
    parameters: Parameters
    reply: Reply
    level: Level = Level.LINEARIZABLE
    mine: Mine = NOTHING_MINE
    token: int = 0
    max_staleness_ms: int = 0
    page_rows: int = 0
    deadline_ms: int = 0
    index: int = 0
    """What must be applied before it may run."""
    moment: OpenMoment | None = None
    """The moment at which it runs, when that was chosen before."""
    cancelled: bool = False
    """The client does not want it any more."""
    hold: Callable[[OpenMoment], OpenMoment] | None = None
    """Set when the moment at which it runs shall be kept: called with that moment."""
    watcher: Watcher | None = None


def not_leader(leader: NodeId) -> str:
    """Why a node can't take a write."""
    return f"node {leader} leads" if leader else "no leader is known; an election may be under way"


class Cancellable(Protocol):
    """A request whose client may stop waiting."""

    cancelled: bool


def out_of_time(request: Cancellable, before: str) -> tuple[Why, str]:
    """Why a request that did nothing yet is given up when its deadline has come."""
    if request.cancelled:
        return Why.CANCELLED, f"it was cancelled before {before}"
    return Why.TIMEOUT, f"time was up before {before}"
