"""What the dialect suite asks of us before it starts."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("sqlalchemy")

from sqlalchemy import Column, Integer, MetaData, Table

from raftsql_driver.sqlalchemy.dialect import RaftsqlDialect

# SQLAlchemy's testing tools are younger than the oldest SQLAlchemy that the dialect works with.
provision = pytest.importorskip("raftsql_driver.sqlalchemy.provision", exc_type=ImportError)


def test_an_upsert_is_sqlites() -> None:
    table = Table("t", MetaData(), Column("a", Integer, primary_key=True), Column("b", Integer))
    nothing = provision._upsert(None, table, [table.c.a])
    update = provision._upsert(
        None, table, [table.c.a], set_lambda=lambda excluded: {"b": excluded.b}
    )
    spoken = [
        re.sub(r"\s+", " ", str(statement.compile(dialect=RaftsqlDialect())))
        for statement in (nothing, update)
    ]
    assert "ON CONFLICT DO NOTHING RETURNING a" in spoken[0]
    assert "ON CONFLICT DO UPDATE SET b = excluded.b RETURNING a" in spoken[1]
