"""What a node's clients asked for, how it ended, and how long they waited.

A request is counted by the node that its client is connected to, from the moment its message was
taken until the message with its answer leaves. Requests that came together and leave together are
counted together: one reading of the clock a message, not a request (decision 0141). What is slow
beyond a threshold is named in the log, by its text and never by its parameters' values.
"""

from __future__ import annotations

import logging
import math
from enum import IntEnum
from time import perf_counter
from typing import Any, Final, NamedTuple

import msgspec

from raftsql.cluster.meters import Durations
from raftsql.cluster.requests import Read, Write
from raftsql.cluster.transactions import Step
from raftsql.sql.commands import CommandKind, Many, Statement

log = logging.getLogger("raftsql.slow")

TEXT_MAX: Final = 2_000
"""Characters of a statement that the log shows."""
LINES_A_SECOND_MAX: Final = 10
"""When everything is slow, a line for each would make it slower."""


class Kind(IntEnum):
    """What was asked for."""

    READ = 0
    WRITE = 1
    STEP = 2
    """A statement within a transaction."""
    COMMIT = 3
    SESSION = 4
    PAGE = 5
    """The next page of a result."""
    FORWARDED = 6
    """Anything that the leader answered for this node."""


class Outcome(IntEnum):
    """How it ended."""

    DONE = 0
    FAILED = 1
    """It ran, or was judged, and the answer is an error of the statement."""
    REFUSED = 2
    """It was not carried out here: no leader, no time, too much to do."""


# Names of their own: looking a member up in its class costs a request more than counting it.
READ, WRITE, STEP = Kind.READ, Kind.WRITE, Kind.STEP
DONE, FAILED, REFUSED = Outcome.DONE, Outcome.FAILED, Outcome.REFUSED

Request = Read | Write | Step | None
Asked = tuple[Request, Kind, float]
"""What waits for an answer: the request, its kind, and when it came."""


class Client(NamedTuple):
    """Who asks, as the log names it."""

    name: str = ""
    """What the program calls itself."""
    peer: str = ""
    """Where it called from."""


NAME_CHARACTERS_MAX: Final = 64


def client_called(name: str, peer: str) -> Client:
    """A client by its own word, of which the log takes no more than a name."""
    shown = name[:NAME_CHARACTERS_MAX]
    return Client("".join(sign if sign.isprintable() else "?" for sign in shown), peer)


Answered = tuple[Asked, Outcome, int, Client, str]
"""What has ended and how, the client's number for it, the client, and the trace it is part of."""


class Tally:
    """The counts of one node."""

    def __init__(self) -> None:
        """Nobody has asked for anything."""
        self.cells = [[Durations() for _ in Outcome] for _ in Kind]
        self.turned_away = 0
        """Statements that were refused for what they are, before anything was done."""
        self.slow = 0
        self.answered: list[Answered] = []
        """What leaves with the next message, and is counted when that does. Always the same list:
        streams hold on to its `append`."""
        self._slow_us: float = math.inf
        self._window = 0.0
        self._lines = 0

    def slower_than(self, milliseconds: int) -> None:
        """Name what takes longer from now on; 0: nothing."""
        self._slow_us = milliseconds * 1000 or math.inf

    def settle(self) -> None:
        """A message leaves: count what is answered by now."""
        if not self.answered:
            return
        ended = self.answered[:]
        self.answered.clear()
        now = perf_counter()
        (_, last_kind, last_came), last_outcome, _, _, _ = ended[0]
        start = 0
        for place, ((_, kind, came), outcome, _, _, _) in enumerate(ended):
            if came != last_came or kind is not last_kind or outcome is not last_outcome:
                self._count(ended[start:place], now)
                start, last_kind, last_came, last_outcome = place, kind, came, outcome
        self._count(ended[start:], now)

    def _count(self, alike: list[Answered], now: float) -> None:
        (_, kind, came), outcome, _, _, _ = alike[0]
        microseconds = int((now - came) * 1e6)
        self.cells[kind][outcome].add(microseconds, len(alike))
        if microseconds > self._slow_us:
            self.slow += len(alike)
            for answered in alike:
                self._name(answered, microseconds, now)

    def _name(self, answered: Answered, microseconds: int, now: float) -> None:
        (request, kind, _), outcome, number, client, trace = answered
        if now - self._window > 1.0:
            if self._lines > LINES_A_SECOND_MAX:
                log.warning("%d more statements were slow", self._lines - LINES_A_SECOND_MAX)
            self._window, self._lines = now, 0
        self._lines += 1
        if self._lines > LINES_A_SECOND_MAX:
            return
        about: dict[str, Any] = {
            "milliseconds": round(microseconds / 1000, 1),
            "kind": kind.name.lower(),
            "outcome": outcome.name.lower(),
            "client": client.name,
            "peer": client.peer,
            "request": number,
        }
        if trace:
            about["trace_id"] = trace
        if isinstance(request, Write) and request.session:
            about |= {"session": request.session, "sequence": request.sequence}
        log.warning("slow: %s", text_of(request) or kind.name.lower(), extra={"about": about})


def text_of(request: Request) -> str:
    """The SQL of a request, without the values that go with it."""
    match request:
        case Read():
            text = request.sql
        case Write():
            text = _packed_text(request)
        case Step():
            text = "; ".join(statement.sql for statement in request.statements)
        case _:
            text = ""
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}…"


def _packed_text(write: Write) -> str:
    match write.kind:
        case CommandKind.EXECUTE:
            return msgspec.msgpack.decode(write.body, type=Statement).sql
        case CommandKind.MANY:
            return msgspec.msgpack.decode(write.body, type=Many).sql
        case CommandKind.SCRIPT:
            statements = msgspec.msgpack.decode(write.body, type=list[Statement])
            return "; ".join(statement.sql for statement in statements)
        case kind:
            return kind.name.lower().replace("_", " ")
