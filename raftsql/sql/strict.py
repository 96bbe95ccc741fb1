"""Strict mode's extra rule: in what is written, no choice of rows may rest on their order unsaid.

SQLite meets rows in an order that its plan decides; plans are the same on every node as long as
schema, statistics and build are. Strict mode does not lean on that: a LIMIT wants its ORDER BY,
and so does an aggregate or window function whose answer depends on the order. It can't see
whether the ORDER BY decides ties, nor a bare column beside an aggregate; those stay pinned by the
plan alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from raftsql.sql.classify import refusal, word
from raftsql.sql.functions import ORDER_DEPENDENT_AGGREGATES, Reason
from raftsql.sql.names import closing
from raftsql.sql.tokens import OPERATOR, QUOTED, SEMICOLON, WORD, Token
from raftsql.sql.verdict import Refused

_LIMIT: Final = Reason(
    "no ORDER BY says which rows it keeps, and this cluster runs in strict mode",
    "add ORDER BY a unique key before it",
)
_AGGREGATE: Final = Reason(
    "its answer depends on the order of the rows, which nothing says, and this cluster runs in"
    " strict mode",
    "add ORDER BY inside its parentheses or its OVER (…)",
)


@dataclass(slots=True)
class _Query:
    """A query at one depth of parentheses, as far as it was read."""

    is_test: bool = False
    """Inside EXISTS (…): which row is found makes no difference."""
    has_rows: bool = False
    """It has a FROM, or is an UPDATE or DELETE; without, there is one row to keep."""
    is_ordered: bool = False


def order_refusal(tokens: list[Token]) -> Refused | None:
    """Refuse the first choice of rows that rests on their order unsaid."""
    queries = [_Query()]
    for place, token in enumerate(tokens):
        if token.kind is WORD:
            if token.key == "LIMIT" and _is_arbitrary(tokens, place, queries[-1]):
                return refusal(tokens, place, "LIMIT", _LIMIT)
            _read(token.key, queries[-1])
        elif token.kind is SEMICOLON:
            queries = [_Query()]
        elif token.kind is OPERATOR and token.key == "(":
            queries.append(_Query(is_test=place > 0 and word(tokens, place - 1) == "EXISTS"))
        elif token.kind is OPERATOR and token.key == ")" and len(queries) > 1:
            queries.pop()
        if _is_unordered_aggregate(tokens, place):
            return refusal(tokens, place, f"{token.key.lower()}()", _AGGREGATE)
    return None


def _read(key: str, query: _Query) -> None:
    if key == "ORDER":
        query.is_ordered = True
    elif key in ("FROM", "UPDATE", "DELETE", "UNION", "EXCEPT", "INTERSECT"):
        query.has_rows = True


def _is_arbitrary(tokens: list[Token], place: int, query: _Query) -> bool:
    if query.is_ordered or query.is_test or not query.has_rows:
        return False
    following = tokens[place + 1] if place + 1 < len(tokens) else None
    return following is None or following.key != "0"


def _is_unordered_aggregate(tokens: list[Token], place: int) -> bool:
    token = tokens[place]
    if token.key not in ORDER_DEPENDENT_AGGREGATES or token.kind not in (
        WORD,
        QUOTED,
    ):
        return False
    if place + 1 >= len(tokens) or tokens[place + 1].key != "(":
        return False
    end = closing(tokens, place + 1)
    if _says_order(tokens, place + 1, end):
        return False
    if word(tokens, end + 1) == "FILTER":
        end = closing(tokens, end + 2)
    return not (word(tokens, end + 1) == "OVER" and _window_is_ordered(tokens, end + 2))


def _window_is_ordered(tokens: list[Token], place: int) -> bool:
    if place >= len(tokens):
        return False
    if tokens[place].key == "(":
        end = closing(tokens, place)
        if _says_order(tokens, place, end):
            return True
        base = tokens[place + 1].key if place + 1 < end else ""
        return _named_window_is_ordered(tokens, base)
    return _named_window_is_ordered(tokens, tokens[place].key)


def _named_window_is_ordered(tokens: list[Token], name: str) -> bool:
    """Whether `WINDOW name AS (… ORDER BY …)` stands in the statement."""
    for place in range(1, len(tokens) - 2):
        before = tokens[place - 1].key
        if (
            tokens[place].key == name
            and before in ("WINDOW", ",")
            and word(tokens, place + 1) == "AS"
        ):
            return _says_order(tokens, place + 2, closing(tokens, place + 2))
    return False


def _says_order(tokens: list[Token], opening: int, end: int) -> bool:
    """Whether ORDER BY stands directly inside these parentheses."""
    depth = 0
    for place in range(opening, end + 1):
        token = tokens[place]
        if token.kind is OPERATOR:
            depth += (token.key == "(") - (token.key == ")")
        elif depth == 1 and token.key == "ORDER" and token.kind is WORD:
            return True
    return False
