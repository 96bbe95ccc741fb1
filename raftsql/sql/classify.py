"""Say what kind of statement a text is, from its tokens alone.

The kind decides who runs it: a reader, the log, the session, or nobody. What SQLite calls
read-only is no guide: it says so of BEGIN, ATTACH and `PRAGMA foreign_keys = ON`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from raftsql.sql.commands import Settings
from raftsql.sql.functions import Reason
from raftsql.sql.pragmas import (
    GET_PRAGMAS,
    LOCAL_PRAGMAS,
    REFUSED_PRAGMAS,
    REFUSED_TO_SET,
    SCHEMA_PRAGMAS,
    SETTING_PRAGMAS,
    WRITE_PRAGMAS,
    boolean,
)
from raftsql.sql.tokens import OPERATOR, QUOTED, STRING, WORD, Token, ascii_capitals
from raftsql.sql.verdict import Refused

NOT_SQL: Final = "no SQL statement begins so"
"""Why a text is refused that is no statement at all: an error of syntax, not a rule of ours."""


class StatementKind(Enum):
    """Who runs a statement, and how."""

    READ = "read"
    """SELECT, VALUES, EXPLAIN, a PRAGMA that only tells: a reader runs it."""
    WRITE = "write"
    """INSERT, REPLACE, UPDATE, DELETE, and PRAGMA user_version = …: through the log."""
    DDL = "ddl"
    """CREATE, ALTER, DROP: through the log."""
    TRANSACTION = "transaction"
    """BEGIN, COMMIT, ROLLBACK, SAVEPOINT, RELEASE: the session's own."""
    SETTING = "setting"
    """A PRAGMA that is a setting of the session, asked for or given a value."""
    MAINTENANCE = "maintenance"
    """VACUUM, ANALYZE, REINDEX: through the log, never beside other statements."""
    REFUSED = "refused"
    EMPTY = "empty"
    """Nothing but spaces and comments."""


class Verb(Enum):
    """What a statement of transaction control does."""

    BEGIN_DEFERRED = "begin deferred"
    BEGIN_IMMEDIATE = "begin immediate"
    BEGIN_EXCLUSIVE = "begin exclusive"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    ROLLBACK_TO = "rollback to"
    SAVEPOINT = "savepoint"
    RELEASE = "release"


class TransactionControl(NamedTuple):
    """What to do with the transaction; `savepoint` is None where the verb takes no name."""

    verb: Verb
    savepoint: str | None = None


class SettingChange(NamedTuple):
    """A setting of the session: its new value, or None where it is only asked for."""

    setting: Settings
    value: bool | None


@dataclass(frozen=True, slots=True)
class Class:
    """A statement's kind and what else its first words tell."""

    kind: StatementKind
    control: TransactionControl | None = None
    setting: SettingChange | None = None
    refused: Refused | None = None
    """Set exactly when the kind is REFUSED."""


_EXPLAIN_NOTE: Final = Reason(
    "a PRAGMA may take effect even when it is only explained", "run it, or leave it out"
)
_DDL: Final = frozenset({"CREATE", "ALTER", "DROP"})
_WRITES: Final = frozenset({"INSERT", "REPLACE", "UPDATE", "DELETE"})
_MAINTENANCE: Final = frozenset({"VACUUM", "ANALYZE", "REINDEX"})
_TRANSACTION: Final = frozenset({"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"})


def classify(tokens: list[Token]) -> Class:
    """Say what one statement's tokens (without a semicolon at the end) are."""
    if not tokens:
        return Class(StatementKind.EMPTY)
    first = word(tokens, 0)
    if first == "SELECT" or first == "VALUES":
        return Class(StatementKind.READ)
    if first in _WRITES:
        return Class(StatementKind.WRITE)
    if first == "WITH":
        return _with(tokens)
    if first in _DDL:
        return _definition(tokens)
    if first in _TRANSACTION:
        return _control(tokens)
    if first == "PRAGMA":
        return _pragma(tokens)
    if first == "EXPLAIN":
        return _explain(tokens)
    if first in _MAINTENANCE:
        return _maintenance(tokens)
    return _stranger(tokens)


def word(tokens: list[Token], place: int) -> str:
    """The bare word at a place in capitals, or nothing."""
    if place >= len(tokens) or tokens[place].kind is not WORD:
        return ""
    return tokens[place].key


