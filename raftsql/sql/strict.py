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
from raftsql.sql.names import closings, direct
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
    ends = closings(tokens)
    windows = _ordered_windows(tokens, ends)
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
        if _is_order_dependent(tokens, ends, place) and not _has_order(
            tokens, ends, windows, place + 1
        ):
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


def _is_order_dependent(tokens: list[Token], ends: dict[int, int], place: int) -> bool:
    token = tokens[place]
    is_name = token.kind is WORD or token.kind is QUOTED
    return is_name and token.key in ORDER_DEPENDENT_AGGREGATES and place + 1 in ends


def _has_order(
    tokens: list[Token], ends: dict[int, int], windows: dict[str, bool], opening: int
) -> bool:
    """Whether an aggregate's parentheses, or the window behind them, say an order."""
    if _says_order(tokens, ends, opening):
        return True
    place = ends[opening] + 1
    if word(tokens, place) == "FILTER" and place + 1 in ends:
        place = ends[place + 1] + 1
    if word(tokens, place) != "OVER" or place + 1 >= len(tokens):
        return False
    window = place + 1
    if window not in ends:
        return windows.get(tokens[window].key, False)
    base = tokens[window + 1].key if window + 1 < len(tokens) else ""
    return _says_order(tokens, ends, window) or windows.get(base, False)


def _ordered_windows(tokens: list[Token], ends: dict[int, int]) -> dict[str, bool]:
    """Of each name in a WINDOW clause: whether every window of that name says an order."""
    windows: dict[str, bool] = {}
    for place in range(1, len(tokens) - 2):
        if tokens[place - 1].key not in ("WINDOW", ",") or place + 2 not in ends:
            continue
        if word(tokens, place + 1) == "AS":
            name = tokens[place].key
            windows[name] = windows.get(name, True) and _says_order(tokens, ends, place + 2)
    return windows


def _says_order(tokens: list[Token], ends: dict[int, int], opening: int) -> bool:
    """Whether ORDER BY stands directly inside these parentheses."""
    return any(word(tokens, place) == "ORDER" for place in direct(tokens, ends, opening))
