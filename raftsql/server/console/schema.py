"""What is in the database: tables, views, indexes, triggers, and the first rows of one."""

from __future__ import annotations

from contextlib import suppress
from time import perf_counter
from typing import Any, Final

from starlette.responses import Response

from raftsql.server.console import cells
from raftsql.server.console.guarding import Answer, Asked
from raftsql.server.console.problems import Problem, of_error
from raftsql_driver.aio import AsyncConnection
from raftsql_driver.errors import Error, NotSupportedError, OperationalError, TimedOut, Unavailable

OBJECTS_MAX: Final = 5_000
"""Of a schema that are shown."""
COLUMNS_MAX: Final = 50_000
DEFINITION_MAX: Final = 20_000
"""Characters of a definition that are shown."""
FIRST_ROWS: Final = 50
COUNT_SECONDS: Final = 1.0
SECONDS: Final = 10.0

TABLES: Final = (
    "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow'"
    f" AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name LIMIT {OBJECTS_MAX}"
)
OBJECTS: Final = (
    "SELECT type, name, tbl_name, sql FROM sqlite_schema"
    f" WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name LIMIT {3 * OBJECTS_MAX}"
)
COLUMNS: Final = (
    'SELECT m.name, c.name, c.type, c."notnull", c.dflt_value, c.pk'
    " FROM pragma_table_list AS m, pragma_table_xinfo(m.name) AS c"
    " WHERE m.schema = 'main' AND m.type <> 'shadow'"
    f" AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND c.hidden <> 1 LIMIT {COLUMNS_MAX}"
)
INDEXES: Final = (
    'SELECT i.name, i."unique" FROM sqlite_schema AS m, pragma_index_list(m.name) AS i'
    f" WHERE m.type = 'table' LIMIT {OBJECTS_MAX}"
)


async def schema(asked: Asked) -> Response:
    """All of it, but for the rows."""
    connection = asked.session.connection()
    try:
        tables = await _read(connection, TABLES)
        objects = await _read(connection, OBJECTS)
        columns = await _read(connection, COLUMNS)
        unique = dict(await _read(connection, INDEXES))
    except Error as error:
        raise of_error(error) from error
    finally:
        await connection.close()

    def packed() -> bytes:
        found = assembled(tables, objects, columns, unique)
        return cells.encode({"tables": found, "truncated": len(tables) >= OBJECTS_MAX})

    # Thousands of tables take a while, which the node's loop does not have.
    return Response(await asked.console.beside(packed), media_type=Answer.media_type)


async def _read(connection: AsyncConnection, sql: str) -> list[Any]:
    """Rows as this session has last seen the database, or as this node has it without a leader."""
    try:
        cursor = await connection.execute(sql, consistency="session", timeout=SECONDS)
    except (TimedOut, Unavailable):
        cursor = await connection.execute(sql, consistency="stale", timeout=SECONDS)
    return await cursor.fetchall()


def assembled(
    tables: list[Any], objects: list[Any], columns: list[Any], unique: dict[str, int]
) -> list[dict[str, Any]]:
    """The tables, each with what belongs to it."""
    definitions = {name: sql for kind, name, _, sql in objects if kind in ("table", "view")}
    found: dict[str, dict[str, Any]] = {}
    for name, kind in tables:
        found[name] = {
            "name": name,
            "kind": kind,
            "sql": _cut(definitions.get(name)),
            "columns": [],
            "indexes": [],
            "triggers": [],
        }
    for table, name, declared, notnull, default, primary in columns:
        if table in found:
            column = {"name": name, "type": declared, "notnull": bool(notnull)}
            found[table]["columns"].append(column | {"default": _cut(default), "pk": primary})
    for kind, name, table, sql in objects:
        if table not in found:
            continue
        if kind == "index":
            index = {"name": name, "sql": _cut(sql), "unique": bool(unique.get(name))}
            found[table]["indexes"].append(index)
        elif kind == "trigger":
            found[table]["triggers"].append({"name": name, "sql": _cut(sql)})
    return list(found.values())


def _cut(text: str | None) -> str | None:
    if text is None or len(text) <= DEFINITION_MAX:
        return text
    return f"{text[:DEFINITION_MAX]}…"


async def table(asked: Asked) -> Response:
    """The first rows of a table, and how many there are if that can be told at once."""
    name = asked.request.query_params.get("name", "")  # In a path, ".." would lead elsewhere.
    quoted = '"' + name.replace('"', '""') + '"'
    connection = asked.session.connection()
    try:
        cursor = await connection.execute(
            f"SELECT * FROM {quoted} LIMIT {FIRST_ROWS}", consistency="session", timeout=SECONDS
        )
        names = [cells.name(column[0]) for column in cursor.description or ()]
        first = []
        for values in await cursor.fetchmany(FIRST_ROWS):
            began = perf_counter()
            first.append(cells.row(values)[0])
            await asked.console.pace.rest(began)
        count = await _count(connection, quoted)
    except (NotSupportedError, OperationalError) as error:
        if isinstance(error, NotSupportedError) or str(error).startswith("no such table"):
            raise Problem(404, "not_found", str(error)) from error
        raise of_error(error) from error
    except Error as error:
        raise of_error(error) from error
    finally:
        await connection.close()
    return Answer({"rows": count, "columns": names, "first": first})


async def _count(connection: AsyncConnection, quoted: str) -> int | None:
    with suppress(TimedOut, Unavailable):
        cursor = await connection.execute(
            f"SELECT count(*) FROM {quoted}", consistency="session", timeout=COUNT_SECONDS
        )
        ((count,),) = await cursor.fetchall()
        return int(count)
    return None