def main_verb(tokens: list[Token]) -> str:
    """The word that acts after a WITH list: SELECT, VALUES, INSERT, REPLACE, UPDATE or DELETE."""
    depth = 0
    for place, token in enumerate(tokens):
        if token.key == "(" and token.kind is OPERATOR:
            depth += 1
        elif token.key == ")" and token.kind is OPERATOR:
            depth -= 1
        elif depth == 0 and token.kind is WORD:
            if token.key in ("SELECT", "VALUES", "INSERT", "UPDATE", "DELETE"):
                return token.key
            if token.key == "REPLACE" and word(tokens, place + 1) == "INTO":
                return token.key
    return ""


def is_name(tokens: list[Token], place: int) -> bool:
    """Whether a name may stand at this place: a word, or anything in quotes."""
    return place < len(tokens) and tokens[place].kind in (
        WORD,
        QUOTED,
        STRING,
    )


def refusal(tokens: list[Token], place: int, what: str, reason: Reason) -> Refused:
    """A refusal that points at one token."""
    token = tokens[min(place, len(tokens) - 1)]
    return Refused(what, token.start, token.end - token.start, reason.why, reason.instead)


def _refused(tokens: list[Token], place: int, what: str, reason: Reason) -> Class:
    return Class(StatementKind.REFUSED, refused=refusal(tokens, place, what, reason))


def _with(tokens: list[Token]) -> Class:
    verb = main_verb(tokens)
    if verb in ("SELECT", "VALUES"):
        return Class(StatementKind.READ)
    if verb:
        return Class(StatementKind.WRITE)
    return _refused(
        tokens,
        0,
        "WITH",
        Reason(
            "no statement follows its list of tables",
            "end it with a SELECT, INSERT, UPDATE or DELETE",
        ),
    )


def _definition(tokens: list[Token]) -> Class:
    if word(tokens, 0) != "CREATE":
        return Class(StatementKind.DDL)
    temporary = Reason(
        "temporary objects live in one connection of one node, and no replica has them",
        "create it without TEMP, or use a WITH list",
    )
    if word(tokens, 1) in ("TEMP", "TEMPORARY"):
        return _refused(tokens, 1, f"CREATE {word(tokens, 1)}", temporary)
    place = 2 + (word(tokens, 1) in ("UNIQUE", "VIRTUAL"))
    if [word(tokens, place + n) for n in range(3)] == ["IF", "NOT", "EXISTS"]:
        place += 3
    qualified = place + 1 < len(tokens) and tokens[place + 1].key == "."
    if qualified and ascii_capitals(tokens[place].key) == "TEMP":
        return _refused(tokens, place, "the schema temp", temporary)
    return Class(StatementKind.DDL)


def _maintenance(tokens: list[Token]) -> Class:
    if word(tokens, 0) == "VACUUM":
        for place in (1, 2):
            if word(tokens, place) == "INTO":
                return _refused(
                    tokens,
                    place,
                    "VACUUM INTO",
                    Reason("it writes a file of this node alone", "run `raftsql backup FILE`"),
                )
    return Class(StatementKind.MAINTENANCE)


def _explain(tokens: list[Token]) -> Class:
    rest = tokens[1:]
    if word(rest, 0) == "QUERY" and word(rest, 1) == "PLAN":
        rest = rest[2:]
    if not rest or word(rest, 0) == "EXPLAIN":
        nothing = Reason("no statement follows it", "add one to explain")
        return _refused(tokens, 0, "EXPLAIN", nothing)
    inner = classify(rest)
    if inner.kind is StatementKind.REFUSED:
        return inner
    if word(rest, 0) == "PRAGMA":
        return _refused(rest, 0, "EXPLAIN PRAGMA", _EXPLAIN_NOTE)
    return Class(StatementKind.READ)


def _stranger(tokens: list[Token]) -> Class:
    first = word(tokens, 0)
    if first in ("ATTACH", "DETACH"):
        return _refused(
            tokens,
            0,
            first,
            Reason(
                "a second file belongs to one node, and no replica has it",
                "put the tables into this database",
            ),
        )
    shown = first if first.isascii() and 0 < len(first) <= 40 else "the statement"
    return _refused(
        tokens,
        0,
        shown,
        Reason(NOT_SQL, "begin with SELECT, INSERT, UPDATE, DELETE or CREATE"),
    )


