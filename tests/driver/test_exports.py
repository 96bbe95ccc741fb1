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


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'raftsql' has no attribute 'nonsense'"):
        raftsql.nonsense  # noqa: B018
    assert not hasattr(raftsql, "__path_hooks__")
