"""Transactions that a page begins, and ends some time later."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic

from starlette.responses import Response

from raftsql.cluster.writer import IDLE_MS_MAX
from raftsql.server.console.guarding import Answer, Asked
from raftsql.server.console.sessions import TRANSACTION_IDLE_SECONDS, OpenTransaction
from raftsql_driver.errors import Error


async def begin(asked: Asked) -> Response:
    """Begin one; the cluster hears of it with its first statement."""
    connection = asked.session.connection()
    try:
        await connection.execute("BEGIN")
        found = asked.session.adopt(connection, monotonic())
    except BaseException:
        await connection.close()
        raise
    return Answer(
        {
            "transaction": found.name,
            "idle_seconds": int(TRANSACTION_IDLE_SECONDS),
            "writing_idle_seconds": IDLE_MS_MAX // 1000,
        }
    )


async def commit(asked: Asked) -> Response:
    """Make it durable everywhere. Afterwards it is over, unless a constraint keeps it open."""
    found = _named(asked)
    found.busy += 1
    try:
        await found.connection.commit()
    finally:
        found.busy -= 1
        found.touched = monotonic()
        asked.session.seen(found.connection)
        if found.connection.transaction_lost or not found.connection.in_transaction:
            await asked.session.forget(found.name)
    return Answer({"transaction": None})


async def rollback(asked: Asked) -> Response:
    """Forget it."""
    found = _named(asked)
    with suppress(Error):
        await found.connection.rollback()
    await asked.session.forget(found.name)
    return Answer({"transaction": None})


def _named(asked: Asked) -> OpenTransaction:
    return asked.session.transaction(str(asked.request.path_params["id"]))
