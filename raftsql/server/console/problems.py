"""What a page is told when something can't be done: a kind to act on, and a sentence to show.

Nothing else leaves: no traceback, no path, no password. What the driver raises already says what it
means for the caller; its class decides the kind.
"""

from __future__ import annotations

import re
from typing import Any, Final

import grpc

from raftsql.sql.tokens import TokenKind, ascii_capitals, tokenize
from raftsql_driver import errors


class Problem(Exception):
    """A request that is refused, or went wrong in a way that the page has to know."""

    def __init__(self, status: int, kind: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.more = more

    def told(self) -> dict[str, Any]:
        """As the page gets it."""
        return {"kind": self.kind, "message": str(self), **self.more}


KINDS: Final[tuple[tuple[type[errors.Error], int, str], ...]] = (
    (errors.OutcomeUnknown, 500, "unknown"),
    (errors.TransactionLost, 409, "transaction_lost"),
    (errors.SerializationFailure, 409, "serialization"),
    (errors.QueryCancelled, 409, "cancelled"),
    (errors.TimedOut, 504, "timeout"),
    (errors.TooStale, 503, "too_stale"),
    (errors.AuthenticationFailed, 401, "expired"),
    (errors.Unavailable, 503, "unavailable"),
    (errors.NotSupportedError, 400, "refused"),
    (errors.IntegrityError, 409, "constraint"),
    (errors.ProgrammingError, 400, "sql"),
    (errors.DataError, 400, "sql"),
    (errors.OperationalError, 400, "sql"),
    (errors.Error, 500, "database"),
)
"""By the class of the driver's error; the first that fits."""

HINTS: Final = {
    "unknown": "Look at the data before you run it again.",
    "transaction_lost": "Nothing of the transaction happened: begin it again.",
    "serialization": "Nothing of the transaction happened: run all of it again.",
    "timeout": "Nothing was changed. Give it more time, or ask for less.",
    "unavailable": "Nothing was changed. Try again when there is a leader.",
    "too_stale": "Allow more staleness, or choose another consistency.",
}
"""What to do about it, where the message does not say."""

STATUSES: Final = {
    grpc.StatusCode.UNAUTHENTICATED: (401, "expired"),
    grpc.StatusCode.PERMISSION_DENIED: (403, "forbidden"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (429, "busy"),
    grpc.StatusCode.UNAVAILABLE: (503, "unavailable"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (504, "timeout"),
    grpc.StatusCode.FAILED_PRECONDITION: (409, "conflict"),
}
"""By what gRPC's services answer with."""


def of_status(status: grpc.StatusCode, message: str) -> Problem:
    """The problem that a service's refusal is."""
    code, kind = STATUSES.get(status, (500, "failed"))
    return Problem(code, kind, message)


def of_error(error: errors.Error, sql: str = "", before: int = 0) -> Problem:
    """The problem that a driver's error is; `before`: characters of the text before this SQL."""
    status, kind = next((s, k) for cls, s, k in KINDS if isinstance(error, cls))
    position = error.position if error.position >= 0 else named_in(str(error), sql)
    start, end = place_of(position, sql)
    if start is not None and end is not None:
        start, end = start + before, end + before
    return Problem(status, kind, str(error), start=start, end=end, hint=HINTS.get(kind))


_NAMED: Final = re.compile(
    r"(?:no such (?:table|column|function|view|index|trigger|collation sequence|savepoint)"
    r"|ambiguous column name|has no column named|no such table column|misuse of aggregate)"
    r"(?: function)?:? (\S+)"
)
LOOKED_AT_MAX: Final = 64 << 10


def named_in(message: str, sql: str) -> int:
    """Where a text has the name that SQLite complains about without saying where; -1: nowhere."""
    found = _NAMED.search(message)
    if found is None or len(sql) > LOOKED_AT_MAX:
        return -1
    name = ascii_capitals(found[1].rstrip("():").strip("\"'"))
    names = (TokenKind.WORD, TokenKind.QUOTED)
    places = {ascii_capitals(t.key): t.start for t in tokenize(sql)[::-1] if t.kind in names}
    return places.get(name, places.get(name.rpartition(".")[2], -1))


def place_of(position: int, sql: str) -> tuple[int | None, int | None]:
    """The token that stands at a position, as an error points at it."""
    if not 0 <= position <= len(sql):
        return None, None
    # A few tokens are enough; the text may be millions of characters long.
    rest = sql[position : position + 1000]
    found = tokenize(rest)
    length = found[0].end if found and not found[0].start else 1
    return position, min(position + length, max(len(sql), position))


def too_large(most: int) -> Problem:
    """More was sent than is taken."""
    return Problem(413, "too_large", f"the request is longer than the {most} bytes that are taken")


def busy(message: str) -> Problem:
    """Too much is under way."""
    return Problem(429, "busy", message)
