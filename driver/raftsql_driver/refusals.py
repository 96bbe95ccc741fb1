"""The one table from what a server says to the class that a program catches."""

from __future__ import annotations

from typing import Final

from raftsql_driver import errors
from raftsql_driver.errors import Error
from raftsql_proto.frames import Failed, Refusal, Refused, Why

OF_REFUSAL: Final[dict[int, type[Error]]] = {
    Refusal.SQL: errors.DatabaseError,  # errors.of_sqlite looks closer.
    Refusal.DETERMINISM: errors.NotSupportedError,
    Refusal.FUEL: errors.OperationalError,
    Refusal.SESSION_UNKNOWN: errors.OperationalError,  # Never seen by programs: the flows act.
    Refusal.SEQUENCE_FORGOTTEN: errors.OutcomeUnknown,
    Refusal.ANSWER_DROPPED: errors.AnswerLost,
    Refusal.ACCESS: errors.ProgrammingError,
    Refusal.SESSIONS_FULL: errors.OperationalError,
    Refusal.NEVER_HAPPENED: errors.TransactionLost,
}
"""A command's own answer, the same on every node."""

OF_WHY: Final[dict[int, type[Error]]] = {
    Why.NOT_LEADER: errors.Unavailable,
    Why.OVERLOADED: errors.Unavailable,
    Why.TIMEOUT: errors.TimedOut,
    Why.CANCELLED: errors.QueryCancelled,
    Why.UNKNOWN: errors.OutcomeUnknown,
    Why.TRANSACTION_GONE: errors.TransactionLost,
    Why.SERIALIZATION: errors.SerializationFailure,
    Why.CURSOR_GONE: errors.OperationalError,
    Why.TOO_STALE: errors.TooStale,
    Why.BAD_REQUEST: errors.ProgrammingError,
    Why.UNAUTHENTICATED: errors.AuthenticationFailed,
    Why.FORBIDDEN: errors.ProgrammingError,
    Why.SHUTTING_DOWN: errors.Unavailable,
}
"""Why a node did not carry a request out."""

PASSING: Final = frozenset({Why.NOT_LEADER, Why.OVERLOADED, Why.SHUTTING_DOWN})
"""Certain that nothing happened, and likely to go better elsewhere or later."""


def of_failed(failed: Failed) -> Error:
    """The error for a command that was refused by the state machine."""
    error: Error
    if failed.refusal == Refusal.SQL and failed.code:
        error = errors.of_sqlite(failed.code, failed.message, failed.position)
    else:
        error = OF_REFUSAL.get(failed.refusal, errors.DatabaseError)(failed.message)
        error.position = failed.position
    error.row = failed.row
    return error


def of_refused(refused: Refused) -> Error:
    """The error for a request that was not carried out."""
    error = OF_WHY.get(refused.why, errors.OperationalError)(refused.message)
    error.position = refused.position
    return error
