"""The dialect `raftsql://`: SQLite's SQL, spoken to a cluster.

It is named `sqlite`, since that is what it compiles, and what Alembic and others look for. What it
changes of SQLAlchemy's SQLite dialect is how a connection is made, how transactions begin, how
fresh reads are, and when a connection counts as lost.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import exc, pool
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler, SQLiteDialect, SQLiteExecutionContext
from sqlalchemy.engine.url import URL

import raftsql_driver
from raftsql_driver.errors import TransactionLost, Unavailable
from raftsql_driver.sqlalchemy import bookmark

_LEVELS: Final[dict[str, str | None]] = {
    "SERIALIZABLE": "DEFERRED",
    "IMMEDIATE": "IMMEDIATE",
    "AUTOCOMMIT": None,
}
"""SQLAlchemy's isolation levels, as the driver's `isolation_level`. IMMEDIATE is serializable too,
and waits for its turn at its first statement instead of failing at its first write."""


class RaftsqlCompiler(SQLiteCompiler):
    """SQLite's SQL, without what no node could do."""

    def visit_regexp_match_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        raise _no_regexp()

    def visit_not_regexp_match_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        raise _no_regexp()


def _no_regexp() -> exc.CompileError:
    return exc.CompileError("raftsql has no REGEXP; use like(), or GLOB by op('GLOB')")


class RaftsqlExecutionContext(SQLiteExecutionContext):
    """Carries the execution option `consistency` to the cursor."""

    def create_default_cursor(self) -> Any:
        return self._with_consistency(self._dbapi_connection.cursor())

    def _with_consistency(self, cursor: Any) -> Any:
        level = self.execution_options.get("consistency")
        if level is not None:
            cursor.consistency = level
        return cursor


class RaftsqlDialect(SQLiteDialect):
    """SQLAlchemy's view of a cluster, for threads."""

    driver = "raftsql"
    supports_statement_cache = True
    returns_native_bytes = True
    statement_compiler = RaftsqlCompiler
    execution_ctx_cls = RaftsqlExecutionContext

    @classmethod
    def import_dbapi(cls) -> Any:
        return raftsql_driver

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        return pool.QueuePool

    @classmethod
    def get_async_dialect_cls(cls, url: URL) -> type[SQLiteDialect]:
        from raftsql_driver.sqlalchemy.aio import AsyncRaftsqlDialect

        return AsyncRaftsqlDialect

    @classmethod
    def engine_created(cls, engine: Any) -> None:
        bookmark.share(engine)

    def create_connect_args(self, url: URL) -> Any:
        positional, options = self._address(url)
        # A pool hands a connection from thread to thread, one at a time.
        return positional, options | {"check_same_thread": False}

    def _address(self, url: URL) -> tuple[list[str], dict[str, Any]]:
        """The driver's URL; where this one names no host, RAFTSQL_URL counts."""
        if url.database:
            raise exc.ArgumentError("a cluster has just one database: write raftsql://host:port/")
        if url.host or "host" in url.query:
            text = url.set(drivername="raftsql").render_as_string(hide_password=False)
            return [text], {}
        options: dict[str, Any] = dict(url.query)
        if url.username:
            options["user"] = url.username
        if url.password:
            options["password"] = url.password
        return [], options

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:
        # Of the connected node: its version is none of a transaction's business.
        here = {"consistency": "stale"}
        version = connection.exec_driver_sql(
            "SELECT sqlite_version()", execution_options=here
        ).scalar()
        return tuple(int(part) for part in version.split("."))

    def get_schema_names(self, connection: Any, **kw: Any) -> list[str]:
        """A cluster has the one database."""
        return ["main"]

    def get_isolation_level_values(self, dbapi_connection: Any) -> Any:
        return list(_LEVELS)

    def set_isolation_level(self, dbapi_connection: Any, level: str) -> None:
        dbapi_connection.isolation_level = _LEVELS[level]

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        mode = dbapi_connection.isolation_level
        if mode is None:
            return "AUTOCOMMIT"
        return "SERIALIZABLE" if mode == "DEFERRED" else "IMMEDIATE"

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        return dbapi_conn.isolation_level is None

    def do_ping(self, dbapi_connection: Any) -> bool:
        """Hear from the connected node; a stale read asks nobody else, and begins nothing."""
        cursor = dbapi_connection.cursor()
        try:
            cursor.consistency = "stale"
            cursor.execute("SELECT 1")
        finally:
            cursor.close()
        return True

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        """Whether what the connection held at the cluster is gone.

        The driver itself finds its way to another node. But a transaction that was lost with its
        leader can't go on, not even to an outer savepoint, and SQLAlchemy knows that only of a
        connection that it takes for lost.
        """
        if isinstance(e, TransactionLost | Unavailable):
            return True
        return isinstance(e, raftsql_driver.ProgrammingError) and "closed database" in str(e)
