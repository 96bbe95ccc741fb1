"""About statements: their plan, the cluster's verdict, their parameters, running them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raftsql_shell import literals
from raftsql_shell.commands import command, words
from raftsql_shell.errors import CommandError, caret, folded, indented

if TYPE_CHECKING:
    from raftsql_shell.shell import Shell


@command(".explain SQL", raw=True)
def explain(shell: Shell, arguments: list[str]) -> None:
    """Show how SQLite would find the rows, as a tree.

    The statement is not run.
    """
    from raftsql_shell.plan import tree

    sql = "EXPLAIN QUERY PLAN " + arguments[0]
    shell.last_statement = sql
    shell.text(tree(shell.session.execute(sql).fetchall()))


@command(".check SQL", raw=True)
def check(shell: Shell, arguments: list[str]) -> None:
    """Ask whether all nodes would come to the same rows by a statement.

    It is not run. The verdict is `pure`, `pinned` (clock and chance travel with the statement, so
    that all nodes see the same) or `refused`, with the reason and what to write instead.
    """
    sql = arguments[0]
    found = shell.session.examine(sql)
    told = found.kind if found.kind != found.verdict else ""
    lines = [f"{found.verdict} ({told})" if told else found.verdict]
    if found.detail:
        screen = shell.look.screen
        detail = folded(found.detail, screen - 2, "") if screen else found.detail
        lines.append(indented(detail))
    if found.position >= 0:
        lines.append(indented(caret(sql, found.position)))
    shell.text("\n".join(lines))


@command(".parameter [list|set|unset|clear] [NAME] [VALUE]", raw=True)
def parameter(shell: Shell, arguments: list[str]) -> None:
    """Give values to the named parameters of statements, as :name.

    `.parameter set NAME VALUE` takes a number, NULL, x'00ff' for a blob, or a text. A text that
    looks like one of those is put into single quotes. `.parameter` alone lists them.
    """
    values = shell.session.parameters
    verb, _, rest = (arguments[0] if arguments else "list").partition(" ")
    name, _, given = rest.strip().partition(" ")
    name = name.lstrip(":@$")
    if verb == "list" and not rest:
        rows = [(f":{each}", literals.literal(value)) for each, value in values.items()]
        shell.table(["parameter", "value"], rows)
    elif verb == "set" and name.isidentifier() and given.strip():
        text = given.strip()
        if text[0] == text[-1] == '"' and len(text) > 1:
            values[name] = words(text)[0]
        else:
            values[name] = literals.value(text)
    elif verb == "unset" and name in values:
        del values[name]
    elif verb == "unset":
        raise CommandError(f"there is no parameter {name}")
    elif verb == "clear" and not rest:
        values.clear()
    else:
        raise CommandError(
            "usage: .parameter set NAME VALUE, .parameter unset NAME, .parameter clear"
        )


@command(".watch SECONDS [SQL]", raw=True)
def watch(shell: Shell, arguments: list[str]) -> None:
    """Run a statement every SECONDS, until Ctrl-C.

    Without SQL, the last one that ran.
    """
    from raftsql_shell.watching import repeat, seconds_of

    seconds, _, sql = arguments[0].partition(" ")
    sql = sql.strip() or shell.last_statement
    if not sql:
        raise CommandError("there is no statement to watch; usage: .watch SECONDS SQL")
    repeat(shell, seconds_of(seconds), lambda: shell.statement(sql))


@command(".favorite [run|save|remove] [NAME] [SQL]", raw=True)
def favorite(shell: Shell, arguments: list[str]) -> None:
    """Keep statements under names, run them by name, or list them.

    `.favorite save NAME SQL` keeps one (without SQL, the last one that ran); it may have named
    parameters. `.favorite NAME` runs it.
    """
    from raftsql_shell import config

    kept = config.favorites()
    verb, _, rest = (arguments[0] if arguments else "").partition(" ")
    if verb not in ("run", "save", "remove"):
        verb, rest = ("run", arguments[0]) if arguments else ("list", "")
    name, _, sql = rest.strip().partition(" ")
    if verb == "list":
        shell.table(["favorite", "sql"], sorted(kept.items()))
    elif not name:
        raise CommandError(f"usage: .favorite {verb} NAME")
    elif verb == "save":
        text = sql.strip() or shell.last_statement
        if not text:
            raise CommandError("there is no statement to keep; usage: .favorite save NAME SQL")
        config.keep_favorites({**kept, name: text})
    elif name not in kept:
        raise CommandError(f"there is no favorite {name}; .favorite lists them")
    elif verb == "remove":
        del kept[name]
        config.keep_favorites(kept)
    else:
        shell.feed([kept[name]], "")
