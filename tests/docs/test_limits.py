"""docs/limits.md says the numbers that the code has."""

from __future__ import annotations

import dataclasses
import re
from importlib import import_module
from typing import Any

import pytest

from raftsql.server.settings import ServeSettings
from raftsql_driver.address import Address
from tests.docs.markdown import ROOT

UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "s": 1}
ROW = re.compile(r"^\| (?P<what>[^|]+) \| (?P<bound>[\d,]+)(?: (?P<unit>\w+))?[^|]*\|.*\|$", re.M)
ROWS = list(ROW.finditer((ROOT / "docs" / "limits.md").read_text(encoding="utf-8")))
NAMED = [row for row in ROWS if "| `raftsql" in row[0]]


def constant(name: str) -> Any:
    """What a dotted name stands for; of a class of settings, what it is when nobody says."""
    home, _, last = name.rpartition(".")
    try:
        return getattr(import_module(home), last)
    except ModuleNotFoundError:
        module, _, kind = home.rpartition(".")
        known = dataclasses.fields(getattr(import_module(module), kind))
        return next(field.default for field in known if field.name == last)


def number(row: re.Match[str], name: str = "") -> int:
    bound = int(row["bound"].replace(",", "")) * UNITS.get(row["unit"] or "", 1)
    return bound * 1000 if row["unit"] == "s" and "_MS" in name else bound


@pytest.mark.parametrize("row", NAMED, ids=lambda row: row["what"])
def test_a_bound_is_what_its_constant_says(row: re.Match[str]) -> None:
    name = row[0].rstrip("|` ").rpartition("`")[2]
    assert number(row, name) == constant(name)


def test_most_bounds_have_a_constant() -> None:
    assert len(NAMED) > 35
    assert len(ROWS) - len(NAMED) <= 4


def test_bounds_that_are_settings_are_their_defaults() -> None:
    by_what = {row["what"]: number(row) for row in ROWS}
    settings = ServeSettings()
    assert by_what["entries of the log"] == settings.log_entries_max
    sizes = [number(row) for row in ROWS if "`log_bytes_max`" in row[0]]
    assert sizes == [settings.log_bytes_max]
    assert by_what["a call of the driver, all its tries included"] == Address().timeout
