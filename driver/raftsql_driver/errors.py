"""What can go wrong, as PEP 249 orders it; a class answers what the caller can do about it.

    Warning
    Error
      InterfaceError            the driver itself, or a server that speaks another protocol
      DatabaseError
        DataError               a value that SQLite can't hold
        OperationalError        the cluster could not do it, or the statement can't run
          Unavailable           no node to be reached, or no leader: try later, nothing happened
          TimedOut              the caller's time was up: nothing happened
          QueryCancelled        stopped because the caller wished so: nothing happened
          TooStale              no data as fresh as `max_staleness` wants: ask another level
          AuthenticationFailed  the user or the password is wrong
          OutcomeUnknown        it may have happened: look before you do it again
            AnswerLost          it did happen, but its answer is not kept any more
          SerializationFailure  nothing happened: run the whole transaction again
            TransactionLost     the cluster rolled it back: its leader or the connection was lost
          PoolTimeout, PoolClosed, TooManyRequests
        IntegrityError          a constraint said no
        InternalError
        ProgrammingError        the program must change: parameters, closed objects, a bad URL
        NotSupportedError       refused because nodes could come to differ, or not offered

Any error on a write but OutcomeUnknown means that the write certainly did not happen.
"""

from __future__ import annotations

from typing import Any

from raftsql_driver.codes import NAMES


def kind_of(value: object) -> str:
    """What a value is, as a message says it: an int, a str."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def name_of(thing: object) -> str:
    """What a program calls a thing's class: raftsql.Connection."""
    return f"{type(thing).__module__.partition('_')[0]}.{type(thing).__name__}"


class Warning(Exception):  # The name is PEP 249's.
    """Something to know about; this driver raises none itself."""


class Error(Exception):
    """The base of all errors of this driver."""

    sqlite_errorcode: int
    """SQLite's extended result code, where SQLite was the one to refuse."""
    sqlite_errorname: str
    """The name of that code, as SQLITE_CONSTRAINT_UNIQUE."""

    position: int = -1
    """Where in the statement's text, in characters; -1 when not known."""
    row: int = -1
    """Which row of `executemany` failed inside a transaction, counted from 0: those before it were
    written and stay until a rollback. -1 elsewhere."""

    def __reduce__(self) -> Any:
        return type(self), self.args, self.__dict__


class InterfaceError(Error):
    """The driver, or a server that speaks another protocol."""


class DatabaseError(Error):
    """The database."""


class DataError(DatabaseError):
    """A value that SQLite can't hold."""


class OperationalError(DatabaseError):
    """The cluster could not do it, or the statement can't run."""


class IntegrityError(DatabaseError):
    """A constraint said no."""


class InternalError(DatabaseError):
    """The database is not in order."""


class ProgrammingError(DatabaseError):
    """The program must change."""


class NotSupportedError(DatabaseError):
    """Refused because nodes could come to differ, or not offered at all."""


class Unavailable(OperationalError):
    """No node could be reached, or the cluster has no leader. Nothing happened."""


class TimedOut(OperationalError):
    """The caller's time was up before anything was changed."""


class QueryCancelled(OperationalError):
    """Stopped because the caller wished so. Nothing happened."""


class TooStale(OperationalError):
    """The node's data is older than `max_staleness` allows."""


class AuthenticationFailed(OperationalError):
    """The user or the password is wrong."""


class OutcomeUnknown(OperationalError):
    """It may have happened, or may still. Look at the data before doing it again."""


class AnswerLost(OutcomeUnknown):
    """It did happen, once; the answer was too large to be kept for a retry."""


class SerializationFailure(OperationalError):
    """Nothing of the transaction happened. Run all of it again, from its beginning."""


class TransactionLost(SerializationFailure):
    """The transaction was rolled back by the cluster. Call rollback(), and run it again."""


class PoolTimeout(OperationalError):
    """No connection of the pool became free in time."""


class PoolClosed(OperationalError):
    """The pool is closed, or not open yet."""


class TooManyRequests(OperationalError):
    """More callers wait for a connection of the pool than `max_waiting` allows."""


_BY_CODE: dict[int, type[DatabaseError]] = {
    2: InternalError,  # SQLITE_INTERNAL
    11: DatabaseError,  # SQLITE_CORRUPT
    12: InternalError,  # SQLITE_NOTFOUND
    18: DataError,  # SQLITE_TOOBIG
    19: IntegrityError,  # SQLITE_CONSTRAINT
    20: IntegrityError,  # SQLITE_MISMATCH
    21: ProgrammingError,  # SQLITE_MISUSE
    23: ProgrammingError,  # SQLITE_AUTH
    25: ProgrammingError,  # SQLITE_RANGE
    26: DatabaseError,  # SQLITE_NOTADB
}
"""By SQLite's primary code, as the standard sqlite3 module has it; all others: OperationalError."""


def of_sqlite(code: int, message: str, position: int = -1) -> DatabaseError:
    """The error for what SQLite said."""
    error = _BY_CODE.get(code & 0xFF, OperationalError)(message)
    error.sqlite_errorcode = code
    error.sqlite_errorname = NAMES.get(code) or NAMES.get(code & 0xFF, "unknown")
    error.position = position
    return error
