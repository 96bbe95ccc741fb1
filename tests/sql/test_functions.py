"""Each function and module of the SQLite we ship with is judged, once."""

from __future__ import annotations

import apsw

from raftsql.sql import functions as f

TABLE_FUNCTIONS = {"JSON_EACH", "JSON_TREE"}
"""Read as tables, created by nobody: the same rows everywhere, and in no list."""


OF_THE_STORAGE = {"VERIFY_CHECKSUM"}
"""Comes with the checksums in pages where those are loaded, and is refused for not being listed."""


def names(column: str) -> set[str]:
    connection = apsw.Connection(":memory:")
    return {name.upper() for (name,) in connection.execute(f"SELECT name FROM {column}")}


def test_each_function_is_in_exactly_one_list() -> None:
    lists = (f.PURE_FUNCTIONS, f.PINNED_FUNCTIONS, f.LOCAL_FUNCTIONS, f.FORBIDDEN_FUNCTIONS)
    for name in names("pragma_function_list") - OF_THE_STORAGE:
        assert sum(name in each for each in lists) == 1, name


def test_no_list_names_a_function_that_sqlite_does_not_have() -> None:
    listed = f.PURE_FUNCTIONS | f.PINNED_FUNCTIONS | f.REFUSED_FUNCTIONS
    assert listed <= names("pragma_function_list")


def test_each_module_is_judged() -> None:
    judged = f.PURE_MODULES | set(f.LOCAL_MODULES) | set(f.FORBIDDEN_MODULES)
    found = {name for name in names("pragma_module_list") if not name.startswith("PRAGMA_")}
    assert found - TABLE_FUNCTIONS <= judged


def test_a_pure_module_is_one_that_sqlite_has() -> None:
    assert names("pragma_module_list") >= f.PURE_MODULES


def test_order_matters_only_to_known_functions() -> None:
    assert f.ORDER_DEPENDENT_AGGREGATES <= f.PURE_FUNCTIONS


def test_a_clock_function_is_no_chance_function() -> None:
    assert not set(f.CLOCK_FUNCTIONS) & f.CHANCE_FUNCTIONS
