"""The documentation names everything that there is, and help fits on a screen."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from raftsql_shell import commands, options
from raftsql_shell.config import Config
from raftsql_shell.formats import ABOUT

TEXT = (Path(__file__).parents[2] / "docs" / "shell.md").read_text(encoding="utf-8")
PLAIN = TEXT.replace("\\|", "|")


def test_every_command_is_documented_with_its_usage() -> None:
    missing = [
        each.usage for each in commands.registry().values() if f"`{each.usage}`" not in PLAIN
    ]
    assert missing == []


def test_every_documented_command_is_there() -> None:
    documented = set(re.findall(r"^\| `(\.\w+)", PLAIN, re.MULTILINE))
    assert documented == set(commands.registry())


def test_every_command_has_help_whose_first_line_is_short() -> None:
    for each in commands.registry().values():
        assert each.summary.endswith("."), each.name
        assert len(each.summary) <= 66, each.name
        assert all(len(line) <= 96 for line in each.help.splitlines()), each.name


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
