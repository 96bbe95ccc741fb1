"""The operator's commands: each asks a node one thing and prints the answer."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import grpc

from raftsql.server.places import BadUrl, Place, opened, places, way_to
from raftsql_driver.unreachable import hint
from raftsql_proto import admin_pb2
from raftsql_proto.admin_pb2_grpc import AdminStub

TIMEOUT_SECONDS = 15.0
DEFAULT_URL = "raftsql://127.0.0.1:4001/"


class Unreachable(Exception):
    """No node answered."""


class NotDone(Exception):
    """The cluster refused."""


def hosts(url: str) -> list[Place]:
    """The nodes that a URL, or a bare host:port, names; ends the program when it is none."""
    try:
        return places(url)
    except BadUrl as error:
        raise SystemExit(f"raftsql: {error}") from None


def call(
    address: str,
    ask: Callable[[Any], Callable[..., Any]],
    request: Any,
    timeout: float,
    stub: Callable[[grpc.Channel], Any] = AdminStub,
) -> Any:
    """One call to one node."""
    with opened(address) as channel:
        try:
            return ask(stub(channel))(request, timeout=timeout)
        except grpc.RpcError as error:
            code = error.code()
            if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise silent(address, error, timeout) from error
            raise NotDone(error.details() or str(code)) from error


def silent(address: str, error: grpc.RpcError, seconds: float = 0.0) -> Unreachable:
    """That a node did not answer, and what is probably wrong."""
    if seconds and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Unreachable(
            f"no answer from {address} within {seconds:g} s: is it overloaded, or cut off?"
        )
    meant = hint(error.details() or "", tls=way_to(address).tls)
    return Unreachable(f"no answer from {address}: {meant or 'is a node running there?'}")


def status(address: str, *, timeout: float = 5.0) -> str:
    """A node's state as JSON."""
    reply = call(address, lambda stub: stub.Status, admin_pb2.StatusRequest(), timeout)
    return str(reply.json)


def add_flags(name: str, parser: argparse.ArgumentParser) -> None:
    """What a command can be told."""
    add_url_flag(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")
    _FLAGS.get(name, lambda _: None)(parser)


def add_url_flag(parser: argparse.ArgumentParser) -> None:
    """Which cluster is meant."""
    parser.add_argument(
        "--url", default=os.environ.get("RAFTSQL_URL", DEFAULT_URL),
        help=f"the cluster, or one node as host:port (default: $RAFTSQL_URL or {DEFAULT_URL})",
    )  # fmt: skip


def run(name: str, parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Parse, ask, print; the exit code."""
    add_flags(name, parser)
    options = parser.parse_args(arguments)
    return ask_first(
        name, options.url, lambda place: _PRINT[name](_ASK[name](place, options), options)
    )


def ask_first(name: str, url: str, ask: Callable[[Place], None]) -> int:
    """Ask the first node that answers; the exit code. What was said goes to standard error."""
    asked = hosts(url)
    for place in asked:
        try:
            ask(place)
            return 0
        except Unreachable as error:
            problem = str(error)
        except NotDone as error:
            print(f"raftsql {name}: {error}", file=sys.stderr)
            return 1
    if len(asked) > 1 and problem.endswith("is a node running there?"):
        problem = f"no answer from {', '.join(asked)}: are nodes running there?"
    print(f"raftsql {name}: {problem}", file=sys.stderr)
    return 3


def _node_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("node", type=int, help="the node's number")


def _add_flags(parser: argparse.ArgumentParser) -> None:
    _node_flag(parser)
    parser.add_argument("--learner", action="store_true", help="take its vote away instead")


def _transfer_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("node", type=int, nargs="?", default=0, help="else whoever is most level")
    parser.add_argument(
        "--away", action="store_true", help="only if the asked node leads; for a node that stops"
    )


_FLAGS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "add": _add_flags,
    "remove": _node_flag,
    "transfer": _transfer_flags,
}


def _ask_status(address: str, options: argparse.Namespace) -> Any:
    return json.loads(status(address, timeout=4.0))


def _ask_add(address: str, options: argparse.Namespace) -> Any:
    request = admin_pb2.AddMemberRequest(node=options.node, learner=options.learner)
    reply = call(address, lambda stub: stub.AddMember, request, TIMEOUT_SECONDS)
    return {"members": json.loads(reply.json)}


def _ask_remove(address: str, options: argparse.Namespace) -> Any:
    request = admin_pb2.RemoveMemberRequest(node=options.node)
    reply = call(address, lambda stub: stub.RemoveMember, request, TIMEOUT_SECONDS)
    return {"members": json.loads(reply.json)}


def _ask_transfer(address: str, options: argparse.Namespace) -> Any:
    if options.away:
        found = json.loads(status(address, timeout=4.0))
        if found["role"] != "leader":
            return {"leader": found["leader"]}
    request = admin_pb2.TransferRequest(node=options.node)
    reply = call(address, lambda stub: stub.Transfer, request, TIMEOUT_SECONDS)
    return {"leader": reply.leader}


def _ask_compact(address: str, options: argparse.Namespace) -> Any:
    reply = call(address, lambda stub: stub.Compact, admin_pb2.CompactRequest(), 600.0)
    return {"dropped_upto": reply.dropped_upto}


_ASK: dict[str, Callable[[str, argparse.Namespace], Any]] = {
    "status": _ask_status,
    "members": _ask_status,
    "add": _ask_add,
    "remove": _ask_remove,
    "transfer": _ask_transfer,
    "compact": _ask_compact,
}


def _print_status(found: Any, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        if name not in ("members", "removed"):
            print(f"{name:22}{_shown(value)}")
    _print_table(found["members"])


def _shown(value: Any) -> str:
    """For people: what is a list of its own, as a histogram, is for programs."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        kept = {name: each for name, each in value.items() if not isinstance(each, list | dict)}
        return ", ".join(f"{name.replace('_', ' ')} {_shown(each)}" for name, each in kept.items())
    return str(value)


def _print_members(found: Any, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(found["members"], indent=2))
    else:
        _print_table(found["members"])


def _print_table(members: list[dict[str, Any]]) -> None:
    print(f"{'node':>6}  {'address':24}{'role':10}{'match':>12}  {'version':10}heard")
    for member in members:
        role = "leader" if member["leader"] else "voter" if member["voter"] else "learner"
        match = "-" if member["match"] is None else member["match"]
        heard = "-" if member["heard_ms_ago"] is None else f"{member['heard_ms_ago']} ms ago"
        version = f"{member.get('version') or '-':10}"
        print(
            f"{member['node_id']:>6}  {member['address']:24}{role:10}{match:>12}  {version}{heard}"
        )


def _print_leader(found: Any, options: argparse.Namespace) -> None:
    leader = f"node {found['leader']} leads" if found["leader"] else "no leader is known"
    print(json.dumps(found) if options.json else leader)


def _print_dropped(found: Any, options: argparse.Namespace) -> None:
    text = f"the log begins after entry {found['dropped_upto']}"
    print(json.dumps(found) if options.json else text)


_PRINT: dict[str, Callable[[Any, argparse.Namespace], None]] = {
    "status": _print_status,
    "members": _print_members,
    "add": _print_members,
    "remove": _print_members,
    "transfer": _print_leader,
    "compact": _print_dropped,
}
