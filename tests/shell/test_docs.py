"""The documentation names everything that there is, and help fits on a screen."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from raftsql_shell import commands, options
from raftsql_shell.config import Config
from raftsql_shell.formats import ABOUT

TEXT = (Path(__file__).parents[2] / "docs" / "shell.md").read_text(encoding="utf-8")
PLAIN = TEXT.replace("\\|", "|")


def problems(known: Iterable[commands.Registered], text: str) -> list[str]:
    """What a newcomer would miss in the help or the document."""
    found = []
    for each in known:
        if f"| `{each.usage}` |" not in text:
            found.append(f"{each.name} is not documented with its usage")
        if not each.summary.endswith(".") or len(each.summary) > 66:
            found.append(f"{each.name}: the first line of its help is no short sentence")
        if any(len(line) > 96 for line in each.help.splitlines()):
            found.append(f"{each.name}: its help is too wide")
    return found


def test_every_command_has_help_and_is_documented() -> None:
    assert problems(commands.registry().values(), PLAIN) == []


def test_a_command_without_help_or_document_would_be_noticed() -> None:
    def silent(shell: object, arguments: list[str]) -> None:
        pass

    new = commands.Registered(".new", ".new [THING]", silent, raw=False)
    assert problems([new], PLAIN) == [
        ".new is not documented with its usage",
        ".new: the first line of its help is no short sentence",
    ]
    with pytest.raises(AssertionError, match=r"\.new has no help"):
        commands.command(".new [THING]")(silent)


def test_every_documented_command_is_there() -> None:
    documented = set(re.findall(r"^\| `(\.\w+)", PLAIN, re.MULTILINE))
    assert documented == set(commands.registry())


def test_every_format_is_documented() -> None:
    missing = [mode for mode, about in ABOUT.items() if f"| `{mode}` | {about[:20]}" not in PLAIN]
    assert missing == []


def test_every_option_is_documented() -> None:
    flags = [
        flag
        for action in options.parser()._actions
        for flag in action.option_strings
        if flag not in ("-h", "--help")
    ]
    assert [flag for flag in flags if f"`{flag}" not in PLAIN] == []


def test_every_option_of_import_is_documented() -> None:
    flags = re.findall(r"--[a-z-]+", commands.registry()[".import"].help)
    assert [flag for flag in flags if f"`{flag}" not in PLAIN] == []


def test_every_setting_is_documented() -> None:
    names = [field.name for field in dataclasses.fields(Config)]
    assert [name for name in names if f"| `{name}` |" not in PLAIN] == []


def test_every_level_is_documented() -> None:
    assert [level for level in options.LEVELS if f"`{level}`" not in PLAIN] == []
