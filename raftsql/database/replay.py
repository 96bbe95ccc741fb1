"""Applies an interactive transaction from the log, and checks that it comes to the same.

The leader ran its statements one by one, for a client who looked at each result; here they run
once more, each under its own clock and seed. What each changed is compared with what it changed
there: a difference means that this node's rows are not the leader's, and it must stop.
"""

from __future__ import annotations

from typing import Final

from raftsql.database import fuel, many
from raftsql.database.errors import Diverged
from raftsql.database.statements import COMMAND_ERRORS
from raftsql.database.writer import Writer
from raftsql.sql.commands import Done, Step, Transaction, decode_many, encode

TRANSACTION_DONE: Final = encode(Done(-1, 0))
"""What COMMIT answers: it counts no rows, as in Python's sqlite3."""


def replay(writer: Writer, body: Transaction) -> bytes:
    """Run the steps in the transaction that is open."""
    writer.statements.reset_counters()
    writer.guard.savepoints = True
    writer.meter.start(fuel.ENDLESS)  # The leader has shown that it ends.
    try:
        for number, step in enumerate(body.steps, start=1):
            run_step(writer, number, step)
    finally:
        writer.guard.savepoints = False
    if writer.statements.unresolved() is not None:
        raise Diverged("a transaction that was committed leaves a foreign key open here")
    return TRANSACTION_DONE


def run_step(writer: Writer, number: int, step: Step) -> None:
    """Run one step once more; Diverged when it does not come to the same."""
    connection, statements = writer.connection, writer.statements
    writer.hear(step.clock_ms)
    writer.pinned.set(step.clock_ms, step.seed)
    before = connection.total_changes()
    failed = False
    try:
        if step.many:
            many.run_step(statements, decode_many(step.many))
        else:
            statements.step(step.sql, step.parameters)
    except COMMAND_ERRORS as error:
        statements.failure(error, step.sql)
        failed = True
    changes = statements.changed_since(before)
    if (changes, failed) != (step.changes, step.failed) or not connection.in_transaction:
        raise Diverged(
            f"statement {number} of a transaction changed {changes} rows (failed: {failed}),"
            f" but {step.changes} (failed: {step.failed}) on the leader: {_text(step)[:200]}"
        )


def _text(step: Step) -> str:
    return decode_many(step.many).sql if step.many else step.sql
