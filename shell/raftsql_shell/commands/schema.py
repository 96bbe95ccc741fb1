"""What is in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raftsql_shell.commands import command
from raftsql_shell.errors import CommandError

if TYPE_CHECKING:
    from raftsql_shell.shell import Shell

USERS = "name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"


def _named(shell: Shell, kind: str, pattern: str) -> list[Any]:
    return shell.session.rows(
        f"SELECT name FROM sqlite_schema WHERE type = ? AND {USERS} AND name LIKE ? ORDER BY name",
        kind,
        pattern,
    )


@command(".tables [PATTERN]")
def tables(shell: Shell, arguments: list[str]) -> None:
    """List the tables; PATTERN is one of LIKE, as in `.tables user%`."""
    shell.table(["table"], _named(shell, "table", *arguments or ["%"]))


@command(".views [PATTERN]")
def views(shell: Shell, arguments: list[str]) -> None:
    """List the views; PATTERN is one of LIKE."""
    shell.table(["view"], _named(shell, "view", *arguments or ["%"]))


@command(".schema [TABLE]")
def schema(shell: Shell, arguments: list[str]) -> None:
    """Show the statements that made a table, or all tables.

    Its indexes, triggers and views are shown too. TABLE may be a pattern of LIKE.
    """
    found = shell.session.rows(
        f"SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND {USERS} AND tbl_name LIKE ? "
        "ORDER BY tbl_name, type = 'table' DESC, type = 'view' DESC, name",
        *arguments or ["%"],
    )
    if arguments and not found:
        raise no_such_table(shell, arguments[0])
    shell.text("".join(f"{sql};\n" for (sql,) in found))


@command(".indexes [TABLE]")
def indexes(shell: Shell, arguments: list[str]) -> None:
    """List the indexes of all tables, or of one.

    TABLE may be a pattern of LIKE. Indexes that SQLite made by itself, for a PRIMARY KEY or
    UNIQUE, are named too.
    """
    shell.table(
        ["index", "table", "unique", "columns"],
        shell.session.rows(
            "SELECT i.name, t.name, CASE i.\"unique\" WHEN 1 THEN 'yes' ELSE 'no' END, "
            "(SELECT group_concat(coalesce(c.name, '<expression>'), ', ') "
            "FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno) AS c) "
            "FROM sqlite_schema AS t, pragma_index_list(t.name) AS i "
            "WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND t.name LIKE ? "
            "ORDER BY t.name, i.name",
            *arguments or ["%"],
        ),
    )


@command(".describe TABLE")
def describe(shell: Shell, arguments: list[str]) -> None:
    """List a table's or view's columns.

    With the type, NOT NULL, the default, and the place in the primary key.
    """
    found = shell.session.rows(
        "SELECT name, type, CASE \"notnull\" WHEN 1 THEN 'yes' ELSE 'no' END, dflt_value, "
        "nullif(pk, 0), CASE hidden WHEN 2 THEN 'virtual' WHEN 3 THEN 'stored' END "
        "FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid",
        arguments[0],
    )
    if not found:
        raise no_such_table(shell, arguments[0])
    shell.table(["column", "type", "not null", "default", "primary key", "generated"], found)


def no_such_table(shell: Shell, name: str) -> CommandError:
    """The error for a table that is not there, with the nearest that is."""
    import difflib

    there = [row[0] for kind in ("table", "view") for row in _named(shell, kind, "%")]
    close = difflib.get_close_matches(name, there, n=1)
    hint = f"; did you mean {close[0]}?" if close else "; .tables lists what there is"
    return CommandError(f"there is no table {name}{hint}")
