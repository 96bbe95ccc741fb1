"""quote and insert: results as SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raftsql_shell.keywords import KEYWORDS
from raftsql_shell.literals import literal, name
from raftsql_shell.look import Batches, Look


def quote(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    """SQL literals, separated by commas."""
    if look.headers:
        yield ",".join(map(literal, columns)) + "\n"
    for batch in batches:
        yield "".join([",".join(map(literal, row)) + "\n" for row in batch])


def insert(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    """A statement for each row that would insert it again."""
    names = f"({','.join(name(each, KEYWORDS) for each in columns)})" if look.headers else ""
    start = f"INSERT INTO {name(look.table, KEYWORDS)}{names} VALUES("
    for batch in batches:
        yield "".join([f"{start}{','.join(map(literal, row))});\n" for row in batch])
