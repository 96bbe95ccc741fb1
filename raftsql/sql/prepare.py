"""The seam to SQLite's own prepare: the judge of what a text alone can't show.

The room above this one implements `Prepare` with SQLite's authorizer, which sees the functions
inside views and triggers. This room only weighs what it reports.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from raftsql.sql.classify import StatementKind
from raftsql.sql.determinism import INTERNAL_PREFIX
from raftsql.sql.functions import (
    CHANCE_FUNCTIONS,
    CLOCK_WORDS,
    FORBIDDEN_FUNCTIONS,
    LOCAL_FUNCTIONS,
    PINNED_FUNCTIONS,
    PURE_FUNCTIONS,
    Reason,
)
from raftsql.sql.plans import Plan, plan
from raftsql.sql.tokens import ascii_capitals
from raftsql.sql.verdict import Call, Mode, Pinned, Pure, Refused, Verdict


class Prepared(NamedTuple):
    """What SQLite says of a statement it has prepared and not run."""

    is_readonly: bool
    """sqlite3_stmt_readonly: it changes no table."""
    functions: frozenset[str] = frozenset()
    """Every function the authorizer was asked about, also inside views and triggers."""
    tables: frozenset[str] = frozenset()
    """Every table read or written."""
    error: str | None = None
    """SQLite's message, when it could not prepare the statement."""
    error_position: int = -1
    """Where, in characters."""


class Prepare(Protocol):
    """Prepares a statement on a connection of the database, without running it."""

    def actions(self, text: str) -> Prepared:
        """What the statement would do; an error of SQL is reported, not raised."""
        ...


def examine(text: str, *, mode: Mode = Mode.PINNED, schema: Prepare | None = None) -> Verdict:
    """Judge a text, and ask SQLite too where a schema is at hand. Plans remember; this does not."""
    decided = plan(text, mode)
    if schema is None or isinstance(decided.verdict, Refused):
        return decided.verdict
    return confirm(decided, schema.actions(text), mode)


def confirm(plan: Plan, prepared: Prepared, mode: Mode) -> Verdict:
    """The plan's verdict after SQLite's own word; it can only become stricter."""
    if isinstance(plan.verdict, Refused):
        return plan.verdict
    length = len(plan.text)
    if prepared.error is not None:
        place = max(prepared.error_position, 0)
        return Refused("the statement", place, 1, prepared.error, "correct the SQL")
    if plan.kind is StatementKind.READ and not prepared.is_readonly:
        why = "it reads as a query, and SQLite would write"
        return Refused("the statement", 0, length, why, "write an INSERT, UPDATE or DELETE")
    for table in sorted(prepared.tables):
        if ascii_capitals(table).startswith(INTERNAL_PREFIX):
            why = "it is a table of raftsql's own"
            return Refused(table, 0, length, why, "leave it to the node")
    return _confirm_functions(plan, prepared, mode)


def _confirm_functions(plan: Plan, prepared: Prepared, mode: Mode) -> Verdict:
    is_logged = plan.kind is not StatementKind.READ
    seen = sorted(ascii_capitals(function) for function in prepared.functions)
    for function in seen:
        reason = _reason(function, is_logged)
        if reason is not None:
            what = f"{function.lower()}(), called by the statement or by what it fires,"
            return Refused(what, 0, len(plan.text), reason.why, reason.instead)
    if isinstance(plan.verdict, Pinned):
        return plan.verdict
    hidden = tuple(Call(f, 0) for f in seen if f in CHANCE_FUNCTIONS or f in CLOCK_WORDS)
    if not hidden:
        return Pure()
    if mode is Mode.STRICT and is_logged:
        why = "it depends on chance or clock, and this cluster runs in strict mode"
        what = f"{hidden[0].name.lower()}, hidden in a view or a trigger,"
        return Refused(what, 0, len(plan.text), why, "change the view or the trigger")
    return Pinned(hidden)


def _reason(function: str, is_logged: bool) -> Reason | None:
    if function in PURE_FUNCTIONS or function in PINNED_FUNCTIONS:
        return None
    if function in FORBIDDEN_FUNCTIONS:
        return FORBIDDEN_FUNCTIONS[function]
    if function in LOCAL_FUNCTIONS:
        return LOCAL_FUNCTIONS[function] if is_logged else None
    return Reason("nobody has vouched for it yet", "use a function that docs/sql-refused.md names")
