# ruff: noqa: E501
"""Writes docs/sql-refused.md from the lists themselves: `python -m tests.sql.refused_page`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from raftsql.sql import functions as f
from raftsql.sql import pragmas as p
from raftsql.sql.functions import Reason
from raftsql.sql.plans import plan
from raftsql.sql.verdict import Mode, Refused

PAGE = Path(__file__).parents[2] / "docs" / "sql-refused.md"

STATEMENTS = [
    "ATTACH 'other.db' AS other",
    "DETACH other",
    "VACUUM INTO 'copy.db'",
    "CREATE TEMP TABLE x(a)",
    "CREATE TABLE temp.x(a)",
    "CREATE VIRTUAL TABLE x USING csv(…)",
    "CREATE VIRTUAL TABLE x USING dbstat",
    "SELECT * FROM sqlite_raftsql_…",
    "INSERT INTO t SELECT rootpage FROM sqlite_schema",
    "INSERT INTO t SELECT * FROM pragma_page_count",
    "SELECT no_such_function(1)",
    "EXPLAIN PRAGMA foreign_keys = ON",
    "SELECT 1; SELECT 2",
    "SELECT 'never closed",
]
STRICT = [
    "UPDATE t SET a = random()",
    "INSERT INTO t SELECT a FROM u LIMIT 1",
    "INSERT INTO t SELECT group_concat(a) FROM u",
]

HEAD = """\
# SQL that is refused, and what to write instead

raftsql runs SQLite's SQL, on every node alike. What clock and chance give is *pinned*: every command
carries the leader's clock and a seed, so `random()`, `randomblob()`, `CURRENT_TIMESTAMP` and
`datetime('now')` keep their meaning (also in defaults, triggers and views, and row by row) and all nodes
store the same. What can't be pinned is refused before it reaches the log, and the error says what, where,
why, and what to write instead. This page is written from the lists that decide.

The node's process runs in UTC, so the modifiers `localtime` and `utc` change nothing and are allowed.
`last_insert_rowid()` and `changes()` start each command from a fixed value. In a SELECT they, and
`total_changes()`, answer for the client's own connection.
"""


def page() -> str:
    """The whole page."""
    parts = [
        HEAD,
        "## Statements\n",
        _table(["Statement", "Why", "Instead"], [_refusal_row(text) for text in STATEMENTS]),
        "## Functions\n",
        "Everywhere:\n",
        _table(["Function", "Why", "Instead"], _rows(f.FORBIDDEN_FUNCTIONS, "{}()")),
        "In a write, a view, a trigger or a default; a SELECT of its own may ask the node it talks to:\n",
        _table(["Function", "Why", "Instead"], _rows(f.LOCAL_FUNCTIONS, "{}()")),
        "Pinned, not refused (except in strict mode): " + _names(f.PINNED_FUNCTIONS) + ".\n",
        "## Virtual tables\n",
        "Allowed in CREATE VIRTUAL TABLE: "
        + _names(f.PURE_MODULES)
        + ". Any other module is refused.\n",
        _table(["Module", "Why", "Instead"], _rows(f.LOCAL_MODULES | f.FORBIDDEN_MODULES, "{}")),
        "## PRAGMAs\n",
        "Settings of the session, which travel with every command: "
        + _names(p.SETTING_PRAGMAS)
        + ".\n",
        "With a value they are writes and go through the log: " + _names(p.WRITE_PRAGMAS) + ".\n",
        "Reads of the schema, also as tables inside a write: " + _names(p.SCHEMA_PRAGMAS) + ".\n",
        "Reads that tell about the node that is asked: "
        + _names(p.LOCAL_PRAGMAS | p.GET_PRAGMAS)
        + ".\n",
        "Refused with and without a value:\n",
        _table(["PRAGMA", "Why", "Instead"], _rows(p.REFUSED_PRAGMAS, "PRAGMA {}")),
        "Refused with a value:\n",
        _table(["PRAGMA", "Why", "Instead"], _rows(p.REFUSED_TO_SET, "PRAGMA {} = …")),
        "A PRAGMA that SQLite does not know is refused too: SQLite itself would silently ignore it.\n",
        "## Strict mode\n",
        "A cluster in strict mode also refuses, in what is written, everything pinned and every choice of"
        " rows by an order that nothing says:\n",
        _table(
            ["Statement", "Why", "Instead"], [_refusal_row(text, strict=True) for text in STRICT]
        ),
        TAIL,
    ]
    return "\n".join(parts)


TAIL = """\
It can't see whether an ORDER BY decides between equal rows, nor which row a bare column beside an
aggregate comes from: SQLite's plan decides those, alike on every node with the same schema, statistics
and build.

## Values

| Value | Rule |
|---|---|
| an integer beyond 64 bits | refused before the log |
| NaN | NULL, as SQLite stores it; infinity is kept |
| a boolean | the integer 1 or 0 |
| a date, a list, a map, a msgpack extension | refused before the log; pass text, a number or JSON text |
| text with half a surrogate pair | refused before the log |
| more than 32,766 parameters | refused before the log |
| a text or blob over 67,108,864 bytes (64 MiB) | refused before the log; refused in apply when it is computed |

## Limits

They are the same on every node, and part of what nodes compare before they join. A statement beyond
one is refused, on every node alike.

| Limit | Value | Why |
|---|---|---|
| a text, a blob or a row | 64 MiB | what a message carries; no node may run out of memory over a value that others can hold |
| the text of a statement | 16 MiB | it is read and compiled on every node |
| a pattern of LIKE or GLOB | 1,000 bytes | matching costs text times pattern, in one step that nothing counts: 1.8 s for a megabyte |
| columns of a table or result | 2,000 | SQLite's own |
| terms of a compound SELECT | 500 | SQLite's own |
| depth of an expression | 1,000 | SQLite's own |
| arguments of a function | 1,000 | SQLite's own |
| triggers within triggers | 1,000 | SQLite's own |
| parameters | 32,766 | SQLite's own |
| uses of columns and functions in a write, once its views are written out | 20,000 | views of views double with every level, and compiling is no step that is counted |
| steps of a command | 2,000,000,000 | `fuel`, counted by SQLite's machine and not by a clock |

`instr`, `replace` and `trim(X, Y)` compare text times pattern in the worst case, in one step, and have
no limit of their own: two texts of a megabyte that are made for it take ten seconds, on every node. While
such a step runs a node goes on sending heartbeats, and other writes wait.

## Time zones and arithmetic

A node runs in UTC, whatever its machine is set to; one that does not will not open its database. What the
processor and the C library compute (`sin`, `exp`, `pow`, `log` and so `bm25`, text to number and back) is
probed with awkward arguments when a node starts, and is part of its fingerprint: a node that computes
otherwise may not join.
"""


def _refusal_row(text: str, *, strict: bool = False) -> list[str]:
    verdict = plan(text, Mode.STRICT if strict else Mode.PINNED).verdict
    assert isinstance(verdict, Refused), text
    return [f"`{text}`", verdict.why, verdict.instead]


def _rows(lists: Mapping[str, Reason], shape: str) -> list[list[str]]:
    return [
        [f"`{shape.format(name.lower())}`", reason.why, reason.instead]
        for name, reason in sorted(lists.items())
    ]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _names(names: object) -> str:
    assert isinstance(names, (frozenset, dict))
    return ", ".join(f"`{name.lower()}`" for name in sorted(names))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
