r"""Cut a text into SQLite's tokens, exactly as SQLite's own tokenizer does.

A hidden function call is a diverged replica, so this has to agree with SQLite to the character:
what is a comment (an unterminated one runs to the end of the text), what is a name (every
character above U+007F is a letter, also a no-break space), what is a space (the byte order mark
is one), what `$a(b)` is (one variable). Positions are offsets in characters.

sqlglot's tokenizer is not used for this: it takes the rest of a statement after some words
(EXPLAIN, CALL, SHOW) for one string, U+FEFF for a letter and refuses an open comment; see
docs/decisions/0020-own-tokenizer.md.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final, NamedTuple


class TokenKind(IntEnum):
    """What a token is to SQLite's grammar."""

    WORD = 1
    """A bare name or a keyword."""
    QUOTED = 2
    """A name in "double quotes", `backticks` or [brackets]. It is never a keyword."""
    STRING = 3
    BLOB = 4
    NUMBER = 5
    VARIABLE = 6
    OPERATOR = 7
    """An operator, a comma, a dot or a parenthesis."""
    SEMICOLON = 8
    ILLEGAL = 9
    """No token of SQLite's: an open quote, a stray character."""


WORD: Final = TokenKind.WORD
QUOTED: Final = TokenKind.QUOTED
STRING: Final = TokenKind.STRING
OPERATOR: Final = TokenKind.OPERATOR
SEMICOLON: Final = TokenKind.SEMICOLON
"""The kinds that loops over tokens ask for, without the cost of looking them up in the class."""


class Token(NamedTuple):
    """One token of a text, and where it stands."""

    kind: TokenKind
    key: str
    """What to compare: names in ASCII capitals without their quotes, a string's content as it is,
    else the token's own text."""
    start: int
    end: int


# Every place of a text matches: spaces and comments, and then one token or the end. So a search
# never steps into the middle of a comment. The order of the alternatives is SQLite's: a word may
# begin with x, but x'00' is a blob.
_SPACE: Final = r"(?: [ \t\n\f\r][ \t\n\v\f\r]* | \ufeff | --[^\n]* | /\*(?=.)(?:.*?\*/|.*\Z) )*+"
_LETTER: Final = r"[A-Za-z0-9_$\x80-\U0010ffff]"
_LITERAL: Final = rf"""
    (?: [-+]?[0-9]++(?:\.[0-9]*+)?(?:[eE][+-]?[0-9]++)?(?![A-Za-z0-9_.$\x80-\U0010ffff])
      | '[^']*+(?:''[^']*+)*+' | [xX]'(?:[0-9a-fA-F][0-9a-fA-F])*+' | (?i:null)(?!{_LETTER})
      | \?(?![0-9])
    )"""
_ROW: Final = rf"\( {_SPACE} {_LITERAL} {_SPACE} (?: , {_SPACE} {_LITERAL} {_SPACE} )*+ \)"
_PATTERN: Final = re.compile(
    rf"""
    {_SPACE}
    (?:
      ( [xX]'[^']*'? )
    | ( (?i:values)(?!{_LETTER}) ) (?: {_SPACE} {_ROW} (?: {_SPACE} , {_SPACE} {_ROW} )*+ )?
    | ( [A-Za-z_\x80-\U0010ffff]{_LETTER}* )
    | ( ->>? | \|\| | << | >> | <> | <= | >= | == | != | [-+*/%&|~<>=,()] | \.(?![0-9]) )
    | ( '[^']*+(?:''[^']*+)*+' )
    | ( "[^"]*+(?:""[^"]*+)*+" | `[^`]*+(?:``[^`]*+)*+` | \[[^\]]*+\] )
    | ( (?: 0[xX][0-9a-fA-F][0-9a-fA-F_]*
          | (?: [0-9][0-9_]*(?:\.[0-9_]*)? | \.[0-9][0-9_]* ) (?: [eE][+-]?[0-9][0-9_]* )?
        )
        {_LETTER}* )
    | ( \?[0-9]*
      | [$@:\#](?:::)*{_LETTER} (?: {_LETTER} | :: )*+ (?: \([^)\t-\r\ ]*\)? )?
      | [$@:\#](?:::)* )
    | ( ; )
    | ( ['"`\[].*\Z | . )
    | \Z
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_KINDS: Final = (
    None,
    TokenKind.BLOB,
    WORD,
    WORD,
    OPERATOR,
    STRING,
    QUOTED,
    TokenKind.NUMBER,
    TokenKind.VARIABLE,
    SEMICOLON,
    TokenKind.ILLEGAL,
)
"""The kind of each group of the pattern."""
_NUMBER: Final = re.compile(
    r"0[xX][0-9a-fA-F][0-9a-fA-F_]*|(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9][0-9_]*)?"
)
_BLOB: Final = re.compile(r"[xX]'(?:[0-9a-fA-F]{2})*'")


def tokenize(text: str) -> list[Token]:
    """Cut a text into its tokens, without spaces and comments. It never raises.

    Rows of mere literals behind VALUES belong to its token: nothing in them can be a name, and
    an INSERT of many of them would hold up a leader.
    """
    found = []
    for match in _PATTERN.finditer(text):
        group = match.lastindex
        if group is None:
            break
        start, end = match.start(group), match.end()
        key = match[group]
        kind = _KINDS[group]
        if kind is WORD:
            key = key.upper() if key.isascii() else ascii_capitals(key)
        elif kind is not OPERATOR:
            kind, key = _refined(kind, key)
        found.append(_new(Token, (kind, key, start, end)))
    return found


_new: Final = tuple.__new__
"""Half the price of Token(…), and a statement has dozens."""


def ascii_capitals(name: str) -> str:
    """The form in which SQLite compares names: only A to Z have two cases."""
    return name.upper() if name.isascii() else name.translate(_CAPITALS)


_CAPITALS: Final = {letter: letter - 32 for letter in range(ord("a"), ord("z") + 1)}


def _refined(kind: TokenKind | None, text: str) -> tuple[TokenKind, str]:
    """What the pattern leaves open: content without quotes, and what only looks like a token."""
    assert kind is not None, "every group of the pattern has a kind"
    if kind is STRING:
        return kind, text[1:-1].replace("''", "'")
    if kind is QUOTED:
        return kind, ascii_capitals(_unquoted(text))
    return (kind if _is_legal(kind, text) else TokenKind.ILLEGAL), text


def _unquoted(text: str) -> str:
    quote = text[0]
    return text[1:-1] if quote == "[" else text[1:-1].replace(quote * 2, quote)


def _is_legal(kind: TokenKind, text: str) -> bool:
    if kind is TokenKind.NUMBER:
        return _NUMBER.fullmatch(text) is not None
    if kind is TokenKind.BLOB:
        return _BLOB.fullmatch(text) is not None
    if kind is TokenKind.VARIABLE:
        if text[0] == "?":
            return True
        return text.strip("$@:#") != "" and ("(" not in text or text.endswith(")"))
    return True
