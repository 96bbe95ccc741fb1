"""Habits of other shells are understood at the prompt."""

from __future__ import annotations

import pytest

from raftsql_shell import commands, habits


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("help", ".help"),
        ("Exit;", ".quit"),
        ("\\q", ".quit"),
        (" show tables ;", ".tables"),
        ("\\d", ".tables"),
        ("\\d book", ".describe book"),
        ("describe book;", ".describe book"),
        ("SHOW CREATE TABLE book;", ".schema book"),
        ("\\i some.sql", ".read some.sql"),
        ("SELECT 1;", ""),
        ("explain select 1;", ""),
        ("help me", ""),
        ("", ""),
    ],
)
def test_a_habit_is_known_by_what_is_meant(text: str, command: str) -> None:
    assert habits.meant(text) == command


def test_all_that_is_meant_exists() -> None:
    meant = {command.split()[0] for _, command in habits._HABITS}
    assert meant <= set(commands.registry())
