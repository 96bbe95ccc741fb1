"""What `import raftsql` offers."""

from __future__ import annotations

import pytest

import raftsql
import raftsql_driver


def test_the_package_hands_the_drivers_names_on() -> None:
    assert raftsql.__all__ == raftsql_driver.__all__
    for name in raftsql.__all__:
        assert getattr(raftsql, name) is getattr(raftsql_driver, name)
    assert set(raftsql.__all__) <= set(dir(raftsql))
    assert "__version__" in dir(raftsql)


def test_each_name_is_written_where_type_checkers_look_and_has_a_home() -> None:
    plain = {"apilevel", "threadsafety", "paramstyle", "sqlite_version", "sqlite_version_info"}
    assert set(raftsql_driver.__all__) == plain | set(raftsql_driver._HOME_OF)
    assert len(raftsql_driver.__all__) == len(set(raftsql_driver.__all__))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'raftsql' has no attribute 'nonsense'"):
        raftsql.nonsense  # noqa: B018
    assert not hasattr(raftsql, "__path_hooks__")
