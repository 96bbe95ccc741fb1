"""A second pair of eyes for strict mode: sqlglot's tree, where it can read the statement.

Tokens decide; the tree is asked whether they have missed something, by quite another way of
reading. It can only add a refusal. Where sqlglot can't read a statement (REPLACE INTO, triggers,
virtual tables) it has no say, and its tree is never turned back into SQL: both would change what
SQLite does. See docs/decisions/0020-own-tokenizer.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from raftsql.sql.functions import CHANCE_FUNCTIONS, CLOCK_WORDS

if TYPE_CHECKING:
    from sqlglot.expressions import Expression


CHARACTERS_MAX: Final = 16_384
"""A longer text is not read twice: the tree would cost the leader tens of milliseconds."""


class Reading(NamedTuple):
    """What the tree of a statement shows."""

    calls: frozenset[str]
    """What asks clock or chance whatever its arguments are."""
    has_arbitrary_limit: bool
    """A LIMIT on rows of a table that no ORDER BY sorts."""


def reading_of(text: str) -> Reading | None:
    """What sqlglot sees in a statement; None where it can't read it, or it is long."""
    if len(text) > CHARACTERS_MAX:
        return None
    # Imported here: it costs a quarter of a second, and only strict mode needs it.
    import sqlglot
    from sqlglot import exp

    try:
        tree = sqlglot.parse_one(text, read="sqlite")
    except Exception:  # A foreign parser's failure, whichever it is, means: no testimony.
        return None
    if isinstance(tree, exp.Command):
        return None
    calls = set()
    for node in tree.find_all(exp.Func):
        name = str(node.this) if isinstance(node, exp.Anonymous) else _name(node.key)
        if name.upper() in CHANCE_FUNCTIONS | CLOCK_WORDS:
            calls.add(name.upper())
    limits = [limit for limit in tree.find_all(exp.Limit) if _is_arbitrary(limit)]
    return Reading(frozenset(calls), bool(limits))


def _name(key: str) -> str:
    """SQLite's name of a function that sqlglot knows by its own."""
    return {
        "rand": "RANDOM",
        "currentdate": "CURRENT_DATE",
        "currenttime": "CURRENT_TIME",
        "currenttimestamp": "CURRENT_TIMESTAMP",
    }.get(key, key)


def _is_arbitrary(limit: Expression) -> bool:
    from sqlglot import exp

    query = limit.parent
    if query is None or query.args.get("order") or isinstance(query.parent, exp.Exists):
        return False
    count = limit.args.get("expression")
    if isinstance(count, exp.Literal) and count.name == "0":
        return False
    return not isinstance(query, exp.Select) or query.args.get("from_") is not None
