"""`raftsql` without a command: from the command line to an exit code.

What a prompt needs is imported for a prompt only: `raftsql -c 'SELECT 1'` is there at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from raftsql_shell import options
from raftsql_shell.look import Look
from raftsql_shell.output import ReaderGone
from raftsql_shell.shell import FAILED, UNREACHABLE, USAGE, Shell

if TYPE_CHECKING:
    from raftsql_shell.session import Session


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the shell; the exit code."""
    try:
        chosen = options.parse(sys.argv[1:] if arguments is None else arguments)
    except SystemExit as end:
        return int(end.code or 0)
    session = _session(chosen)
    if isinstance(session, int):
        return session
    try:
        return _run(session, chosen)
    except ReaderGone:
        return FAILED
    except KeyboardInterrupt:
        return 130
    finally:
        session.close()
        _let_go_of_output()


def _let_go_of_output() -> None:
    """Python flushes once more at its end, and would complain of what was dealt with before."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(session: Session, chosen: argparse.Namespace) -> int:
    at_terminal = sys.stdout.isatty()
    interactive = not chosen.work and sys.stdin.isatty() and at_terminal
    look = Look(
        mode=chosen.format or ("box" if at_terminal else "csv"),
        headers=not chosen.no_headers,
        null=chosen.null,
        screen=os.get_terminal_size().columns if at_terminal and not chosen.format else 0,
    )
    session.parameters.update(chosen.parameters)
    shell = Shell(session, look, interactive=interactive)
    if interactive:
        from raftsql_shell.app import App

        return App(shell, chosen).run()
    for stream in (sys.stdin, sys.stdout):
        stream.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
    for kind, what in chosen.work or [("f", "-")]:
        if kind == "c":
            went_well = shell.feed([what], "")
        elif what == "-":
            went_well = shell.feed(sys.stdin, "stdin" if chosen.work else "")
        else:
            went_well = _file(shell, what)
        if shell.done or (shell.bail and not went_well):
            break
    shell.output.restore()
    return shell.exit_code


def _file(shell: Shell, path: str) -> bool:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return shell.feed(file, path)
    except OSError as error:
        shell.fail(f"error: {path}: {error.strerror}")
        return False


def _session(chosen: argparse.Namespace) -> Session | int:
    from raftsql_driver import errors
    from raftsql_shell.session import Session

    try:
        return Session(chosen.url, consistency=chosen.consistency, timeout=chosen.timeout)
    except errors.ProgrammingError as error:
        print(f"raftsql: {error}", file=sys.stderr)
        return USAGE
    except errors.Error as error:
        print(f"raftsql: can't connect: {error}", file=sys.stderr)
        return UNREACHABLE


if __name__ == "__main__":
    sys.exit(main())
