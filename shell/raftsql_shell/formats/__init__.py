"""The ways to write a result. Each is a generator: batches of rows in, pieces of text out.

None of them holds more than a bounded number of rows, and each is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

from raftsql_shell.look import Format

_HOMES: Final = {
    "box": "grid",
    "table": "grid",
    "column": "grid",
    "markdown": "grid",
    "csv": "delimited",
    "tsv": "delimited",
    "quote": "sql",
    "insert": "sql",
    "json": "objects",
    "jsonl": "objects",
    "vertical": "upright",
    "line": "upright",
}

MODES: Final = tuple(_HOMES)
"""All names of formats, in the order in which help lists them."""

ABOUT: Final = {
    "box": "a table with lines between the columns",
    "table": "the same in ASCII",
    "column": "columns under their names, no lines between them",
    "markdown": "a table for a Markdown text",
    "csv": "comma-separated values, quoted where needed",
    "tsv": r"tab-separated values; \t, \n and \\ stand for tab, newline and backslash",
    "quote": "SQL literals, separated by commas",
    "insert": "INSERT statements",
    "json": "one JSON array of objects",
    "jsonl": "a JSON object a line",
    "vertical": "a line a value, rows numbered",
    "line": "a line a value, rows separated by an empty line",
}


def format_of(mode: str) -> Format:
    """The function that writes a mode."""
    function: Format = getattr(import_module(f"{__name__}.{_HOMES[mode]}"), mode)
    return function