def _control(tokens: list[Token]) -> Class:
    control = _parse_control(tokens)
    if control is None:
        return _refused(
            tokens,
            1,
            word(tokens, 0),
            Reason(
                "it does not read as transaction control",
                "write BEGIN, COMMIT, ROLLBACK [TO name], SAVEPOINT name or RELEASE name",
            ),
        )
    return Class(StatementKind.TRANSACTION, control=control)


def _parse_control(tokens: list[Token]) -> TransactionControl | None:
    first, place = word(tokens, 0), 1
    if first == "SAVEPOINT":
        return _named(Verb.SAVEPOINT, tokens, place)
    if first == "RELEASE":
        return _named(Verb.RELEASE, tokens, _after_savepoint(tokens, place))
    verb = {"COMMIT": Verb.COMMIT, "END": Verb.COMMIT, "ROLLBACK": Verb.ROLLBACK}.get(
        first, Verb.BEGIN_DEFERRED
    )
    if first == "BEGIN" and word(tokens, place) in ("DEFERRED", "IMMEDIATE", "EXCLUSIVE"):
        verb = Verb[f"BEGIN_{word(tokens, place)}"]
        place += 1
    if word(tokens, place) == "TRANSACTION":
        place += 1
        if is_name(tokens, place) and word(tokens, place) != "TO":
            place += 1
    if first == "ROLLBACK" and word(tokens, place) == "TO":
        return _named(Verb.ROLLBACK_TO, tokens, _after_savepoint(tokens, place + 1))
    return TransactionControl(verb) if place == len(tokens) else None


def _after_savepoint(tokens: list[Token], place: int) -> int:
    """Skip the optional word SAVEPOINT, unless it is itself the name."""
    return place + (word(tokens, place) == "SAVEPOINT" and is_name(tokens, place + 1))


def _named(verb: Verb, tokens: list[Token], place: int) -> TransactionControl | None:
    if place != len(tokens) - 1 or not is_name(tokens, place):
        return None
    return TransactionControl(verb, ascii_capitals(tokens[place].key))


def _pragma(tokens: list[Token]) -> Class:
    place = 1
    if len(tokens) > 3 and tokens[2].key == ".":
        place = 3
    if not is_name(tokens, place):
        return _refused(tokens, place, "PRAGMA", Reason("no name follows it", "write PRAGMA name"))
    name = ascii_capitals(tokens[place].key)
    value = _pragma_value(tokens, place + 1)
    what = f"PRAGMA {name.lower()}"
    if value is None and name in GET_PRAGMAS:
        return Class(StatementKind.READ)
    if name in SCHEMA_PRAGMAS or name in LOCAL_PRAGMAS:
        return Class(StatementKind.READ)
    if name in SETTING_PRAGMAS:
        return _setting(tokens, place, what, value)
    if name in WRITE_PRAGMAS:
        return Class(StatementKind.WRITE)
    if name in REFUSED_PRAGMAS:
        return _refused(tokens, place, what, REFUSED_PRAGMAS[name])
    if name in REFUSED_TO_SET:
        return _refused(tokens, place, f"setting {what}", REFUSED_TO_SET[name])
    shown = what if name.isascii() and len(name) <= 40 else "this PRAGMA"
    unknown = Reason("SQLite does not know it and would silently ignore it", "leave it out")
    return _refused(tokens, place, shown, unknown)


def _setting(tokens: list[Token], place: int, what: str, value: str | None) -> Class:
    setting = SETTING_PRAGMAS[ascii_capitals(tokens[place].key)]
    if value is None:
        return Class(StatementKind.SETTING, setting=SettingChange(setting, None))
    meant = boolean(value)
    if meant is None:
        vague = Reason("its value is neither on nor off", "write ON or OFF")
        return _refused(tokens, place + 2, what, vague)
    return Class(StatementKind.SETTING, setting=SettingChange(setting, meant))


def _pragma_value(tokens: list[Token], place: int) -> str | None:
    """The text of the value in `= value` or `(value)`, with its sign; None without a value."""
    if place >= len(tokens):
        return None
    if tokens[place].key == "(":
        closed = tokens[-1].key == ")"
        return "".join(token.key for token in tokens[place + 1 : len(tokens) - closed])
    return "".join(token.key for token in tokens[place + 1 :])
