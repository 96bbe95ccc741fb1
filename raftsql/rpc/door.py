"""The door: where a client's request becomes something the replica understands, or is refused.

Here the body is decoded once and its values checked, and the text gets its plan: who runs it, and
whether it may. What passes is a Write, a Read or a step of a transaction, whose body is the
client's own bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from raftsql.sql import classify, determinism
from raftsql.sql.classify import StatementKind, Verb
from raftsql.sql.commands import (
    Batch,
    CommandKind,
    Failed,
    Many,
    Refusal,
    Settings,
    Statement,
    encode,
)
from raftsql.sql.plans import Plan, Plans
from raftsql.sql.split import split
from raftsql.sql.values import BadValue, check_many, check_script, check_statement
from raftsql.sql.verdict import Mode, Refused
from raftsql_proto.frames import Run, Work

T = TypeVar("T")


@dataclass(slots=True)
class Ask:
    """A request that may go on: what it is, and its statements."""

    kind: StatementKind
    command: CommandKind
    body: bytes
    statements: list[Statement] | list[Batch]
    plan: Plan
    """Of a script: that of an empty text, since its statements have one each."""


SYNTAX_ERROR = 1
"""SQLite's code for it, SQLITE_ERROR."""
BODY_BYTES_MAX = 64 << 20
"""What one request may add to the log: nodes send an entry to each other in one message."""
TEXT_CHARACTERS_MAX = 4 << 20
"""The longest statement. Looking at one takes a second for 5 million characters."""
SCRIPT_CHARACTERS_MAX = 16 << 20
"""All statements of a script."""
LONG_BYTES = 64 << 10
"""A request or text longer than this is looked at beside the event loop, so that nobody waits."""


class Door:
    """Decides about requests; remembers plans."""

    def __init__(self, plans: Plans) -> None:
        """One for all clients of a node."""
        self.plans = plans
        self._other_plans: Plans | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="door")

    async def beside(self, look: Callable[[], T]) -> T:
        """Do what takes long in a thread, one at a time."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, look)

    def plan(self, sql: str, mode: Mode) -> Plan:
        """What this server, or one in the other mode, makes of a text. Raises BadValue."""
        _check_length(len(sql), TEXT_CHARACTERS_MAX, "statement")
        if mode is self.plans.mode:
            return self.plans.get(sql)
        if self._other_plans is None:
            self._other_plans = Plans(mode)
        return self._other_plans.get(sql)

    def close(self) -> None:
        """Look at nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def admit(self, run: Run) -> Ask | Failed:
        """What the request is; a Failed is its answer. Raises BadValue."""
        if len(run.body) > BODY_BYTES_MAX:
            raise BadValue(
                f"the request holds {len(run.body)} bytes; at most {BODY_BYTES_MAX} are taken: "
                "send the rows in several"
            )
        if run.work == Work.EXECUTE:
            statement = check_statement(run.body)
            return self._one(run.body, CommandKind.EXECUTE, [statement], statement.sql)
        if run.work == Work.MANY:
            many = check_many(run.body)
            return self._one(run.body, CommandKind.MANY, _rows_of(many, run.body), many.sql)
        if run.work == Work.SCRIPT:
            return self._script(check_script(run.body))
        raise BadValue(f"work of kind {run.work} is not known to this server; it may be older")

    def _one(
        self, body: bytes, command: CommandKind, statements: list[Statement] | list[Batch], sql: str
    ) -> Ask | Failed:
        _check_length(len(sql), TEXT_CHARACTERS_MAX, "statement")
        plan = self.plans.get(sql)
        if plan.kind is StatementKind.REFUSED:
            return refusal(plan)
        if command is CommandKind.MANY and plan.kind in _NEVER_MANY:
            return _failed(
                "executemany runs INSERT, UPDATE, DELETE or REPLACE; use execute to read"
            )
        return Ask(plan.kind, command, body, statements, plan)

    def _script(self, script: list[Statement]) -> Ask | Failed:
        """Split, and leave out what asks for a transaction: the whole script is one already."""
        statements: list[Statement] = []
        _check_length(sum(len(given.sql) for given in script), SCRIPT_CHARACTERS_MAX, "script")
        for given in script:
            for piece in split(given.sql):
                _check_length(len(piece.text), TEXT_CHARACTERS_MAX, "statement")
                plan = self.plans.get(piece.text)
                if plan.kind is StatementKind.REFUSED:
                    return refusal(plan)
                if plan.control is not None and plan.control.verb in _WHOLE:
                    continue
                if plan.kind is StatementKind.TRANSACTION:
                    return _failed(
                        f"{piece.text.split()[0].upper()} can't be part of a script: a script "
                        "happens as a whole. Use a transaction instead"
                    )
                if plan.kind in (StatementKind.EMPTY, StatementKind.SETTING):
                    continue
                statements.append(Statement(piece.text, given.parameters))
        body = encode(statements)
        return Ask(StatementKind.WRITE, CommandKind.SCRIPT, body, statements, self.plans.get(""))


def _check_length(characters: int, most: int, what: str) -> None:
    if characters > most:
        raise BadValue(
            f"the {what} has {characters} characters of SQL; at most {most} are taken: pass large "
            "values as parameters"
        )


_NEVER_MANY = frozenset({StatementKind.READ, StatementKind.TRANSACTION})
_WHOLE = frozenset({Verb.BEGIN_DEFERRED, Verb.BEGIN_IMMEDIATE, Verb.BEGIN_EXCLUSIVE, Verb.COMMIT})


def _rows_of(many: Many, body: bytes) -> list[Batch]:
    return [Batch(many, body)] if many.rows else []


def refusal(plan: Plan) -> Failed:
    """The answer to a text that may not run."""
    verdict = plan.verdict
    if not isinstance(verdict, Refused):
        return Failed(Refusal.DETERMINISM, 0, plan.message)
    word = plan.text[verdict.position : verdict.position + verdict.length]
    match verdict.why:  # What SQLite can't read either is told in its words too.
        case determinism.NO_TOKEN | determinism.OPEN_QUOTE:
            words = f'unrecognized token: "{word}"'
        case classify.NOT_SQL:
            words = f'near "{word}": syntax error'
        case _:
            return Failed(Refusal.DETERMINISM, 0, plan.message, verdict.position)
    return Failed(Refusal.SQL, SYNTAX_ERROR, f"{words}. {plan.message}", verdict.position)


def _failed(message: str) -> Failed:
    return Failed(Refusal.SQL, 1, message)


_SETTINGS = [Settings(bits) for bits in range(8)]


def settings_of(run: Run) -> Settings:
    """The connection's settings, of which only the known ones count."""
    return _SETTINGS[run.settings & 7]
