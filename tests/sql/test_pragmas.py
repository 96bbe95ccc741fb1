"""Each PRAGMA of the SQLite we ship with is judged, and a value means what SQLite means by it."""

from __future__ import annotations

import apsw
import pytest

from raftsql.sql import pragmas as p
from raftsql.sql.classify import StatementKind
from raftsql.sql.plans import plan

READS = (p.SCHEMA_PRAGMAS, p.LOCAL_PRAGMAS, p.GET_PRAGMAS, p.SETTING_PRAGMAS, p.REFUSED_PRAGMAS)


def known() -> set[str]:
    connection = apsw.Connection(":memory:")
    return {name.upper() for (name,) in connection.execute("SELECT name FROM pragma_pragma_list")}


def test_each_pragma_is_in_exactly_one_list_of_reads() -> None:
    for name in known():
        assert sum(name in each for each in READS) == 1, name


def test_setting_each_readable_pragma_is_a_write_or_refused() -> None:
    settable = set(p.WRITE_PRAGMAS) | set(p.REFUSED_TO_SET)
    assert settable == p.GET_PRAGMAS
    assert not set(p.WRITE_PRAGMAS) & set(p.REFUSED_TO_SET)


def test_no_list_names_a_pragma_that_sqlite_does_not_have() -> None:
    assert {name for each in READS for name in each} <= known()


@pytest.mark.parametrize("value", ["1", "0", "2", "10", "on", "OFF", "yes", "no", "TRUE", "false"])
@pytest.mark.parametrize("shape", ["PRAGMA {} = {}", "PRAGMA main.{}({})", "pragma '{}'='{}'"])
@pytest.mark.parametrize("name", ["foreign_keys", "defer_foreign_keys", "recursive_triggers"])
def test_a_setting_is_on_exactly_when_sqlite_says_so(name: str, shape: str, value: str) -> None:
    connection = apsw.Connection(":memory:")
    text = shape.format(name, value)
    connection.execute(text)
    ((expected,),) = connection.execute(f"PRAGMA {name}")
    decided = plan(text)
    assert decided.kind is StatementKind.SETTING
    assert decided.setting is not None
    assert decided.setting.value is bool(expected)
    assert decided.setting.setting is p.SETTING_PRAGMAS[name.upper()]


def test_asking_for_a_setting_changes_nothing() -> None:
    decided = plan("PRAGMA foreign_keys")
    assert decided.kind is StatementKind.SETTING
    assert decided.setting is not None
    assert decided.setting.value is None


def test_a_read_pragma_leaves_the_database_as_it_was() -> None:
    for name in sorted(p.SCHEMA_PRAGMAS | p.LOCAL_PRAGMAS | p.GET_PRAGMAS):
        connection = apsw.Connection(":memory:")
        before = connection.total_changes(), connection.data_version()
        connection.execute(f"PRAGMA {name}").fetchall()
        assert (connection.total_changes(), connection.data_version()) == before
