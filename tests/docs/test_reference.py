"""docs/reference.md has every public name, and a page for each."""

from __future__ import annotations

import re

import pytest

from raftsql.rpc import client_service
from raftsql.server import cli
from raftsql_driver.errors import Error
from raftsql_shell import options
from raftsql_shell.commands import registry
from tests.docs.markdown import ROOT
from tools import gencomparison, genreference
from tools.genreference import Named, kinds, still_told, told, word


def test_every_public_name_is_told_on_a_page() -> None:
    """`make configuration` writes the page; what is on no page stops that, and this."""
    assert genreference.page()
    assert genreference.stale() == []


def test_a_place_that_tells_a_name_no_more_would_be_noticed() -> None:
    one = Named("--unchecked", "", word("--unchecked"))
    assert still_told(one, "commands.md#data")
    assert not still_told(one, "commands.md#members")
    assert not still_told(one, "commands.md#absent")


def test_a_name_that_no_page_tells_would_be_noticed() -> None:
    absent = Named("--absent", "", word("--absent"))
    assert told(absent, ("commands.md", "driver.md")) == ""
    present = Named("--unchecked", "", word("--unchecked"))
    assert "commands.md" in told(present, ("commands.md",))


def test_a_name_within_a_longer_one_does_not_count() -> None:
    assert re.search(word("--url"), "`--url URL`")
    assert not re.search(word("--url"), "--url-of-it and x--url")


def test_no_kind_of_name_is_forgotten() -> None:
    found = {kind.title: {one.name for one in kind.names} for kind in kinds()}
    assert all(found.values())
    assert found["Commands of the shell"] == set(registry())
    assert {"Error", "OutcomeUnknown", "AnswerLost"} <= found["Errors"]
    assert {one.__name__ for one in Error.__subclasses__()} <= found["Errors"]
    assert {"backup --sql", "user grant --on", "up --shell"} <= found["Flags of commands"]
    assert "/readyz" in found["Pages over HTTP"]
    assert "Client.Execute" in found["Calls over gRPC"]


@pytest.mark.parametrize("page", gencomparison.PAGES)
def test_ratios_are_those_that_were_measured(page: str) -> None:
    """`make configuration` takes them from docs/performance.md."""
    rows = gencomparison.PAGES[page]
    assert gencomparison.written(page, rows) == (ROOT / page).read_text(encoding="utf-8")


def test_every_status_of_a_unary_call_is_told() -> None:
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    known = {*client_service._WHY_STATUS.values(), *client_service._STATUS.values()}
    assert len(known) > 6
    assert [status.name for status in known if f"`{status.name}`" not in page] == []


def test_the_shells_help_names_all_other_commands() -> None:
    _, _, told = options.EPILOG.partition("Other commands of raftsql:")
    assert [name for name in cli.COMMANDS if not re.search(rf"\b{name}\b", told)] == []
