"""The dialect `raftsql://`: how it connects, begins, reads and tells that a connection is lost."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("sqlalchemy")

from sqlalchemy import Engine, create_engine, inspect, literal, make_url, select, text
from sqlalchemy.exc import ArgumentError, CompileError, DBAPIError, IntegrityError
from sqlalchemy.pool import QueuePool

import raftsql
from raftsql_driver.sqlalchemy.dialect import RaftsqlDialect

pytestmark = pytest.mark.e2e
CREATE = text("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
INSERT = text("INSERT INTO t(b) VALUES(:b)")


@pytest.fixture
def table(engine: Engine) -> Engine:
    with engine.begin() as connection:
        connection.execute(CREATE)
    return engine


def driver_connection(connection: Any) -> Any:
    return connection.connection.driver_connection


def rows(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT b FROM t ORDER BY a")).scalars())


def test_the_url_finds_the_dialect_by_its_entry_point(engine: Engine) -> None:
    assert type(engine.dialect) is RaftsqlDialect
    assert (engine.dialect.name, engine.dialect.driver) == ("sqlite", "raftsql")
    assert isinstance(engine.pool, QueuePool)
    assert engine.url.set(drivername="raftsql+raftsql").get_dialect() is RaftsqlDialect


def test_what_is_committed_stays_and_what_is_rolled_back_goes(table: Engine) -> None:
    with table.begin() as connection:
        connection.execute(INSERT, [{"b": "x"}, {"b": "y"}])
    with table.connect() as connection:
        connection.execute(text("DELETE FROM t"))
    assert rows(table) == ["x", "y"]


def test_ddl_is_part_of_the_transaction(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(CREATE)
    assert inspect(engine).get_table_names() == []


def test_the_first_transaction_of_a_process_may_read_before_it_writes(table: Engine) -> None:
    """Its session is opened in between, which goes through the log."""
    other = create_engine(table.url.update_query_dict({"application_name": "another"}))
    with other.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM t")).scalar() == 0
        connection.execute(INSERT, {"b": "x"})
    other.dispose()
    assert rows(table) == ["x"]


def test_the_first_transaction_of_a_process_may_begin_with_a_savepoint(table: Engine) -> None:
    """It has the writer from then on, which opening a session would wait for."""
    other = create_engine(
        table.url.update_query_dict({"application_name": "a third", "timeout": "9"})
    )
    with other.begin() as connection, connection.begin_nested():
        connection.execute(INSERT, {"b": "x"})
    other.dispose()
    assert rows(table) == ["x"]


def test_a_savepoint_is_undone_alone(table: Engine) -> None:
    with table.begin() as connection:
        connection.execute(INSERT, {"b": "outer"})
        with pytest.raises(IntegrityError) as caught, connection.begin_nested():
            connection.execute(text("INSERT INTO t VALUES(1, 'twice')"))
        assert caught.value.orig.sqlite_errorname == "SQLITE_CONSTRAINT_PRIMARYKEY"
        assert not caught.value.connection_invalidated
    assert rows(table) == ["outer"]


# Connecting.


def test_hosts_may_be_named_one_by_one(engine: Engine) -> None:
    host = f"{engine.url.host}:{engine.url.port}"
    many = create_engine(f"raftsql://?host=127.0.0.1:1&host={host}&timeout=7")
    with many.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
        assert driver_connection(connection).timeout == 7
    many.dispose()


def test_the_drivers_own_url_can_be_handed_on(engine: Engine) -> None:
    url = f"raftsql://127.0.0.1:1,{engine.url.host}:{engine.url.port}/?timeout=7"
    many = create_engine("raftsql://", connect_args={"url": url})
    with many.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
        assert driver_connection(connection).timeout == 7
    many.dispose()


def test_a_url_without_a_host_means_the_environments_cluster(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAFTSQL_URL", engine.url.render_as_string())
    default = create_engine("raftsql://?consistency=session")
    with default.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
        assert driver_connection(connection).consistency == "session"
    default.dispose()


def test_a_password_reaches_the_driver_as_it_was_typed() -> None:
    (url,), options = RaftsqlDialect().create_connect_args(make_url("raftsql://u:p%40%2F+@h:1/"))
    from raftsql_driver.address import parse

    assert (parse(url).user, parse(url).password) == ("u", "p@/+")
    assert options == {"check_same_thread": False}
    _, options = RaftsqlDialect().create_connect_args(make_url("raftsql://u:p%40@/"))
    assert (options["user"], options["password"]) == ("u", "p@")


def test_a_database_name_is_refused() -> None:
    for url in ("raftsql://h:1/shop", "raftsql:///shop"):
        with pytest.raises(ArgumentError, match="just one"):
            create_engine(url)


# Isolation.


def test_isolation_levels_are_the_drivers_ways_to_begin(table: Engine) -> None:
    with table.connect() as connection:
        assert connection.default_isolation_level == "SERIALIZABLE"
        assert connection.get_isolation_level() == "SERIALIZABLE"
    with table.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(INSERT, {"b": "kept"})
        assert driver_connection(connection).autocommit
        connection.rollback()
    with table.connect().execution_options(isolation_level="IMMEDIATE") as connection:
        assert driver_connection(connection).isolation_level == "IMMEDIATE"
        connection.execute(INSERT, {"b": "gone"})
    assert rows(table) == ["kept"]
    with table.connect() as connection:
        assert connection.get_isolation_level() == "SERIALIZABLE"


def test_the_urls_isolation_level_is_the_default_one(engine: Engine) -> None:
    other = create_engine(engine.url.update_query_dict({"isolation_level": "IMMEDIATE"}))
    with other.connect() as connection:
        assert connection.default_isolation_level == "IMMEDIATE"
    other.dispose()


def test_an_unknown_isolation_level_is_refused(engine: Engine) -> None:
    with (
        pytest.raises(ArgumentError, match="SERIALIZABLE"),
        engine.connect().execution_options(isolation_level="READ COMMITTED"),
    ):
        pass


# Consistency.


def test_a_read_that_names_its_level_begins_no_transaction(table: Engine) -> None:
    with table.connect() as connection:
        connection.execute(text("SELECT 1"), execution_options={"consistency": "stale"})
        assert not driver_connection(connection).in_transaction
        connection.execute(text("SELECT 1"))
        assert driver_connection(connection).in_transaction
    with table.execution_options(consistency="session").connect() as connection:
        connection.execute(text("SELECT 1"))
        assert not driver_connection(connection).in_transaction


def test_an_unknown_consistency_is_refused(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(DBAPIError, match="expected one of"):
        connection.execute(text("SELECT 1"), execution_options={"consistency": "eventual"})


def test_a_session_is_all_of_an_engines_connections(table: Engine) -> None:
    with table.connect() as first, table.connect() as second:
        second.execute(text("SELECT 1"))
        second.rollback()
        first.execute(INSERT, {"b": "x"})
        first.commit()
        written, unaware = driver_connection(first), driver_connection(second)
        assert written.bookmark != unaware.bookmark
    with table.connect() as first, table.connect() as second:
        assert {driver_connection(first).bookmark, driver_connection(second).bookmark} == {
            written.bookmark
        }


# Losing a connection.


def test_a_transaction_lost_with_its_leader_takes_the_connection_along() -> None:
    dialect = RaftsqlDialect(dbapi=raftsql)
    lost = [raftsql.TransactionLost("x"), raftsql.Unavailable("x")]
    kept = [
        raftsql.SerializationFailure("x"),
        raftsql.OutcomeUnknown("x"),
        raftsql.TimedOut("x"),
        raftsql.IntegrityError("x"),
        raftsql.ProgrammingError("x"),
    ]
    assert all(dialect.is_disconnect(error, None, None) for error in lost)
    assert not any(dialect.is_disconnect(error, None, None) for error in kept)


def test_a_closed_connection_is_replaced(engine: Engine) -> None:
    with engine.connect() as connection:
        driver_connection(connection).close()
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text("SELECT 1"))
        assert caught.value.connection_invalidated
        connection.rollback()
        assert connection.scalar(text("SELECT 1")) == 1


def test_a_ping_tells_a_closed_connection_and_begins_nothing(engine: Engine) -> None:
    pinging = create_engine(engine.url, pool_pre_ping=True, pool_size=1)
    with pinging.connect() as connection:
        first = driver_connection(connection)
    with pinging.connect() as connection:
        assert driver_connection(connection) is first
        assert not first.in_transaction
    first.close()
    with pinging.connect() as connection:
        assert driver_connection(connection) is not first
        assert connection.scalar(text("SELECT 1")) == 1
    pinging.dispose()


# What is not there.


def test_regexp_is_refused_before_it_is_sent(engine: Engine) -> None:
    for condition in (literal("a").regexp_match("b"), ~literal("a").regexp_match("b")):
        with engine.connect() as connection, pytest.raises(CompileError, match="REGEXP"):
            connection.execute(select(condition))


def test_a_cluster_has_one_schema_even_inside_a_transaction(table: Engine) -> None:
    with table.begin() as connection:
        connection.execute(INSERT, {"b": "x"})
        assert inspect(connection).get_schema_names() == ["main"]
        assert inspect(connection).get_columns("t", schema="main")[0]["name"] == "a"
