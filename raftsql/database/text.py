"""Text that is not valid UTF-8, and the one rule for how it comes back.

SQLite stores whatever bytes it is told are text: `CAST(x'ff41' AS TEXT)` is one byte of text that
no decoder accepts. A column of it must break nothing: no read, no RETURNING in apply, no checksum,
no function called with it. The rule, everywhere a client looks: **each undecodable sequence comes
back as one U+FFFD**, as in a web page; `CAST(column AS BLOB)` shows the bytes themselves. What is
stored is never changed, and what compares rows (checksum, dump) sees the exact bytes.

How: CPython decodes through the error handler named "strict" wherever C code asks for plain UTF-8,
and that name may be registered. `replacing` and `exact` set a context variable that only a failing
decode ever looks at, so valid text costs nothing; outside of them a bad byte raises
UnicodeDecodeError exactly as before, in every thread and library of the process.

Whoever steps a statement whose rows can't be asked for again (INSERT ... RETURNING) does so inside
`with replacing():` from the start, once for a whole batch: entering costs 0.3 µs. A plain read may
instead catch UnicodeDecodeError, enter, and read again.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

Handler = Callable[[UnicodeError], tuple[str | bytes, int]]

_rule: ContextVar[Handler | None] = ContextVar("how undecodable text is read", default=None)

_REPLACE: Handler = codecs.lookup_error("replace")
_ESCAPE: Handler = codecs.lookup_error("surrogateescape")


def _strict_unless_told(error: UnicodeError) -> tuple[str | bytes, int]:
    rule = _rule.get()
    if rule is None or not isinstance(error, UnicodeDecodeError):
        raise error
    return rule(error)


codecs.register_error("strict", _strict_unless_told)


def begin_replacing() -> Token[Any]:
    """From here on this thread or task reads undecodable text as U+FFFD; undo with `end`."""
    return _rule.set(_REPLACE)


def end(token: Token[Any]) -> None:
    """Back to what held before the call that gave `token`."""
    _rule.reset(token)


@contextmanager
def replacing() -> Iterator[None]:
    """Read undecodable text as U+FFFD: what clients see."""
    token = _rule.set(_REPLACE)
    try:
        yield
    finally:
        _rule.reset(token)


@contextmanager
def exact() -> Iterator[None]:
    """Read undecodable bytes as lone surrogates, from which `text_bytes` gives the bytes back."""
    token = _rule.set(_ESCAPE)
    try:
        yield
    finally:
        _rule.reset(token)


def text_bytes(text: str) -> bytes:
    """The very bytes SQLite holds for a text that was read inside `exact`."""
    return text.encode("utf-8", "surrogateescape")


def is_damaged(text: str) -> bool:
    """Whether a text read inside `exact` holds bytes that are not UTF-8."""
    return not text.isascii() and any("\udc80" <= letter <= "\udcff" for letter in text)
