"""The one program: `raftsql`. What it is asked for decides which rooms are loaded.

Without a command it is the shell. The commands that serve and operate are here; each has its own
module, imported when it is called, so that `raftsql -c 'SELECT 1'` starts at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

COMMANDS = {
    "serve": "run a node",
    "up": "run a local cluster of several nodes",
    "status": "what a node is and knows",
    "members": "who belongs to the cluster",
    "add": "let a node into the cluster",
    "remove": "remove a node from the cluster, for good",
    "transfer": "hand leadership to another node",
    "compact": "make the database durable and drop the log that it replaces",
    "backup": "copy the database to a file, while it is in use",
    "restore": "replace the whole database by a SQLite file, on all nodes or none",
    "verify": "compare what all nodes hold",
    "user": "who may use the cluster: add, passwd, remove, grant, revoke, list",
    "version": "its release, and the fingerprint of the SQL that it runs",
    "recover": "after a lost quorum: give a surviving node a new membership",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["--version"]:
        _print_version()
        return 0
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:2], "--help"]
    if arguments and arguments[0] in COMMANDS:
        return _command(arguments)
    if meant := _meant(arguments):
        print(
            f"raftsql: there is no command {arguments[0]!r}; did you mean {meant}? "
            f"(A host of that name is raftsql://{arguments[0]}/)",
            file=sys.stderr,
        )
        return 2
    from raftsql_shell.__main__ import main as shell

    return shell(arguments)


def _meant(arguments: Sequence[str]) -> str:
    """The command that was mistyped; else it is a URL, or whatever the shell makes of it."""
    if not arguments or not arguments[0].isidentifier():
        return ""
    import difflib  # Here: what can't be a mistyped command starts without it.

    return next(iter(difflib.get_close_matches(arguments[0], COMMANDS, n=1, cutoff=0.7)), "")


def _print_version() -> None:
    import raftsql

    print(f"raftsql {raftsql.__version__}")


def _command(arguments: list[str]) -> int:
    name = arguments[0]
    parser = argparse.ArgumentParser(f"raftsql {name}", description=COMMANDS[name])
    if name == "serve":
        return _serve(parser, arguments[1:])
    if name == "up":
        from raftsql.server import up

        up.add_flags(parser)
        return up.run(parser.parse_args(arguments[1:]))
    if name == "recover":
        from raftsql.server import recover

        recover.add_flags(parser)
        return recover.run(parser.parse_args(arguments[1:]))
    if name == "version":
        from raftsql.database.environment import fingerprint

        parser.parse_args(arguments[1:])
        _print_version()
        print(f"fingerprint: {fingerprint()}")
        return 0
    # Read when gRPC is loaded: what goes wrong is told by the commands, and not by it too.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    if name == "user":
        from raftsql.server import users

        return users.run(parser, arguments[1:])
    if name in ("backup", "restore", "verify"):
        from raftsql.server import backups

        return backups.run(name, parser, arguments[1:])
    from raftsql.server import operate

    return operate.run(name, parser, arguments[1:])


def _serve(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    from raftsql.server import configuration
    from raftsql.server.settings import BadSettings

    configuration.add_flags(parser)
    given = parser.parse_args(arguments)
    try:
        decided = configuration.decide(given, os.environ)
    except BadSettings as error:
        print(f"raftsql serve: {error}", file=sys.stderr)
        return 2
    if given.print_config:
        print(configuration.printed(decided))
        return 0
    from raftsql.server import serve

    return serve.run(decided, lambda: configuration.decide(given, os.environ))


if __name__ == "__main__":
    sys.exit(main())
