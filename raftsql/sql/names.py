"""Find what a statement names: the functions it calls and the tables it reads.

A name before a parenthesis may be a function, a table with arguments, a table in a definition or
a column's type. Tokens do not always tell; where they do not, the role says so and the judge
takes the safe side.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

from raftsql.sql.functions import CLOCK_WORDS
from raftsql.sql.keywords import KEYWORDS, words
from raftsql.sql.tokens import OPERATOR, QUOTED, SEMICOLON, STRING, WORD, Token


class Role(Enum):
    """What a name is where it stands."""

    CALL = "call"
    """A function called in an expression, or a keyword that is one, as CURRENT_DATE."""
    TABLE = "table"
    """A table read, perhaps with arguments: FROM json_each(…)."""
    TARGET = "target"
    """A table written or defined."""
    DOUBT = "doubt"
    """Before a parenthesis, and likely a column's type; a function if SQLite thinks otherwise."""


class Name(NamedTuple):
    """A name and its place among the tokens."""

    role: Role
    place: int
    is_certain: bool
    """For a call: whether it can be nothing else, so that an unknown name is an error."""


_TARGET_BEFORE: Final = words(
    "INTO TABLE REFERENCES WITH RECURSIVE AS USING UPDATE VIEW INDEX EXISTS CONSTRAINT TO"
)
_EXPRESSION_BEFORE: Final = words(
    """
    SELECT DISTINCT ALL WHERE AND OR NOT ON HAVING BY LIMIT OFFSET WHEN THEN ELSE CASE IS LIKE GLOB
    REGEXP MATCH BETWEEN ESCAPE RETURNING FROM
    """
)
_CLAUSES: Final = words(
    """
    WHERE GROUP HAVING ORDER LIMIT WINDOW UNION INTERSECT EXCEPT SELECT SET RETURNING VALUES
    """
)
_FROM_WORDS: Final = words("FROM JOIN ON USING")
_MOVES: Final = _CLAUSES | _FROM_WORDS
_NOTHING: Final = Token(SEMICOLON, ";", 0, 0)

# Where in a FROM clause a parenthesis level is.
_OUTSIDE, _TABLES, _CONSTRAINT = range(3)


def names(tokens: list[Token], ends: dict[int, int]) -> Iterator[Name]:
    """Walk over a statement's calls and tables, without columns and a module's arguments.

    `ends` are the tokens' `closings`.
    """
    is_virtual = [token.key for token in tokens[:3]] == ["CREATE", "VIRTUAL", "TABLE"]
    depth_certain = 3 if _defines_columns(tokens) else 1
    levels = [_OUTSIDE]
    before = _NOTHING
    for place, token in enumerate(tokens):
        kind = token.kind
        if kind is OPERATOR:
            _enter_or_leave(token.key, before, levels)
        elif kind is WORD or kind is QUOTED or kind is STRING:
            if kind is WORD and token.key in _MOVES:
                levels[-1] = _clause(token.key, before, levels[-1])
            role = _role(tokens, ends, place, before, levels[-1])
            if role is not None:
                yield Name(role, place, len(levels) >= depth_certain and _is_certain(before))
            if is_virtual and before.key == "USING":
                return
        elif kind is SEMICOLON:
            levels = [_OUTSIDE]
        before = token


def _clause(word: str, before: Token, level: int) -> int:
    if word == "JOIN" or (word == "FROM" and before.key != "DISTINCT"):
        return _TABLES
    if word in ("ON", "USING"):
        return _CONSTRAINT if level == _TABLES else level
    return _OUTSIDE if word in _CLAUSES else level


def _enter_or_leave(operator: str, before: Token, levels: list[int]) -> None:
    if operator == "(":
        inside = levels[-1] == _TABLES and _opens_table(before)
        levels.append(_TABLES if inside else _OUTSIDE)
    elif operator == ")" and len(levels) > 1:
        levels.pop()
    elif operator == "," and levels[-1] == _CONSTRAINT:
        levels[-1] = _TABLES


def _opens_table(before: Token) -> bool:
    if before.kind is WORD:
        return before.key in ("FROM", "JOIN")
    return before.kind is OPERATOR and before.key in ("(", ",")


def _role(
    tokens: list[Token], ends: dict[int, int], place: int, before: Token, level: int
) -> Role | None:
    """The role of the name at a place; None for columns, keywords and strings that name nothing."""
    token = tokens[place]
    is_word = before.kind is WORD
    if is_word and before.key in _TARGET_BEFORE:
        return Role.TARGET
    if level == _TABLES and (_opens_table(before) or _is_dot(before)):
        return Role.TABLE
    if is_word and before.key == "IN":
        return Role.TABLE
    if token.kind is STRING:
        return None
    if not _opens(tokens, place + 1):
        return Role.CALL if token.key in CLOCK_WORDS and token.kind is WORD else None
    if _names_index_table(tokens, before) or _names_list(tokens, ends, place, before):
        return Role.TARGET
    if _is_dot(before) or before.kind is QUOTED or (is_word and before.key not in KEYWORDS):
        return Role.DOUBT
    return Role.CALL


def _opens(tokens: list[Token], place: int) -> bool:
    return place < len(tokens) and tokens[place].key == "(" and tokens[place].kind is OPERATOR


def _is_dot(token: Token) -> bool:
    return token.key == "." and token.kind is OPERATOR


def _names_index_table(tokens: list[Token], before: Token) -> bool:
    if before.key != "ON" or before.kind is not WORD:
        return False
    return tokens[0].key == "CREATE" and tokens[1].key in ("INDEX", "UNIQUE")


def _names_list(tokens: list[Token], ends: dict[int, int], place: int, before: Token) -> bool:
    """Whether this is the second or a later table of a WITH list: `, name(columns) AS (`."""
    if before.key != "," or before.kind is not OPERATOR:
        return False
    end = ends[place + 1] + 1
    if end + 1 >= len(tokens) or tokens[end].key != "AS":
        return False
    following = tokens[end + 1]
    return following.key in ("(", "NOT", "MATERIALIZED") and following.kind in (OPERATOR, WORD)


def closings(tokens: list[Token]) -> dict[int, int]:
    """Where each opening parenthesis is closed, by places; the last token for one that is not.

    Made once a statement: to look for each end anew takes quadratic time on nested calls.
    """
    ends = {}
    open_places = []
    for place, token in enumerate(tokens):
        if token.kind is OPERATOR:
            if token.key == "(":
                open_places.append(place)
            elif token.key == ")" and open_places:
                ends[open_places.pop()] = place
    for place in open_places:
        ends[place] = len(tokens) - 1
    return ends


def direct(tokens: list[Token], ends: dict[int, int], opening: int) -> Iterator[int]:
    """The places directly inside a parenthesis; what stands in deeper ones is stepped over."""
    place, end = opening + 1, ends[opening]
    while place < end:
        yield place
        place = ends.get(place, place) + 1


def _is_certain(before: Token) -> bool:
    if before.kind is WORD:
        return before.key in _EXPRESSION_BEFORE
    return before.kind is OPERATOR and before.key not in (".", ")")


def _defines_columns(tokens: list[Token]) -> bool:
    """Whether names before parentheses outside of deeper ones are types of columns."""
    head = [token.key for token in tokens[:2]]
    return head in (["CREATE", "TABLE"], ["ALTER", "TABLE"])
