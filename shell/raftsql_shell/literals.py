"""Values and names as SQL writes them."""

from __future__ import annotations

import re
from typing import Any, Final

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_HEX: Final = re.compile(r"[xX]'((?:[0-9A-Fa-f]{2})*)'\Z")
_INTEGER: Final = re.compile(r"[+-]?\d{1,19}\Z")
_REAL: Final = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][+-]?\d+)?\Z")


def literal(value: Any) -> str:
    """A value that SQL reads back as exactly the same."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        if "\0" in value:  # SQL text ends at a NUL.
            return f"CAST(x'{value.encode().hex()}' AS TEXT)"
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, float):
        return repr(value).replace("inf", "9.0e999")
    return str(value)


def name(text: str, keywords: frozenset[str] = frozenset()) -> str:
    """A name of a table or column, in quotes where it needs them."""
    if _PLAIN_NAME.match(text) and text.upper() not in keywords:
        return text
    return '"' + text.replace('"', '""') + '"'


def value(text: str) -> Any:
    """What somebody means who writes a parameter: a number, NULL, a quoted text, or the text."""
    if text.upper() == "NULL":
        return None
    if _INTEGER.match(text) and -(2**63) <= int(text) < 2**63:
        return int(text)
    if _REAL.match(text):
        return float(text)
    if match := _HEX.match(text):
        return bytes.fromhex(match[1])
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    return text
