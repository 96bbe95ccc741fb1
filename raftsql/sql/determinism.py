"""Judge whether a statement gives the same rows on every node, before it may enter the log.

The judge reads tokens, so it has an answer without a schema. It takes the safe side: what may
read the clock is pinned, which costs nothing, because apply pins the environment of every
command anyway. What no environment can pin is refused, with the place, the reason and what to
write instead. What a token can't show (a function hidden in a view or a trigger of a restored
file) SQLite's authorizer sees, on every node alike, when the command is applied.
"""

from __future__ import annotations

import re
from typing import Final

from raftsql.sql.classify import Class, StatementKind, classify, refusal
from raftsql.sql.functions import (
    CLOCK_FUNCTIONS,
    CLOCK_WORDS,
    FORBIDDEN_FUNCTIONS,
    FORBIDDEN_MODULES,
    LOCAL_FUNCTIONS,
    LOCAL_MODULES,
    PINNED_FUNCTIONS,
    PURE_FUNCTIONS,
    PURE_MODULES,
    Reason,
)
from raftsql.sql.keywords import KEYWORDS
from raftsql.sql.names import Name, Role, closings, direct, names
from raftsql.sql.pragmas import (
    GET_PRAGMAS,
    LOCAL_PRAGMAS,
    REFUSED_PRAGMAS,
    SETTING_PRAGMAS,
)
from raftsql.sql.split import statements
from raftsql.sql.strict import order_refusal
from raftsql.sql.tokens import OPERATOR, STRING, WORD, Token, TokenKind, ascii_capitals, tokenize
from raftsql.sql.verdict import Call, Mode, Pinned, Pure, Refused, Verdict
from raftsql.sql.witness import reading_of

INTERNAL_PREFIX: Final = "SQLITE_RAFTSQL_"
"""Tables of ours in the user's file; nobody else may name them."""

NO_TOKEN: Final = "SQLite has no such token"
OPEN_QUOTE: Final = "the quote that begins here is never closed"
_INTERNAL: Final = Reason("it is a table of raftsql's own", "use `raftsql status`")
_DATE_LITERAL: Final = re.compile(r"[-+0-9.]")
"""How a time that is not 'now' begins; 'now', 'subsec' and what SQLite may add begin otherwise."""
_CATALOGUES: Final = ("SQLITE_SCHEMA", "SQLITE_MASTER")
_PURE: Final = Pure()
_LOGGED: Final = (StatementKind.WRITE, StatementKind.DDL)


def judge(text: str, mode: Mode) -> tuple[Class, Verdict]:
    """Classify and judge one statement, from its text alone."""
    tokens = tokenize(text)
    broken = _unreadable(text, tokens)
    groups = statements(tokens) if ";" in text else [tokens] if tokens else []
    if broken is None and len(groups) > 1:
        several = Reason("it holds more than one statement", "send them as a script")
        broken = refusal(groups[1], 0, "a second statement", several)
    if broken is not None:
        return Class(StatementKind.REFUSED, refused=broken), broken
    statement = groups[0] if groups else []
    found = classify(statement)
    if found.refused is not None:
        return found, found.refused
    verdict: Verdict | None = None
    if INTERNAL_PREFIX.lower() in text.lower():
        verdict = _internal_name(statement)
    verdict = verdict or _verdict(statement, found.kind, mode)
    if mode is Mode.STRICT and found.kind is StatementKind.WRITE:
        verdict = _cross_examined(text, statement, verdict)
    if isinstance(verdict, Refused):
        return Class(StatementKind.REFUSED, refused=verdict), verdict
    return found, verdict


def _unreadable(text: str, tokens: list[Token]) -> Refused | None:
    """What keeps SQLite from reading the text at all."""
    cut = text.find("\0")
    if cut >= 0:
        why = "SQLite ends a statement at a NUL character and ignores the rest"
        return Refused("a NUL character", cut, 1, why, "pass it inside a parameter")
    surrogate = None if text.isascii() else re.search("[\ud800-\udfff]", text)
    if surrogate is not None:
        why = "half a surrogate pair is no character and has no UTF-8 form"
        return Refused("a lone surrogate", surrogate.start(), 1, why, "write whole characters")
    for token in tokens:
        if token.kind is TokenKind.ILLEGAL:
            return _illegal(token)
    return None


