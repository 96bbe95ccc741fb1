"""The driver: PEP 249 for threads, and the same for asyncio. Reached as `import raftsql`.

Names arrive when they are first asked for, so that importing this costs nothing, and importing an
error class or a row factory does not load gRPC.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

apilevel: Final = "2.0"
threadsafety: Final = 2
"""Threads may share the module and connections; a transaction belongs to one thread."""
paramstyle: Final = "qmark"
sqlite_version: Final = "3.54.1"
"""The oldest SQLite that nodes run; `SELECT sqlite_version()` tells a node's own."""
sqlite_version_info: Final = (3, 54, 1)

if TYPE_CHECKING:
    from raftsql_driver.aio import AsyncConnection as AsyncConnection
    from raftsql_driver.aio import AsyncCursor as AsyncCursor
    from raftsql_driver.aiopool import AsyncConnectionPool as AsyncConnectionPool
    from raftsql_driver.convert import PARSE_COLNAMES as PARSE_COLNAMES
    from raftsql_driver.convert import PARSE_DECLTYPES as PARSE_DECLTYPES
    from raftsql_driver.convert import PrepareProtocol as PrepareProtocol
    from raftsql_driver.convert import register_adapter as register_adapter
    from raftsql_driver.convert import register_converter as register_converter
    from raftsql_driver.errors import AnswerLost as AnswerLost
    from raftsql_driver.errors import AuthenticationFailed as AuthenticationFailed
    from raftsql_driver.errors import DatabaseError as DatabaseError
    from raftsql_driver.errors import DataError as DataError
    from raftsql_driver.errors import Error as Error
    from raftsql_driver.errors import IntegrityError as IntegrityError
    from raftsql_driver.errors import InterfaceError as InterfaceError
    from raftsql_driver.errors import InternalError as InternalError
    from raftsql_driver.errors import NotSupportedError as NotSupportedError
    from raftsql_driver.errors import OperationalError as OperationalError
    from raftsql_driver.errors import OutcomeUnknown as OutcomeUnknown
    from raftsql_driver.errors import PoolClosed as PoolClosed
    from raftsql_driver.errors import PoolTimeout as PoolTimeout
    from raftsql_driver.errors import ProgrammingError as ProgrammingError
    from raftsql_driver.errors import QueryCancelled as QueryCancelled
    from raftsql_driver.errors import SerializationFailure as SerializationFailure
    from raftsql_driver.errors import TimedOut as TimedOut
    from raftsql_driver.errors import TooManyRequests as TooManyRequests
    from raftsql_driver.errors import TooStale as TooStale
    from raftsql_driver.errors import TransactionLost as TransactionLost
    from raftsql_driver.errors import Unavailable as Unavailable
    from raftsql_driver.errors import Warning as Warning
    from raftsql_driver.pool import ConnectionPool as ConnectionPool
    from raftsql_driver.rows import Row as Row
    from raftsql_driver.rows import dict_row as dict_row
    from raftsql_driver.rows import namedtuple_row as namedtuple_row
    from raftsql_driver.rows import scalar_row as scalar_row
    from raftsql_driver.rows import tuple_row as tuple_row
    from raftsql_driver.sync import Connection as Connection
    from raftsql_driver.sync import Cursor as Cursor
    from raftsql_driver.sync import connect as connect
    from raftsql_driver.types import BINARY as BINARY
    from raftsql_driver.types import DATETIME as DATETIME
    from raftsql_driver.types import NUMBER as NUMBER
    from raftsql_driver.types import ROWID as ROWID
    from raftsql_driver.types import STRING as STRING
    from raftsql_driver.types import Binary as Binary
    from raftsql_driver.types import Date as Date
    from raftsql_driver.types import DateFromTicks as DateFromTicks
    from raftsql_driver.types import Time as Time
    from raftsql_driver.types import TimeFromTicks as TimeFromTicks
    from raftsql_driver.types import Timestamp as Timestamp
    from raftsql_driver.types import TimestampFromTicks as TimestampFromTicks
    from raftsql_driver.verdict import Verdict as Verdict

_HOMES: Final = {
    "sync": "connect Connection Cursor",
    "aio": "AsyncConnection AsyncCursor",
    "pool": "ConnectionPool",
    "aiopool": "AsyncConnectionPool",
    "rows": "Row tuple_row dict_row namedtuple_row scalar_row",
    "convert": "register_adapter register_converter PrepareProtocol PARSE_DECLTYPES PARSE_COLNAMES",
    "types": "Date Time Timestamp DateFromTicks TimeFromTicks TimestampFromTicks Binary "
    "STRING BINARY NUMBER DATETIME ROWID",
    "verdict": "Verdict",
    "errors": "Warning Error InterfaceError DatabaseError DataError OperationalError "
    "IntegrityError InternalError ProgrammingError NotSupportedError Unavailable TimedOut "
    "QueryCancelled TooStale AuthenticationFailed OutcomeUnknown AnswerLost SerializationFailure "
    "TransactionLost PoolTimeout PoolClosed TooManyRequests",
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "apilevel",
    "threadsafety",
    "paramstyle",
    "sqlite_version",
    "sqlite_version_info",
    "connect",
    "Connection",
    "Cursor",
    "AsyncConnection",
    "AsyncCursor",
    "ConnectionPool",
    "AsyncConnectionPool",
    "Row",
    "tuple_row",
    "dict_row",
    "namedtuple_row",
    "scalar_row",
    "register_adapter",
    "register_converter",
    "PrepareProtocol",
    "PARSE_DECLTYPES",
    "PARSE_COLNAMES",
    "Date",
    "Time",
    "Timestamp",
    "DateFromTicks",
    "TimeFromTicks",
    "TimestampFromTicks",
    "Binary",
    "STRING",
    "BINARY",
    "NUMBER",
    "DATETIME",
    "ROWID",
    "Verdict",
    "Warning",
    "Error",
    "InterfaceError",
    "DatabaseError",
    "DataError",
    "OperationalError",
    "IntegrityError",
    "InternalError",
    "ProgrammingError",
    "NotSupportedError",
    "Unavailable",
    "TimedOut",
    "QueryCancelled",
    "TooStale",
    "AuthenticationFailed",
    "OutcomeUnknown",
    "AnswerLost",
    "SerializationFailure",
    "TransactionLost",
    "PoolTimeout",
    "PoolClosed",
    "TooManyRequests",
]
"""Written out for type checkers: to them `import raftsql` is `from raftsql_driver import *`."""

if not TYPE_CHECKING:  # Else every name in the world would be there, and be Any.

    def __getattr__(name: str) -> Any:
        home = _HOME_OF.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
