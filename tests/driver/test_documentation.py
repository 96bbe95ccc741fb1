"""docs/driver.md: every example runs, and every public name is in one."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import raftsql
from raftsql_driver.address import _OPTIONS
from tests.driver.fake import FakeServer

PAGE = Path(__file__).parents[2] / "docs" / "driver.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = [
    (TEXT[: match.start()].count("\n") + 2, match[1])
    for match in re.finditer(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
]
CODE = "\n".join(code for _, code in EXAMPLES)


@pytest.fixture
def cluster_url() -> Iterator[str]:
    """Where the examples run; a test of the whole gives a real cluster here."""
    server = FakeServer(1).start()
    yield server.url
    server.stop()


@pytest.mark.parametrize(("line", "code"), EXAMPLES, ids=[f"line {line}" for line, _ in EXAMPLES])
def test_every_example_runs(
    line: int, code: str, cluster_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAFTSQL_URL", cluster_url)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        exec(compile("\n" * (line - 1) + code, str(PAGE), "exec"), {"__name__": "example"})


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


def test_the_two_colours_have_the_same_names() -> None:
    for sync, aio in [
        (raftsql.Connection, raftsql.AsyncConnection),
        (raftsql.Cursor, raftsql.AsyncCursor),
        (raftsql.ConnectionPool, raftsql.AsyncConnectionPool),
    ]:
        public = [{n for n in dir(kind) if not n.startswith("_")} for kind in (sync, aio)]
        assert public[0] ^ public[1] <= {"connect", "set_isolation_level"}
