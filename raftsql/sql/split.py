"""Cut a script into its statements, as SQLite would run them one after the other."""

from __future__ import annotations

from typing import NamedTuple

from raftsql.sql.tokens import SEMICOLON, WORD, Token, tokenize


class Piece(NamedTuple):
    """A statement of a script, without its semicolon: `script[start:end]`."""

    text: str
    start: int
    end: int


def split(script: str) -> list[Piece]:
    """Cut a script into statements; between them lie only semicolons, spaces and comments."""
    pieces = []
    for tokens in statements(tokenize(script)):
        start, end = tokens[0].start, tokens[-1].end
        pieces.append(Piece(script[start:end], start, end))
    return pieces


def statements(tokens: list[Token]) -> list[list[Token]]:
    """Group tokens into statements, without the semicolons between them."""
    groups = []
    first = 0
    in_trigger = False
    for place, token in enumerate(tokens):
        if place == first:
            in_trigger = begins_trigger(tokens, place)
        if token.kind is not SEMICOLON:
            continue
        if in_trigger and not _ends_trigger(tokens, place):
            continue
        if place > first:
            groups.append(tokens[first:place])
        first = place + 1
    if first < len(tokens):
        groups.append(tokens[first:])
    return groups


def begins_trigger(tokens: list[Token], place: int) -> bool:
    """Whether a CREATE TRIGGER stands here: its body has semicolons of its own."""
    words = [t.key if t.kind is WORD else "" for t in tokens[place : place + 6]]
    if words and words[0] == "EXPLAIN":
        words = words[3:] if words[1:3] == ["QUERY", "PLAN"] else words[1:]
    if len(words) > 1 and words[0] == "CREATE" and words[1] in ("TEMP", "TEMPORARY"):
        del words[1]
    return words[:2] == ["CREATE", "TRIGGER"]


def _ends_trigger(tokens: list[Token], place: int) -> bool:
    """Whether the semicolon here follows `; END`, which closes a trigger's body."""
    return (
        place >= 2
        and tokens[place - 1].kind is WORD
        and tokens[place - 1].key == "END"
        and tokens[place - 2].kind is SEMICOLON
    )
