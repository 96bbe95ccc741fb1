"""What the cluster thinks of a text before it runs: each statement's verdict, and its plan."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import msgspec
from starlette.responses import Response

from raftsql.server.console import cells
from raftsql.server.console.guarding import Answer, Asked
from raftsql.server.console.problems import Problem, of_error
from raftsql.server.console.queries import LONG_CHARACTERS
from raftsql.sql.classify import StatementKind
from raftsql.sql.plans import Plan, plan
from raftsql.sql.split import split
from raftsql.sql.tokens import TokenKind, tokenize
from raftsql.sql.verdict import Mode, Pinned, Pure, Refused
from raftsql_driver.errors import Error

STATEMENTS_MAX: Final = 500
CHARACTERS_MAX: Final = 512 << 10
"""Of a text that is judged while somebody types; a longer one is judged when it runs."""
PLAN_ROWS_MAX: Final = 5_000
PLAN_SECONDS: Final = 10.0

KINDS: Final = {StatementKind.DDL: "schema"}
PINNED: Final = "clock and chance are decided once and travel with the statement to every node"


class CheckAsked(msgspec.Struct):
    """What to judge."""

    sql: str


class PlanAsked(msgspec.Struct):
    """What to explain."""

    sql: str
    parameters: list[Any] | dict[str, Any] | None = None


async def check(asked: Asked) -> Response:
    """The verdict on each statement, with the words that it is about."""
    sql, mode = asked.body.sql, Mode(asked.console.host.settings.mode)
    if len(sql) > CHARACTERS_MAX:
        raise Problem(413, "too_large", "the text is too long to be judged before it runs")
    look = partial(verdicts, sql, mode)
    found = await asked.console.beside(look) if len(sql) > LONG_CHARACTERS else look()
    return Answer({"statements": found})


def verdicts(sql: str, mode: Mode) -> list[dict[str, Any]]:
    """Each statement's, in order."""
    found = []
    for piece in split(sql)[:STATEMENTS_MAX]:
        decided = plan(piece.text, mode)
        found.append(
            {
                "start": piece.start,
                "end": piece.end,
                "kind": KINDS.get(decided.kind, decided.kind.value),
                "verdict": _name(decided),
                "words": _words(decided, piece.start),
            }
        )
    return found


def _name(decided: Plan) -> str:
    match decided.verdict:
        case Pure():
            return "pure"
        case Pinned():
            return "pinned"
        case Refused():
            return "refused"


def _words(decided: Plan, start: int) -> list[dict[str, Any]]:
    match decided.verdict:
        case Pinned(calls):
            places = [(c.position, len(c.name), PINNED, "") for c in calls]
        case Refused(_, position, length, why, instead):
            places = [(position, length, why, instead)]
        case _:
            places = []
    return [
        {
            "start": start + position,
            "end": start + position + length,
            "text": decided.text[position : position + length][:200],
            "why": why,
            "instead": instead,
        }
        for position, length, why, instead in places
    ]


async def explain(asked: Asked) -> Response:
    """How the node would run a statement: SQLite's plan, as a tree."""
    sql = asked.body.sql
    if len(sql) > CHARACTERS_MAX:
        raise Problem(413, "too_large", "the text is too long to be explained")
    pieces = split(sql)
    if len(pieces) != 1:
        raise Problem(400, "bad_request", "one statement is explained at a time")
    piece, before = pieces[0], "EXPLAIN QUERY PLAN "
    given = cells.parameters(asked.body.parameters)
    if not given:
        given = placeholders(piece.text)
    connection = asked.session.connection()
    try:
        cursor = await connection.execute(
            before + piece.text, given, consistency="stale", timeout=PLAN_SECONDS
        )
        rows = await cursor.fetchmany(PLAN_ROWS_MAX)
    except Error as error:
        if error.position >= 0:
            error.position -= len(before)
        raise of_error(error, piece.text, piece.start) from error
    finally:
        await connection.close()
    return Answer({"nodes": [{"id": row[0], "parent": row[1], "detail": row[3]} for row in rows]})


def placeholders(sql: str) -> list[Any] | dict[str, Any] | None:
    """NULL for each parameter, so that a plan can be had before anybody has values for them."""
    names = [t.key for t in tokenize(sql) if t.kind is TokenKind.VARIABLE]
    numbers = [int(name[1:8]) for name in names if name[1:].isdecimal()]  # Too high in any case.
    if any(not (name == "?" or name[1:].isdecimal()) for name in names):
        return {name[1:]: None for name in names}
    count = max([*numbers, len(names)], default=0)
    return [None] * count if 0 < count <= 32_766 else None
