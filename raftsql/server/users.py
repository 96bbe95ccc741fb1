"""`raftsql user`: who may use the cluster.

Passwords are asked for at the terminal, or read from standard input: never from the command line,
which every program on the machine can see.
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Callable
from typing import Any, Final

from raftsql.server.operate import NotDone, add_url_flag, ask_first, call
from raftsql_proto import users_pb2
from raftsql_proto.users_pb2_grpc import UsersStub

SECONDS: Final = 15.0

USAGE: Final = """\
raftsql user add NAME [--role read|write|admin]
       raftsql user passwd NAME
       raftsql user remove NAME
       raftsql user grant NAME RIGHT [--on TABLE]
       raftsql user revoke NAME [--on TABLE]
       raftsql user list"""


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Parse, ask, print; the exit code."""
    _flags(parser)
    options = parser.parse_args(arguments)
    return ask_first("user", options.url, lambda place: _DO[options.what](place, options))


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.usage = USAGE
    whats = parser.add_subparsers(dest="what", required=True, metavar="WHAT", prog="raftsql user")
    for what, meaning in (
        ("add", "let somebody in"),
        ("passwd", "give a user another password"),
        ("remove", "let a user in no more"),
        ("grant", "give a role, or a right to one table"),
        ("revoke", "take the role, or the right to one table"),
        ("list", "who there is"),
    ):
        one = whats.add_parser(what, help=meaning, description=meaning)
        add_url_flag(one)
        if what == "list":
            one.add_argument("--json", action="store_true", help="print JSON, for scripts")
            continue
        one.add_argument("name", help="the user's name")
        if what == "add":
            one.add_argument("--role", choices=("read", "write", "admin"), default="")
        if what == "grant":
            one.add_argument("right", choices=("read", "write", "admin"))
        if what in ("grant", "revoke"):
            one.add_argument("--on", default="", metavar="TABLE", help="that table alone")


def _password(options: argparse.Namespace) -> str:
    """Asked for once a run, whatever number of nodes is tried."""
    if not hasattr(options, "password"):
        options.password = _read_password(options.name)
    return str(options.password)


def _read_password(name: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass(f"new password for {name}: ")
    if getpass.getpass("again: ") != first:
        raise NotDone("the two are not the same: nothing was changed")
    return first


def _change(address: str, options: argparse.Namespace, **what: Any) -> None:
    request = users_pb2.ChangeRequest(user=options.name, **what)
    call(address, lambda stub: stub.Change, request, SECONDS, UsersStub)


def _add(address: str, options: argparse.Namespace) -> None:
    add = users_pb2.AddUser(password=_password(options), role=options.role)
    _change(address, options, add=add)


def _passwd(address: str, options: argparse.Namespace) -> None:
    _change(address, options, password=_password(options))


def _remove(address: str, options: argparse.Namespace) -> None:
    _change(address, options, remove=True)


def _grant(address: str, options: argparse.Namespace) -> None:
    _change(address, options, grant=users_pb2.GrantRight(right=options.right, table=options.on))


def _revoke(address: str, options: argparse.Namespace) -> None:
    _change(address, options, revoke=users_pb2.RevokeRight(table=options.on))


def _list(address: str, options: argparse.Namespace) -> None:
    reply = call(address, lambda stub: stub.List, users_pb2.ListRequest(), SECONDS, UsersStub)
    if options.json:
        print(reply.json)
        return
    for user in json.loads(reply.json):
        tables = ", ".join(f"{right} {table}" for table, right in sorted(user["tables"].items()))
        print(f"{user['user']:20}{user['role']:8}{tables}".rstrip())


_DO: Final[dict[str, Callable[[str, argparse.Namespace], None]]] = {
    "add": _add,
    "passwd": _passwd,
    "remove": _remove,
    "grant": _grant,
    "revoke": _revoke,
    "list": _list,
}
