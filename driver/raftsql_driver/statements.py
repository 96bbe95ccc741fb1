"""What the driver has to know of a statement before it sends it: very little.

Whether it surely only reads (then it needs no protection against happening twice), whether it
controls a transaction or a setting that lives in the connection, and whether it counts rows. All
else is the server's to judge. Found by the first keyword, with comments skipped, and cached.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from functools import lru_cache
from typing import Final, NamedTuple

from raftsql_driver.errors import ProgrammingError
from raftsql_proto.frames import Settings


class Control(Enum):
    """A statement that the connection itself understands."""

    NONE = auto()
    BEGIN = auto()
    COMMIT = auto()
    ROLLBACK = auto()
    SAVEPOINT = auto()
    RELEASE = auto()
    ROLLBACK_TO = auto()
    SETTING = auto()
    """PRAGMA foreign_keys and its like: part of what a write means, sent with each."""


class Text(NamedTuple):
    """A statement as the driver sees it."""

    keyword: str
    """The first word in capitals, or the sign that stands in its place; empty where there is no
    statement at all."""
    reads: bool
    """Surely changes nothing, and so may be sent again freely."""
    counts: bool
    """`rowcount` speaks of it."""
    inserts: bool
    """`lastrowid` speaks of it."""
    control: Control = Control.NONE
    argument: str = ""
    """The kind of BEGIN, a savepoint's name, or a setting's name."""
    value: str | None = None
    """What a setting is set to; None when it is asked for."""


_BLANK: Final = r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?(?:\*/|\Z))"
_START: Final = re.compile(rf"(?:{_BLANK}|;)*([A-Za-z]*)", re.DOTALL)
_END: Final = rf"{_BLANK}*(?:;{_BLANK}*)*\Z"
_NAME: Final = r"""("(?:[^"]|"")*"|'(?:[^']|'')*'|`(?:[^`]|``)*`|\[[^\]]*\]|[^\s;"'`\[(=]+)"""


def _pattern(text: str) -> re.Pattern[str]:
    body = text.replace(" ", f"{_BLANK}+").replace("~", f"{_BLANK}*")
    return re.compile(body + _END, re.IGNORECASE | re.DOTALL)


