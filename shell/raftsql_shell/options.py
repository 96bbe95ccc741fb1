"""The command line of the shell."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from raftsql_shell.formats import MODES
from raftsql_shell.literals import value

LEVELS = ("linearizable", "lease", "session", "stale")
EPILOG = """\
What -c and -f name is run in the order in which it stands there. Without them, standard input is
read when it is no terminal, and else there is a prompt. Only data is written to standard output.

exit codes: 0 all went well; 1 a statement or command failed; 2 the command line is wrong; 3 no node
can be reached. The first error ends a script, unless it says `.bail off`.

Other commands of raftsql: serve, up, status, members, add, remove, transfer, compact, backup,
restore, verify, user, version, recover; try `raftsql up --help`.
"""


class _Append(argparse.Action):
    """Keeps -c and -f in one list, in their order."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: str | None = None) -> None:
        work = getattr(namespace, "work", None) or []
        namespace.work = [*work, ((option or "")[1:2], values)]


def _parameter(text: str) -> tuple[str, Any]:
    name, sign, given = text.partition("=")
    name = name.lstrip(":@$")
    if not sign or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r}: expected name=value")
    return name, value(given)


def parser() -> argparse.ArgumentParser:
    """What the shell can be told."""
    made = argparse.ArgumentParser(
        "raftsql",
        usage="raftsql [URL] [-c SQL]... [-f FILE]... [options]",
        description="The shell of raftsql: a prompt for SQL, and a tool for scripts.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("url", nargs="?", metavar="URL", help="raftsql://host:port,.../ ($RAFTSQL_URL)")
    add("-c", action=_Append, metavar="SQL", help="run this, and leave; may be repeated")
    add("-f", action=_Append, metavar="FILE", help="run what a file holds; - is standard input")
    add("--format", choices=MODES, metavar="F", help="one of " + ", ".join(MODES))
    add("--no-headers", action="store_true", help="leave the names of columns out")
    add("--null", metavar="TEXT", help="what stands for NULL")
    add("--consistency", choices=LEVELS, metavar="L", help="one of " + ", ".join(LEVELS))
    add("--timeout", type=float, metavar="SECONDS", help="how long a statement may take")
    add(
        "-v",
        action="append",
        default=[],
        type=_parameter,
        metavar="NAME=VALUE",
        dest="parameters",
        help="the value of :NAME in statements; may be repeated",
    )
    add("--config", metavar="FILE", help="read this instead of the user's shell.toml")
    made.set_defaults(work=[])
    return made


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; ends the process with 2 when it is wrong."""
    return parser().parse_args(arguments)