def _illegal(token: Token) -> Refused:
    length = token.end - token.start
    if token.key[0] in "'\"`[":
        return Refused("an open quote", token.start, length, OPEN_QUOTE, "close it")
    what = f"{token.key[:20]!r}"
    return Refused(what, token.start, length, NO_TOKEN, "correct the spelling")


def _verdict(tokens: list[Token], kind: StatementKind, mode: Mode) -> Verdict:
    if kind is StatementKind.READ:
        return _scan(tokens, is_logged=False)
    if kind not in _LOGGED:
        return _PURE
    verdict = _module_refusal(tokens) or _page_numbers(tokens) or _scan(tokens, is_logged=True)
    if mode is Mode.PINNED or isinstance(verdict, Refused):
        return verdict
    if isinstance(verdict, Pinned):
        return _strict_refusal(verdict.calls[0])
    return order_refusal(tokens) or verdict


def _cross_examined(text: str, tokens: list[Token], verdict: Verdict) -> Verdict:
    """Strict mode's second opinion on what tokens found pure."""
    seen = reading_of(text) if isinstance(verdict, Pure) else None
    if seen is None or not (seen.calls or seen.has_arbitrary_limit):
        return verdict
    what = ", ".join(sorted(seen.calls)).lower() or "LIMIT"
    reason = Reason(
        "a second reading finds that it depends on clock, chance or an order unsaid, and this"
        " cluster runs in strict mode",
        "write it more plainly",
    )
    return refusal(tokens, 0, what, reason)


def _strict_refusal(call: Call) -> Refused:
    return Refused(
        call.name.lower(),
        call.position,
        len(call.name),
        "it depends on clock or chance, and this cluster runs in strict mode",
        "compute the value in the program and pass it as a parameter",
    )


def _scan(tokens: list[Token], *, is_logged: bool) -> Verdict:
    """Judge each name of a statement; the first refusal ends it."""
    calls = []
    ends = closings(tokens)
    for name in names(tokens, ends):
        token = tokens[name.place]
        if name.role is not Role.DOUBT:
            refused = _refuse_name(token, name, is_logged)
            if refused is not None:
                return refused
        if token.key in PINNED_FUNCTIONS and _is_pinned(tokens, ends, name):
            calls.append(Call(token.key, token.start))
    return Pinned(tuple(calls)) if calls else _PURE


def _refuse_name(token: Token, name: Name, is_logged: bool) -> Refused | None:
    if name.role is Role.CALL:
        reason = _function_reason(token, name, is_logged)
        what = f"{token.key.lower()}()"
    else:
        key = ascii_capitals(token.key)
        what = key.lower()
        if key.startswith(INTERNAL_PREFIX):
            reason = _INTERNAL
        else:
            reason = _table_reason(key, is_logged) if name.role is Role.TABLE else None
    return None if reason is None else refusal([token], 0, what, reason)


def _internal_name(tokens: list[Token]) -> Refused | None:
    """Refuse a name of ours wherever it stands; in a string it is a name only by its role."""
    for place, token in enumerate(tokens):
        if token.kind is not STRING and token.key.startswith(INTERNAL_PREFIX):
            return refusal(tokens, place, token.key.lower(), _INTERNAL)
    return None


def _function_reason(token: Token, name: Name, is_logged: bool) -> Reason | None:
    key = token.key
    if key in PURE_FUNCTIONS or key in PINNED_FUNCTIONS:
        return None
    if key in FORBIDDEN_FUNCTIONS:
        return FORBIDDEN_FUNCTIONS[key]
    if key in LOCAL_FUNCTIONS:
        return LOCAL_FUNCTIONS[key] if is_logged else None
    is_keyword = token.kind is WORD and key in KEYWORDS
    if is_keyword or not name.is_certain:
        return None
    return Reason("SQLite has no such function", "use a built-in one, or compute it in the program")


