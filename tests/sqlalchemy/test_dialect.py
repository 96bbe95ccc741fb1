"""The dialect `raftsql://`: how it connects, begins, reads and tells that a connection is lost."""

from __future__ import annotations

import pytest

pytest.importorskip("sqlalchemy")

from sqlalchemy import Engine, inspect, text
from sqlalchemy.pool import QueuePool

from raftsql_driver.sqlalchemy.dialect import RaftsqlDialect

pytestmark = pytest.mark.e2e


def test_the_url_finds_the_dialect_by_its_entry_point(engine: Engine) -> None:
    assert type(engine.dialect) is RaftsqlDialect
    assert (engine.dialect.name, engine.dialect.driver) == ("sqlite", "raftsql")
    assert isinstance(engine.pool, QueuePool)


def test_what_is_committed_stays_and_what_is_rolled_back_goes(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)"))
        connection.execute(text("INSERT INTO t(b) VALUES(:b)"), [{"b": "x"}, {"b": "y"}])
    with engine.connect() as connection:
        connection.execute(text("DELETE FROM t"))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM t")).all() == [(1, "x"), (2, "y")]
    assert inspect(engine).get_table_names() == ["t"]
