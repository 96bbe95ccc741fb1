"""What SQLAlchemy's dialect suite asks of a database before it starts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.testing.provision import post_configure_testing_engine, upsert


def _trust_foreign_keys(url: Any, engine: Any, options: Any, scope: Any) -> None:
    """Some tests have foreign keys to columns that are not unique, which SQLite minds only when it
    is asked to enforce them: by default not with sqlite3, but with us."""

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA foreign_keys = OFF")


def _upsert(
    cfg: Any,
    table: Any,
    returning: Any,
    *,
    set_lambda: Any = None,
    sort_by_parameter_order: bool = False,
    index_elements: Any = None,
) -> Any:
    """INSERT … ON CONFLICT, which is SQLite's."""
    statement = insert(table)
    if set_lambda is None:
        statement = statement.on_conflict_do_nothing()
    else:
        statement = statement.on_conflict_do_update(set_=set_lambda(statement.excluded))
    return statement.returning(*returning, sort_by_parameter_order=sort_by_parameter_order)


post_configure_testing_engine.for_db("raftsql")(_trust_foreign_keys)
upsert.for_db("raftsql")(_upsert)