_CONTROLS: Final = {
    "BEGIN": [
        (Control.BEGIN, _pattern(r"BEGIN(?: (DEFERRED|IMMEDIATE|EXCLUSIVE))?(?: TRANSACTION)?"))
    ],
    "COMMIT": [(Control.COMMIT, _pattern(r"COMMIT(?: TRANSACTION)?()"))],
    "END": [(Control.COMMIT, _pattern(r"END(?: TRANSACTION)?()"))],
    "ROLLBACK": [
        (Control.ROLLBACK, _pattern(r"ROLLBACK(?: TRANSACTION)?()")),
        (
            Control.ROLLBACK_TO,
            _pattern(rf"ROLLBACK(?: TRANSACTION)? TO(?: SAVEPOINT)?~{_NAME}"),
        ),
    ],
    "SAVEPOINT": [(Control.SAVEPOINT, _pattern(rf"SAVEPOINT~{_NAME}"))],
    "RELEASE": [(Control.RELEASE, _pattern(rf"RELEASE(?: SAVEPOINT)?~{_NAME}"))],
}
_PRAGMA: Final = _pattern(rf"PRAGMA (?:main~\.~)?{_NAME}~(?:=~([^\s;()]+)|\(~([^()]*?)~\))?")
_READING: Final = frozenset({"SELECT", "VALUES", "EXPLAIN"})
_COUNTING: Final = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"})
_INSERTING: Final = frozenset({"INSERT", "REPLACE", "WITH"})
_OPAQUE: Final = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|/\*.*?(?:\*/|\Z)""",
    re.DOTALL,
)
"""What words stand in without being keywords: strings, quoted names, comments."""
_CHANGING: Final = re.compile(r"\b(?:INSERT|UPDATE|DELETE|REPLACE(?!\s*\())\b", re.IGNORECASE)
_ASKING_PRAGMAS: Final = frozenset(
    {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo"}
    | {"foreign_key_list", "foreign_key_check", "integrity_check", "quick_check"}
)
"""PRAGMAs whose argument names what is asked about, and sets nothing."""

SETTINGS: Final = {
    "foreign_keys": Settings.FOREIGN_KEYS,
    "defer_foreign_keys": Settings.DEFER_FOREIGN_KEYS,
    "recursive_triggers": Settings.RECURSIVE_TRIGGERS,
}
_ON: Final = frozenset({"on", "yes", "true"})
_NUMBER: Final = re.compile(r"\+?0*(\d{1,9})(?!\d)")


REMEMBERED_MAX: Final = 4_000
"""Characters of a statement that is remembered: long ones are seldom said twice, and thousands of
them would fill any memory."""


def look_at(sql: str) -> Text:
    """What the driver has to know of this statement."""
    return _remembered(sql) if len(sql) <= REMEMBERED_MAX else _look_at(sql)


def _look_at(sql: str) -> Text:
    start = _START.match(sql)
    assert start is not None, "the pattern matches the empty text too"
    body = sql[start.start(1) :]
    keyword = start[1].upper() or body[:1]
    if keyword == "PRAGMA":
        return _pragma(body)
    for control, pattern in _CONTROLS.get(keyword, ()):
        if match := pattern.match(body):
            return Text(keyword, False, False, False, control, _unquoted(match[1] or ""))
    if keyword == "WITH" and not _CHANGING.search(_OPAQUE.sub(" ", body)):
        return Text(keyword, reads=True, counts=False, inserts=False)
    return Text(keyword, keyword in _READING, keyword in _COUNTING, keyword in _INSERTING)


_remembered: Final = lru_cache(maxsize=2048)(_look_at)


def _pragma(body: str) -> Text:
    match = _PRAGMA.match(body)
    if match is None:
        return Text("PRAGMA", False, False, False)
    name = _unquoted(match[1]).lower()
    value = match[2] if match[2] is not None else match[3]
    if name in SETTINGS:
        value = None if value is None else _unquoted(value).lower()
        return Text("PRAGMA", True, False, False, Control.SETTING, name, value)
    return Text("PRAGMA", value is None or name in _ASKING_PRAGMAS, False, False)


def _unquoted(name: str) -> str:
    if name[:1] in ('"', "'", "`"):
        return name[1:-1].replace(name[0] * 2, name[0])
    return name[1:-1] if name[:1] == "[" else name


def changed(settings: int, name: str, value: str) -> int:
    """The settings after a PRAGMA; as SQLite has it, numbers but 0 mean on, unknown words off."""
    bit = SETTINGS[name]
    number = _NUMBER.match(value)
    is_on = int(number[1]) & 0xFF != 0 if number else value in _ON
    return settings | bit if is_on else settings & ~bit


_SPLITTING: Final = re.compile(
    r"""'[^']*(?:'|\Z)|"[^"]*(?:"|\Z)|`[^`]*(?:`|\Z)|\[[^\]]*(?:\]|\Z)"""
    r"""|--[^\n]*|/\*.*?(?:\*/|\Z)|;""",
    re.DOTALL,
)
"""Semicolons, and what they may stand in without ending anything. A long text with thousands of
them would be read as often, if SQLite were asked at each."""


def split(script: str) -> list[str]:
    """The statements of a script; what is not complete at its end counts as one."""
    from sqlite3 import complete_statement

    statements, start = [], 0
    for token in _SPLITTING.finditer(script):
        if token[0] == ";":
            piece = script[start : token.end()]
            if complete_statement(piece):
                statements.append(piece.strip())
                start = token.end()
    statements.append(script[start:].strip())
    if any("\0" in statement for statement in statements):
        raise ProgrammingError("the script holds a NUL character")
    return [statement for statement in statements if look_at(statement).keyword]
