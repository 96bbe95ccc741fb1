"""Where the shell is connected, what reads promise there, help, and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raftsql_shell.commands import command, find, registry
from raftsql_shell.errors import CommandError
from raftsql_shell.options import LEVELS

if TYPE_CHECKING:
    from raftsql_shell.shell import Shell


@command(".connect [URL]")
def connect(shell: Shell, arguments: list[str]) -> None:
    """Go to another cluster, or tell which one this is.

    When it can't be reached, the shell stays where it is.
    """
    session = shell.session
    if arguments:
        if session.connection.in_transaction:
            raise CommandError("a transaction is open; COMMIT or ROLLBACK it first")
        session.connect(arguments[0])
    shell.note(f"connected to {session.address}")


@command(".consistency [LEVEL]")
def consistency(shell: Shell, arguments: list[str]) -> None:
    """Choose what reads promise, or tell what they do.

    linearizable: every write that was acknowledged before, on any node (the default).
    lease: the same, while clocks drift less than the cluster's bound.
    session: what this shell has written and seen.
    stale: what the connected node has.
    """
    if not arguments:
        shell.text(shell.session.connection.consistency)
    elif arguments[0] in LEVELS:
        shell.session.connection.consistency = arguments[0]
    else:
        raise CommandError(f"there is no level {arguments[0]}; one of {', '.join(LEVELS)}")


@command(".timeout [SECONDS]")
def timeout(shell: Shell, arguments: list[str]) -> None:
    """Choose how long a statement may take, or tell it."""
    if not arguments:
        shell.text(f"{shell.session.connection.timeout:g}")
        return
    try:
        seconds = float(arguments[0])
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise CommandError("a time is a number of seconds, more than 0")
    shell.session.connection.timeout = seconds


@command(".help [COMMAND]")
def help(shell: Shell, arguments: list[str]) -> None:
    """List all commands, or say all about one."""
    if arguments:
        name = arguments[0]
        found = find(name if name.startswith(".") else f".{name}")
        shell.text(f"{found.usage}\n\n{found.help}")
        return
    width = max(map(len, registry()))
    lines = [f"{each.name:{width}}  {each.summary}" for each in registry().values()]
    shell.text("\n".join([*lines, "", ".help COMMAND says all about one."]))


@command(".quit")
def quit(shell: Shell, arguments: list[str]) -> None:
    """Leave. What is not committed is rolled back."""
    shell.done = True


@command(".exit")
def exit(shell: Shell, arguments: list[str]) -> None:
    """Leave, as .quit does."""
    shell.done = True
