"""The operator's side of backups: `raftsql backup`, and the way to `restore` and `verify`.

What comes in is written beside its target and takes the target's name only when it is whole,
checked and durable. Compressing and the turning into SQL are done here, where they cost no node
anything.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import apsw
import grpc

from raftsql.database.dump import dump
from raftsql.database.snapshot import new_digest, open_closed
from raftsql.server import compression, restoring, verifying
from raftsql.server.compression import CannotPack
from raftsql.server.destinations import Destination, NoDestination, one_file
from raftsql.server.operate import NotDone, Unreachable, add_url_flag, hosts
from raftsql.server.packing import damage, settle, unfinished
from raftsql.server.places import beside
from raftsql.server.reaching import PART_BYTES, Failed, Progress, admin, cluster, leader, share
from raftsql_driver.unreachable import plain
from raftsql_proto import admin_pb2

INTERRUPTED: Final = 130
UNREACHABLE: Final = 3


def run(name: str, parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Parse, do, print; the exit code."""
    add_url_flag(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")
    flags, do = _COMMANDS[name]
    flags(parser)
    options = parser.parse_args(arguments)
    # Told to stop, it removes what it has begun.
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _reported(name, do, options)
    finally:
        signal.signal(signal.SIGTERM, before)


def _reported(
    name: str, do: Callable[[argparse.Namespace], int], options: argparse.Namespace
) -> int:
    try:
        return do(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Unreachable as error:
        code, problem = UNREACHABLE, str(error)
    except (Failed, NotDone, NoDestination, CannotPack, apsw.Error) as error:
        code, problem = 1, str(error)
    except OSError as error:
        named = error.filename is not None and error.strerror
        code, problem = 1, f"{error.filename}: {error.strerror}" if named else str(error)
    except compression.errors() as error:
        code, problem = 1, f"the packed file is cut or damaged: {error}"
    except grpc.RpcError as error:
        code = UNREACHABLE if error.code() == grpc.StatusCode.UNAVAILABLE else 1
        problem = plain(error.details() or str(error.code()))
    print(f"raftsql {name}: {problem}", file=sys.stderr)
    return code


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", help="where to put it; - is standard output, s3://… an object store"
    )
    parser.add_argument("--node", type=int, metavar="N", help="of this node, as it is, without "
                        "asking the leader how far it should be")  # fmt: skip
    parser.add_argument("--sql", action="store_true", help="as SQL text, not as a SQLite file")
    packs = parser.add_mutually_exclusive_group()
    for method in compression.METHODS:
        packs.add_argument(
            f"--{method}", dest="pack", action="store_const", const=method, default="",
            help=f"packed with {method}",
        )  # fmt: skip
    parser.add_argument(
        "--unchecked", action="store_true", help="don't read it through: the node's disk is sound"
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it is there")


class Received(NamedTuple):
    """What a backup stream said about itself."""

    last_index: int
    size_bytes: int
    digest: bytes


def _backup(options: argparse.Namespace) -> int:
    remote = one_file(options.file) if "://" in options.file else None
    here = remote is None and options.file != "-"
    target = Path(options.file)
    folder = target.absolute().parent if here else Path(tempfile.gettempdir())
    if here and not folder.is_dir():
        raise Failed(f"{folder} is no folder: make it first")
    if here and target.is_dir():
        raise Failed(f"{target} is a folder: name a file in it")
    if here and target.exists() and not target.is_file():
        raise Failed(f"{target} is no file, and a backup would take its place: name another")
    if not options.force and _is_there(options.file, remote):
        raise Failed(f"{options.file} exists; --force replaces it")
    address = _source(options)
    started = time.monotonic()
    with unfinished(folder) as file:
        received = fetch(address, file, stale=options.node is not None)
        if not options.unchecked:
            _check(file, address)
        if remote is not None:
            _store(file, remote, options)
        elif here:
            _finish(file, target, options)
        else:
            with file.open("rb") as source:
                _convert(source, file, sys.stdout.buffer, options)
                sys.stdout.buffer.flush()
            return 0
    _told_backup(options.file, received, time.monotonic() - started, options)
    return 0


def _is_there(target: str, remote: tuple[Destination, str] | None) -> bool:
    """Asked before anything is fetched: a store that can't be used is found out then too."""
    if remote is None:
        return target != "-" and Path(target).exists()
    place, name = remote
    return any(each.name == name for each in place.stored())


def _check(path: Path, address: str) -> None:
    if finding := damage(path):
        raise Failed(
            f"the database of the node at {address} is damaged, and so is its copy: {finding}. "
            "Take the backup from another node with --node, and see `raftsql verify`"
        )


def _store(file: Path, remote: tuple[Destination, str], options: argparse.Namespace) -> None:
    place, name = remote
    with unfinished(file.parent) as final:
        with file.open("rb") as source, final.open("wb") as out:
            _convert(source, file, out, options)
        place.put(final, name)


def _source(options: argparse.Namespace) -> str:
    if options.node is None:
        return leader(options.url)
    members = {m["node_id"]: m["address"] for m in cluster(options.url)["members"]}
    if options.node not in members:
        raise Failed(f"there is no node {options.node}; the members are {sorted(members)}")
    return beside(members[options.node], hosts(options.url)[0])


def fetch(address: str, path: Path, *, stale: bool = False) -> Received:
    """Stream a node's backup into a file; its digest is checked."""
    progress, digest, size = Progress(), new_digest(), 0
    try:
        with admin(address) as stub, path.open("wb") as file:
            for part in stub.Backup(admin_pb2.BackupRequest(stale=stale)):
                file.write(part.data)
                digest.update(part.data)
                size += len(part.data)
                if part.digest:
                    if part.digest != digest.digest() or part.size_bytes != size:
                        raise Failed("the backup arrived damaged: its digest is another")
                    return Received(part.index, size, part.digest)
                if part.data:
                    progress.show(f"backing up: {share(size, part.size_bytes)}")
                else:
                    progress.show(f"the node copies its database: {part.copied_percent} %")
        raise Failed("the backup broke off before its end")
    finally:
        progress.end()


def _finish(file: Path, target: Path, options: argparse.Namespace) -> None:
    """Give what was received its final form and name; a crash leaves the old file or the new."""
    if options.sql or options.pack:
        with unfinished(file.parent) as final:
            with file.open("rb") as source, final.open("wb") as out:
                _convert(source, file, out, options)
            settle(final, target)
    else:
        settle(file, target)


def _convert(source: IO[bytes], path: Path, out: IO[bytes], options: argparse.Namespace) -> None:
    if not options.pack:
        _write(source, path, out, as_sql=options.sql)
        return
    with compression.packed(options.pack, out) as packed:
        _write(source, path, packed, as_sql=options.sql)


def _write(source: IO[bytes], path: Path, out: Any, *, as_sql: bool) -> None:
    if not as_sql:
        shutil.copyfileobj(source, out, PART_BYTES)
        return
    with closing(open_closed(path)) as connection:
        connection.execute("BEGIN")
        for statement in dump(connection):
            out.write(statement.encode())


def _told_backup(
    target: str, received: Received, seconds: float, options: argparse.Namespace
) -> None:
    if options.json:
        print(
            json.dumps(
                {
                    "file": target,
                    "index": received.last_index,
                    "size_bytes": received.size_bytes,
                    "digest": received.digest.hex(),
                    "seconds": round(seconds, 3),
                }
            )
        )
        return
    print(
        f"{target}: everything up to entry {received.last_index}, "
        f"{received.size_bytes / (1 << 20):.1f} MiB in {seconds:.1f} s, "
        f"BLAKE2b-256 {received.digest.hex()}"
    )


_COMMANDS: Final = {
    "backup": (_flags, _backup),
    "restore": (restoring.add_flags, restoring.run),
    "verify": (verifying.add_flags, verifying.run),
}
