"""quote and insert: results as SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from raftsql_shell.keywords import KEYWORDS
from raftsql_shell.literals import literal, name
from raftsql_shell.look import Batches, Look, Row


def quote(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    """SQL literals, separated by commas."""
    if look.headers:
        yield ",".join(map(literal, columns)) + "\n"
    for batch in batches:
        yield "".join([f"{values}\n" for values in _literals(batch)])


def insert(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    """A statement for each row that would insert it again."""
    names = f"({','.join(name(each, KEYWORDS) for each in columns)})" if look.headers else ""
    start = f"INSERT INTO {name(look.table, KEYWORDS)}{names} VALUES("
    between = f");\n{start}"
    for batch in batches:
        yield start + between.join(_literals(batch)) + ");\n"


def _literals(batch: list[Row]) -> Iterator[str]:
    """The rows with commas between their values; a column at a time, which is quicker."""
    return map(",".join, zip(*map(_column, zip(*batch, strict=True)), strict=True))


def _column(values: Sequence[Any]) -> list[str]:
    kinds = set(map(type, values))
    if kinds == {int}:
        return list(map(str, values))
    if kinds == {float}:
        return [text.replace("inf", "9.0e999") for text in map(repr, values)]
    if kinds == {str}:
        joined = "".join(values)
        if "'" not in joined and "\0" not in joined:
            return [f"'{value}'" for value in values]
    return list(map(literal, values))
