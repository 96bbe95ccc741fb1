"""How results look and where they go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raftsql_shell.commands import command, on_or_off
from raftsql_shell.errors import CommandError
from raftsql_shell.formats import ABOUT, MODES

if TYPE_CHECKING:
    from raftsql_shell.shell import Shell


@command(".mode [MODE] [TABLE]")
def mode(shell: Shell, arguments: list[str]) -> None:
    r"""Choose the format of results, or list the formats.

    TABLE is whom the statements of `.mode insert TABLE` write to. To see one result with a line a
    value, end its statement with `\G` instead of a semicolon.
    """
    if not arguments:
        rows = [("*" if each == shell.look.mode else "", each, ABOUT[each]) for each in MODES]
        shell.table(["", "mode", "about"], rows)
        return
    name = arguments[0].lower()
    if name not in MODES:
        import difflib

        close = difflib.get_close_matches(name, MODES, n=1)
        hint = f"did you mean {close[0]}?" if close else "one of " + ", ".join(MODES)
        raise CommandError(f"there is no mode {arguments[0]}; {hint}")
    shell.look.mode = name
    if len(arguments) > 1:
        shell.look.table = arguments[1]


@command(".headers [on|off]")
def headers(shell: Shell, arguments: list[str]) -> None:
    """Show the names of columns, or don't."""
    if arguments:
        shell.look.headers = on_or_off(arguments[0])
    else:
        shell.note(_switch("headers", shell.look.headers))


@command(".nullvalue [TEXT]")
def nullvalue(shell: Shell, arguments: list[str]) -> None:
    """Choose what stands for NULL.

    Without TEXT it is what is usual in the mode. Usual are NULL in tables, nothing in csv, and a
    backslash with an N in tsv.
    """
    shell.look.null = arguments[0] if arguments else None


@command(".width [N]...")
def width(shell: Shell, arguments: list[str]) -> None:
    """Cut values that are wider than N in tables; without N, none.

    The first N is for the first column and so on, the last one for all columns that follow. So
    `.width 30` is for all columns. 0 is no limit.
    """
    try:
        widths = tuple(int(each) for each in arguments)
    except ValueError:
        raise CommandError("a width is a number of cells") from None
    if any(each < 0 for each in widths):
        raise CommandError("a width is not negative")
    shell.look.widths = widths


@command(".timer [on|off]")
def timer(shell: Shell, arguments: list[str]) -> None:
    """Tell how long each statement took, its rows included."""
    if arguments:
        shell.timer = on_or_off(arguments[0])
    else:
        shell.note(_switch("timer", shell.timer))


@command(".echo [on|off]")
def echo(shell: Shell, arguments: list[str]) -> None:
    """Write each statement and command before its result."""
    if arguments:
        shell.echo = on_or_off(arguments[0])
    else:
        shell.note(_switch("echo", shell.echo))


@command(".bail [on|off]")
def bail(shell: Shell, arguments: list[str]) -> None:
    """Let the first error end a script.

    It is on in scripts, and off at the prompt.
    """
    if arguments:
        shell.bail = on_or_off(arguments[0])
    else:
        shell.note(_switch("bail", shell.bail))


@command(".output [FILE]", raw=True)
def output(shell: Shell, arguments: list[str]) -> None:
    """Write results to FILE from now on.

    Without FILE, to standard output again. `.output |PROGRAM` hands them to a program.
    """
    if arguments:
        shell.output.redirect(_place(arguments[0]))
    else:
        shell.output.restore()


@command(".once FILE", raw=True)
def once(shell: Shell, arguments: list[str]) -> None:
    """Write the next result to FILE.

    `.once |PROGRAM` hands it to a program.
    """
    shell.output.redirect(_place(arguments[0]), once=True)


def _place(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def _switch(name: str, value: bool) -> str:
    return f"{name} is {'on' if value else 'off'}"


@command(".pager [on|off|PROGRAM]", raw=True)
def pager(shell: Shell, arguments: list[str]) -> None:
    """Show results that are longer than the screen in a program.

    `on` takes $PAGER, or else less.
    """
    from raftsql_shell.pager import program

    if not arguments:
        shell.note(f"the pager is {shell.output.pager or 'off'}")
    elif not shell.interactive:
        raise CommandError("a pager is for the prompt; .output |PROGRAM works in scripts")
    elif arguments[0] == "off":
        shell.output.pager = ""
    else:
        found = program("" if arguments[0] == "on" else arguments[0])
        if not found:
            raise CommandError(f"there is no program {arguments[0]}")
        shell.output.pager = found
