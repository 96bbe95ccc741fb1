"""`raftsql verify`: the operator's side. What all nodes hold, beside each other and a backup."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

import apsw
import grpc

from raftsql.database import backup as copies
from raftsql.database.checksum import Checksum
from raftsql.database.guard import INTERNAL_PREFIX
from raftsql.database.restore import damage_of
from raftsql.server.operate import Unreachable, hosts, silent
from raftsql.server.packing import unpacked
from raftsql.server.reaching import Failed, admin
from raftsql_proto import admin_pb2

DIFFERENT: Final = 1
INCOMPLETE: Final = 3
"""As the other commands answer when a node could not be asked."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument(
        "--file", type=Path, metavar="FILE",
        help="compare this backup with what the cluster holds, too",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=float, default=600.0, metavar="SECONDS",
        help="how long to wait for the slowest node (default: 600)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Do it and print; the exit code."""
    report = ask(options)
    if options.file is not None:
        report["file"] = _file_against(options.file, report)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        _print_verify(report)
    if not report["equal"] or not report.get("file", {}).get("equal", True):
        return DIFFERENT
    return 0 if report["complete"] else INCOMPLETE


def ask(options: argparse.Namespace) -> dict[str, Any]:
    """What the nodes say together, from the first that can be asked."""
    request = admin_pb2.VerifyRequest(timeout_ms=int(options.timeout * 1000))
    problem = Unreachable("--url names no node")
    for address in hosts(options.url):
        try:
            with admin(address) as stub:
                reply = stub.Verify(request, timeout=options.timeout + 5)
            report: dict[str, Any] = json.loads(reply.json)
            return report
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            problem = silent(address, error)
    raise problem


def _file_against(path: Path, report: dict[str, Any]) -> dict[str, Any]:
    """Compare what a backup holds with what most nodes hold."""
    with unpacked(path) as plain:
        found = _sum(plain)
    tables = report["tables"].items()
    there = {name: table for name, table in tables if not name.startswith(INTERNAL_PREFIX)}
    here = {
        name: {"rows": table.rows, "digest": table.digest.hex()}
        for name, table in found.tables.items()
    }
    names = sorted(there.keys() | here.keys())
    schema_differs = found.schema.hex() != report["schema"]
    differing = [name for name in names if there.get(name) != here.get(name)]
    return {
        "path": str(path),
        "equal": not differing and not schema_differs,
        "schema_differs": schema_differs,
        "tables": differing,
    }


def _sum(path: Path) -> Checksum:
    try:
        return copies.checksum_of(path)
    except apsw.Error as error:
        raise Failed(f"{path}: {damage_of(error)}") from error


def _print_verify(report: dict[str, Any]) -> None:
    print(f"at entry {report['index']}:")
    for node in report["nodes"]:
        told = node["sum"] or f"not known: {node['problem']}"
        print(f"  node {node['node_id']:<4} {node['address']:24} {told}")
    for difference in report["differences"]:
        what = "the schema" if difference["table"] is None else f"table {difference['table']}"
        nodes = ", ".join(f"node {node}" for node in difference["nodes"])
        print(f"  {what} differs on {nodes}")
    if "file" in report:
        _print_file(report["file"])
    for node in report["damaged"]:
        print(f"  node {node} is DAMAGED and stops: replace it")
    if report["differences"]:
        print(
            "the nodes DIFFER"
            if report["majority"]
            else "the nodes DIFFER, and no majority says which of them is right"
        )
    elif not report["complete"]:
        print("those that answered are equal; the others could not be asked")
    else:
        print("all nodes are equal")


def _print_file(found: dict[str, Any]) -> None:
    if found["equal"]:
        print(f"  {found['path']} holds the same")
        return
    if found["schema_differs"]:
        print(f"  {found['path']} has another schema")
    for name in found["tables"]:
        print(f"  table {name} differs in {found['path']}")
