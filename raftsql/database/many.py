"""One statement for many rows of parameters: a command of its own, or a step of a transaction.

Both run the rows alike, as quickly as the statement allows. They differ in what a row that fails
leaves behind: of a command nothing, and of a step what plain SQLite leaves inside a transaction,
which is the rows before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import length_hint
from typing import Any

from raftsql.database.rowids import ROWID_MAX, TOO_HIGH
from raftsql.database.statements import COMMAND_ERRORS, Plan, Statements, Undo
from raftsql.sql.commands import Done, Many


def run_command(statements: Statements, body: Many) -> Done:
    """Run the rows of a command; `changes` is their sum, and RETURNING gives all their rows."""
    if not body.rows:
        return Done(0, 0)
    rows = iter(body.rows)
    first = statements.command(body.sql, next(rows))
    plan = statements.plans.get(body.sql)
    if plan is None or not plan.plain:
        return _slowly(statements, body.sql, rows, first)
    if _is_quick(statements, body, plan):
        changed = first.changes + _quickly(statements, body.sql, rows, plan)
    else:
        changed = _watched(statements, body.sql, rows, first)
    last = statements.connection.last_insert_rowid() if plan.inserts else 0
    return Done(changed, last)


def run_step(statements: Statements, body: Many) -> Done:
    """Run the rows of a step; the counters go on from where they stood.

    Where a row fails, `statements.row` tells which, and those before it stay.
    """
    statements.counted = statements.rows_bytes = 0
    rows = iter(body.rows)
    try:
        return _step(statements, body, rows)
    except COMMAND_ERRORS:
        statements.row = len(body.rows) - length_hint(rows) - 1
        raise


def _step(statements: Statements, body: Many, rows: Iterator[Any]) -> Done:
    last_insert_rowid = statements.connection.last_insert_rowid
    first_row = next(rows, None)
    if first_row is None:
        return Done(0, last_insert_rowid())
    plan, first = statements.run(body.sql, first_row)
    if not plan.plain or body.sql not in statements.plans:
        unread = Done(first.changes, first.last_insert_rowid)
        return Done(_slowly(statements, body.sql, rows, unread).changes, last_insert_rowid())
    # With virtual tables in the schema the rows are counted one by one (`changed_since`).
    if not statements.virtual and _is_quick(statements, body, plan):
        changed = first.changes + _quickly(statements, body.sql, rows, plan)
    else:
        changed = _watched(statements, body.sql, rows, first)
    return Done(changed, last_insert_rowid())


def _is_quick(statements: Statements, body: Many, plan: Plan) -> bool:
    if not plan.is_known:
        statements.promote(body.sql, body.rows[0], plan)
    return body.sql in statements.quick


def _quickly(statements: Statements, sql: str, rows: Iterator[Any], plan: Plan) -> int:
    """No trigger and no foreign key acts: the total is the sum of what the rows changed."""
    connection = statements.connection
    before = connection.total_changes()
    statements.watch(on=False)
    looked_at = _looked_at(statements, rows) if plan.inserts else rows
    statements.cursor.executemany(sql, looked_at)
    if plan.inserts and connection.last_insert_rowid() > ROWID_MAX:
        raise Undo(TOO_HIGH, ran=True)
    return connection.total_changes() - before


def _looked_at(statements: Statements, rows: Iterator[Any]) -> Iterator[Any]:
    last_insert_rowid = statements.connection.last_insert_rowid
    for row in rows:
        if last_insert_rowid() > ROWID_MAX:
            raise Undo(TOO_HIGH, ran=True)
        yield row


def _watched(statements: Statements, sql: str, rows: Iterator[Any], first: Done) -> int:
    """Count what each row changed right after it: what comes in between may change the count."""
    changes = statements.connection.changes
    statements.counted = first.changes

    def counted() -> Iterator[Any]:
        for row in rows:
            yield row
            statements.counted += changes()

    statements.cursor.executemany(sql, counted())
    statements.check_rowids()
    return statements.counted


def _slowly(statements: Statements, sql: str, rows: Iterator[Any], first: Done) -> Done:
    """The same for statements with RETURNING, or that look at counters."""
    changes, last, found = first.changes, first.last_insert_rowid, first.rows
    for parameters in rows:
        statements.counted = max(changes, 0)
        if found is None:
            statements.rows_bytes = 0  # Nobody keeps them.
        plan, done = statements.run(sql, parameters)
        if plan.changes_rows:
            changes = max(changes, 0) + done.changes
        if plan.inserts:
            last = done.last_insert_rowid
        if found is not None and done.rows:
            found.extend(done.rows)
    statements.counted = max(changes, 0)
    return Done(changes, last, first.columns, found)
