"""What the dialect suite is told of us: requirements and provisioning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")

from sqlalchemy import Column, Integer, MetaData, Table
from sqlalchemy.testing.requirements import SuiteRequirements

from raftsql_driver.sqlalchemy import provision
from raftsql_driver.sqlalchemy.dialect import RaftsqlDialect
from raftsql_driver.sqlalchemy.requirements import LACKING, OFFERED, REFUSED, Requirements

PAGE = (Path(__file__).parents[2] / "docs" / "sqlalchemy.md").read_text(encoding="utf-8")


def test_nothing_is_closed_without_a_documented_reason() -> None:
    for name, reason in {**REFUSED, **LACKING}.items():
        assert f"`{name}`" in PAGE
        assert reason
        assert not getattr(Requirements(), name).enabled


def test_every_name_is_one_that_the_suite_asks_for() -> None:
    for name in {*OFFERED, *REFUSED, *LACKING}:
        assert hasattr(SuiteRequirements, name) or name in PAGE, name


def test_what_is_offered_is_open_and_nothing_is_both() -> None:
    assert len(set(OFFERED)) == len(OFFERED)
    assert not set(OFFERED) & {*REFUSED, *LACKING}
    assert all(getattr(Requirements(), name).enabled for name in OFFERED)


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