def _table_reason(key: str, is_logged: bool) -> Reason | None:
    if key in FORBIDDEN_MODULES:
        return FORBIDDEN_MODULES[key]
    if key in LOCAL_MODULES:
        return LOCAL_MODULES[key] if is_logged else None
    pragma = key.removeprefix("PRAGMA_")
    if pragma == key:
        return None
    if pragma in REFUSED_PRAGMAS:
        return REFUSED_PRAGMAS[pragma]
    if is_logged and (
        pragma in LOCAL_PRAGMAS or pragma in GET_PRAGMAS or pragma in SETTING_PRAGMAS
    ):
        return Reason(
            "it tells about the node that runs it, and nodes differ",
            "ask for it with a SELECT of its own",
        )
    return None


def _is_pinned(tokens: list[Token], ends: dict[int, int], name: Name) -> bool:
    if name.role is Role.TARGET:
        return False
    token = tokens[name.place]
    if token.key in CLOCK_WORDS:
        return token.kind is WORD or name.role is not Role.TABLE
    if name.place + 1 not in ends:
        return False
    return token.key not in CLOCK_FUNCTIONS or _reads_clock(tokens, ends, name.place)


def _reads_clock(tokens: list[Token], ends: dict[int, int], place: int) -> bool:
    """Whether a date function may be asked for the present time."""
    found: list[list[Token]] = [[]]
    for inside in direct(tokens, ends, place + 1):
        if tokens[inside].key == "," and tokens[inside].kind is OPERATOR:
            found.append([])
        else:
            found[-1].append(tokens[inside])
    first = CLOCK_FUNCTIONS[tokens[place].key]
    times = found if tokens[place].key == "TIMEDIFF" else found[first : first + 1]
    return not times or not all(_is_date_literal(argument) for argument in times)


def _is_date_literal(argument: list[Token]) -> bool:
    if len(argument) != 1:
        return False
    token = argument[0]
    if token.kind is TokenKind.NUMBER:
        return True
    return token.kind is STRING and _DATE_LITERAL.match(token.key) is not None


def _module_refusal(tokens: list[Token]) -> Refused | None:
    """Judge the module of CREATE VIRTUAL TABLE and what its arguments name."""
    if [token.key for token in tokens[:3]] != ["CREATE", "VIRTUAL", "TABLE"]:
        return None
    for place in range(3, len(tokens) - 1):
        if tokens[place].key == "USING" and tokens[place].kind is WORD:
            return _judge_module(tokens, place + 1)
    return None


def _judge_module(tokens: list[Token], place: int) -> Refused | None:
    module = ascii_capitals(tokens[place].key)
    if module not in PURE_MODULES:
        reason = FORBIDDEN_MODULES.get(module) or LOCAL_MODULES.get(module)
        unknown = Reason(
            "it is not among the modules known to be the same on every node",
            "use one of " + ", ".join(sorted(PURE_MODULES)).lower(),
        )
        return refusal(tokens, place, f"the module {module.lower()[:40]}", reason or unknown)
    for argument in range(place + 1, len(tokens)):
        if INTERNAL_PREFIX in ascii_capitals(tokens[argument].key):
            return refusal(tokens, argument, "a table of raftsql", _INTERNAL)
    return None


def _page_numbers(tokens: list[Token]) -> Refused | None:
    """Refuse to store page numbers: the same tables may lie on other pages of another node."""
    if not any(token.key in _CATALOGUES for token in tokens):
        return None
    for place, token in enumerate(tokens):
        if token.key == "ROOTPAGE" or (token.key == "*" and _is_every_column(tokens[place - 1])):
            reason = Reason("page numbers differ from node to node", "name the columns you need")
            return refusal(tokens, place, "rootpage", reason)
    return None


def _is_every_column(before: Token) -> bool:
    """Whether a star after this token stands for all columns, and does not multiply."""
    if before.kind is WORD:
        return before.key in ("SELECT", "DISTINCT", "ALL")
    return before.kind is OPERATOR and before.key in (",", ".")
