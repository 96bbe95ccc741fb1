"""docs/driver.md: every public name is in an example; tests/docs runs them all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import raftsql
from raftsql_driver.address import _OPTIONS, Options

PAGE = Path(__file__).parents[2] / "docs" / "driver.md"
TEXT = PAGE.read_text(encoding="utf-8")
CODE = "\n".join(re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("name", raftsql.__all__)
def test_every_public_name_is_in_an_example(name: str) -> None:
    assert re.search(rf"raftsql\.{name}\b", CODE), f"no example shows raftsql.{name}"


@pytest.mark.parametrize(
    "kind", [raftsql.Connection, raftsql.Cursor, raftsql.ConnectionPool], ids=lambda k: k.__name__
)
def test_every_public_method_is_shown_or_told(kind: type) -> None:
    names = [name for name in dir(kind) if not name.startswith("_") and name not in raftsql.__all__]
    missing = [name for name in names if not re.search(rf"\b{name}\b", TEXT)]
    assert missing == []


@pytest.mark.parametrize("option", _OPTIONS)
def test_every_option_of_a_url_is_told(option: str) -> None:
    assert f"`{option}`" in TEXT


@pytest.mark.parametrize("option", _OPTIONS)
def test_every_option_is_a_keyword_that_editors_and_help_know(option: str) -> None:
    assert option in Options.__annotations__
    assert re.search(rf"\b{option}\b", raftsql.connect.__doc__ or "")


def test_the_two_colours_have_the_same_names() -> None:
    for sync, aio in [
        (raftsql.Connection, raftsql.AsyncConnection),
        (raftsql.Cursor, raftsql.AsyncCursor),
        (raftsql.ConnectionPool, raftsql.AsyncConnectionPool),
    ]:
        public = [{n for n in dir(kind) if not n.startswith("_")} for kind in (sync, aio)]
        assert public[0] ^ public[1] <= {"connect", "set_isolation_level"}
