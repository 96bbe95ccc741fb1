"""What the dialect suite may expect of us, and why not more."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")

import sqlalchemy
from sqlalchemy.testing.requirements import SuiteRequirements

from raftsql_driver.sqlalchemy.requirements import LACKING, OFFERED, REFUSED, Requirements

PAGE = (Path(__file__).parents[2] / "docs" / "sqlalchemy.md").read_text(encoding="utf-8")


def test_nothing_is_closed_without_a_documented_reason() -> None:
    for name, reason in {**REFUSED, **LACKING}.items():
        assert f"`{name}`" in PAGE
        assert reason
        assert not getattr(Requirements(), name).enabled


@pytest.mark.skipif(sqlalchemy.__version__ < "2.1", reason="names that came with 2.1")
def test_every_name_is_one_that_the_suite_asks_for() -> None:
    for name in {*OFFERED, *REFUSED, *LACKING}:
        assert hasattr(SuiteRequirements, name), name


def test_what_is_offered_is_open_and_nothing_is_both() -> None:
    assert len(set(OFFERED)) == len(OFFERED)
    assert not set(OFFERED) & {*REFUSED, *LACKING}
    assert all(getattr(Requirements(), name).enabled for name in OFFERED)
