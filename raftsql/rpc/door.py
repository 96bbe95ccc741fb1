"""The door: where a client's request becomes something the replica understands, or is refused.

Here the body is decoded once and its values checked, and the text gets its plan: who runs it, and
whether it may. What passes is a Write, a Read or a step of a transaction, whose body is the
client's own bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from raftsql.sql.classify import StatementKind, Verb
from raftsql.sql.commands import (
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
from raftsql.sql.verdict import Refused
from raftsql_proto.frames import Run, Work


@dataclass(slots=True)
class Ask:
    """A request that may go on: what it is, and its statements."""

    kind: StatementKind
    command: CommandKind
    body: bytes
    statements: list[Statement]
    plan: Plan


class Door:
    """Decides about requests; remembers plans."""

    def __init__(self, plans: Plans) -> None:
        """One for all clients of a node."""
        self.plans = plans

    def admit(self, run: Run) -> Ask | Failed:
        """What the request is; a Failed is its answer. Raises BadValue."""
        if run.work == Work.EXECUTE:
            statement = check_statement(run.body)
            return self._one(run.body, CommandKind.EXECUTE, [statement], statement.sql)
        if run.work == Work.MANY:
            many = check_many(run.body)
            return self._one(run.body, CommandKind.MANY, _spread(many), many.sql)
        if run.work == Work.SCRIPT:
            return self._script(check_script(run.body))
        raise BadValue(f"work of kind {run.work} is not known to this server; it may be older")

    def _one(
        self, body: bytes, command: CommandKind, statements: list[Statement], sql: str
    ) -> Ask | Failed:
        plan = self.plans.get(sql)
        if plan.kind is StatementKind.REFUSED:
            return refusal(plan)
        if command is CommandKind.MANY and plan.kind is StatementKind.READ:
            return _failed(
                "executemany runs INSERT, UPDATE, DELETE or REPLACE; use execute to read"
            )
        return Ask(plan.kind, command, body, statements, plan)

    def _script(self, script: list[Statement]) -> Ask | Failed:
        """Split, and leave out what asks for a transaction: the whole script is one already."""
        statements: list[Statement] = []
        plan = self.plans.get("")
        for given in script:
            for piece in split(given.sql):
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
        return Ask(StatementKind.WRITE, CommandKind.SCRIPT, body, statements, plan)


_WHOLE = frozenset({Verb.BEGIN_DEFERRED, Verb.BEGIN_IMMEDIATE, Verb.BEGIN_EXCLUSIVE, Verb.COMMIT})


def _spread(many: Many) -> list[Statement]:
    return [Statement(many.sql, row) for row in many.rows]


def refusal(plan: Plan) -> Failed:
    """The answer to a text that may not run."""
    verdict = plan.verdict
    position = verdict.position if isinstance(verdict, Refused) else -1
    return Failed(Refusal.DETERMINISM, 0, plan.message, position)


def _failed(message: str) -> Failed:
    return Failed(Refusal.SQL, 1, message)


def settings_of(run: Run) -> Settings:
    """The connection's settings, of which only the known ones count."""
    return Settings(run.settings & int(Settings(7)))
