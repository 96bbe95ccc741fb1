"""The operator's side of backups: `raftsql backup`, `raftsql restore`, `raftsql verify`.

What comes in is written beside its target and takes the target's name only when it is whole,
checked and durable; what goes out is read as it is sent. Compressing and the turning into SQL are
done here, where they cost no node anything.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import grpc

from raftsql.database import backup as copies
from raftsql.database.dump import dump
from raftsql.database.guard import INTERNAL_PREFIX
from raftsql.database.snapshot import new_digest, open_closed
from raftsql.server.operate import DEFAULT_URL, NotDone, Unreachable, hosts, status
from raftsql_proto import admin_pb2
from raftsql_proto.admin_pb2_grpc import AdminStub

PART_BYTES: Final = 512 << 10
DIFFERENT: Final = 1
INTERRUPTED: Final = 130
INCOMPLETE: Final = 3
"""Also what the other commands answer when no node could be asked."""

_OPTIONS: Final = (("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", 4 << 20))


class Failed(Exception):
    """What the operator is told."""


def run(name: str, parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Parse, do, print; the exit code."""
    parser.add_argument(
        "--url", default=os.environ.get("RAFTSQL_URL", DEFAULT_URL),
        help=f"the cluster, or one node as host:port (default: $RAFTSQL_URL or {DEFAULT_URL})",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")
    flags, do = _COMMANDS[name]
    flags(parser)
    options = parser.parse_args(arguments)
    # Told to stop, it removes what it has begun.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return do(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Unreachable as error:
        code, problem = INCOMPLETE, str(error)
    except (Failed, NotDone, OSError) as error:
        code, problem = 1, str(error)
    except grpc.RpcError as error:
        code = INCOMPLETE if error.code() == grpc.StatusCode.UNAVAILABLE else 1
        problem = error.details() or str(error.code())
    print(f"raftsql {name}: {problem}", file=sys.stderr)
    return code


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def _admin(address: str) -> Iterator[AdminStub]:
    with grpc.insecure_channel(address, options=_OPTIONS) as channel:
        yield AdminStub(channel)


def _cluster(url: str) -> dict[str, Any]:
    """The status of the first node of the URL that answers."""
    problem = Unreachable("--url names no node")
    for address in hosts(url):
        try:
            found: dict[str, Any] = json.loads(status(address, timeout=4.0))
        except Unreachable as error:
            problem = error
        else:
            return found
    raise problem


def _leader(url: str) -> str:
    found = _cluster(url)
    if not found.get("leader_address"):
        raise Unreachable("no leader is known: try again, or see `raftsql status`")
    return str(found["leader_address"])


class Progress:
    """One line on standard error, when somebody looks at it."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._at = 0.0

    def show(self, text: str) -> None:
        """Say it in place of what was said before, a few times a second."""
        now = time.monotonic()
        if self._shown and now - self._at > 0.1:
            self._at = now
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Clear the line."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _share(done: int, size: int) -> str:
    percent = 100 * done // size if size else 0
    return f"{done >> 20} of {size >> 20} MiB, {percent} %"


# Backup.


def _backup_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="where to put it; - is standard output")
    parser.add_argument("--node", type=int, metavar="N", help="of this node, as it is, without "
                        "asking the leader how far it should be")  # fmt: skip
    parser.add_argument("--sql", action="store_true", help="as SQL text, not as a SQLite file")
    parser.add_argument("--gzip", action="store_true", help="compressed")
    parser.add_argument("--force", action="store_true", help="replace FILE if it is there")


class Received(NamedTuple):
    """What a backup stream said about itself."""

    last_index: int
    size_bytes: int
    digest: bytes


def _backup(options: argparse.Namespace) -> int:
    to_stdout = options.file == "-"
    target = Path(options.file)
    if not to_stdout and target.exists() and not options.force:
        raise Failed(f"{target} exists; --force replaces it")
    address = _source(options)
    folder = Path(tempfile.gettempdir()) if to_stdout else target.absolute().parent
    started = time.monotonic()
    with _unfinished(folder) as file:
        received = fetch(address, file, stale=options.node is not None)
        if to_stdout:
            with file.open("rb") as source:
                _convert(source, file, sys.stdout.buffer, options)
                sys.stdout.buffer.flush()
        else:
            _finish(file, target, options)
    if not to_stdout:
        _told_backup(target, received, time.monotonic() - started, options)
    return 0


def _source(options: argparse.Namespace) -> str:
    if options.node is None:
        return _leader(options.url)
    members = {m["node_id"]: m["address"] for m in _cluster(options.url)["members"]}
    if options.node not in members:
        raise Failed(f"there is no node {options.node}; the members are {sorted(members)}")
    return str(members[options.node])


@contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """A name for what is not a backup yet; what has it at the end is removed."""
    descriptor, name = tempfile.mkstemp(prefix=".raftsql-backup-", dir=folder)
    os.close(descriptor)
    path = Path(name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def fetch(address: str, path: Path, *, stale: bool = False) -> Received:
    """Stream a node's backup into a file; its digest is checked."""
    progress, digest, size = Progress(), new_digest(), 0
    try:
        with _admin(address) as admin, path.open("wb") as file:
            for part in admin.Backup(admin_pb2.BackupRequest(stale=stale)):
                file.write(part.data)
                digest.update(part.data)
                size += len(part.data)
                if part.digest:
                    if part.digest != digest.digest() or part.size_bytes != size:
                        raise Failed("the backup arrived damaged: its digest is another")
                    return Received(part.index, size, part.digest)
                if part.data:
                    progress.show(f"backing up: {_share(size, part.size_bytes)}")
                else:
                    progress.show(f"the node copies its database: {part.copied_percent} %")
        raise Failed("the backup broke off before its end")
    finally:
        progress.end()


def _finish(file: Path, target: Path, options: argparse.Namespace) -> None:
    """Give what was received its final form and name; a crash leaves the old file or the new."""
    if options.sql or options.gzip:
        with _unfinished(file.parent) as final:
            with file.open("rb") as source, final.open("wb") as out:
                _convert(source, file, out, options)
            _settle(final, target)
    else:
        _settle(file, target)


def _settle(file: Path, target: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    file.chmod(0o666 & ~mask)
    with file.open("rb+") as written:
        os.fsync(written.fileno())
    file.replace(target)
    folder = os.open(target.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _convert(source: IO[bytes], path: Path, out: IO[bytes], options: argparse.Namespace) -> None:
    if not options.gzip:
        _write(source, path, out, as_sql=options.sql)
        return
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6, filename="", mtime=0) as packed:
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
    target: Path, received: Received, seconds: float, options: argparse.Namespace
) -> None:
    if options.json:
        print(
            json.dumps(
                {
                    "file": str(target),
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


# Restore.


def _restore_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="a SQLite file or a backup, compressed or not")
    parser.add_argument("--yes", action="store_true", help="don't ask")


def _restore(options: argparse.Namespace) -> int:
    path = Path(options.file)
    _check_closed(path)
    if not options.yes:
        _confirm(path)
    address = _leader(options.url)
    started = time.monotonic()
    done = send(address, path)
    if done.problems:
        print(f"raftsql restore: {path} is refused; nothing was changed:", file=sys.stderr)
        for problem in done.problems:
            print(f"  {problem}", file=sys.stderr)
        return 1
    _told_restore(path, done, time.monotonic() - started, options)
    return 0


def _check_closed(path: Path) -> None:
    """A database without its WAL is another one: of an earlier moment, or broken."""
    for suffix in ("-wal", "-journal"):
        beside = path.with_name(path.name + suffix)
        if beside.exists() and beside.stat().st_size:
            raise Failed(
                f"{path} is in use, or was not closed: {beside.name} holds a part of it. Close it, "
                "or copy it with `sqlite3 FILE '.backup COPY'`, or `raftsql backup`"
            )
    with path.open("rb"):
        pass


def _confirm(path: Path) -> None:
    if not sys.stdin.isatty():
        raise Failed("this replaces the whole database; say --yes where nobody can be asked")
    print(f"Replace the whole database of the cluster by {path}? [y/N] ", end="", file=sys.stderr)
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failed("nothing was done")


def send(address: str, path: Path) -> admin_pb2.RestoreProgress:
    """Restore a file through the leader; its last word."""
    progress = Progress()
    sent = [0]
    last = admin_pb2.RestoreProgress()
    try:
        with _admin(address) as admin:
            for last in admin.Restore(_parts(path, sent, progress)):
                if last.doing and last.received_bytes == sent[0]:
                    progress.show(last.doing)
    except grpc.RpcError as error:
        if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED) and sent[0]:
            raise Failed(
                f"the leader went away ({error.details()}): the file may have been restored, or "
                "may be yet. See `raftsql status`, and `raftsql verify --file`"
            ) from error
        raise
    finally:
        progress.end()
    if not last.index and not last.problems:
        raise Failed("the leader ended the restore without a word")
    return last


def _parts(path: Path, sent: list[int], progress: Progress) -> Iterator[admin_pb2.RestorePart]:
    digest = new_digest()
    with _plain(path) as file:
        while data := file.read(PART_BYTES):
            digest.update(data)
            sent[0] += len(data)
            yield admin_pb2.RestorePart(data=data)
            progress.show(f"sending: {sent[0] >> 20} MiB")
    yield admin_pb2.RestorePart(digest=digest.digest(), last=True)


@contextmanager
def _plain(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield unpacked


def _told_restore(
    path: Path, done: admin_pb2.RestoreProgress, seconds: float, options: argparse.Namespace
) -> None:
    absent = list(done.absent)
    if options.json:
        print(
            json.dumps(
                {
                    "file": str(path),
                    "index": done.index,
                    "size_bytes": done.received_bytes,
                    "absent": absent,
                    "seconds": round(seconds, 3),
                }
            )
        )
        return
    print(
        f"the database is {path} as of entry {done.index}: "
        f"{done.received_bytes / (1 << 20):.1f} MiB in {seconds:.1f} s"
    )
    for node in absent:
        print(f"node {node} could not be reached, and follows when it is back")


# Verify.


def _verify_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--file", type=Path, metavar="FILE",
        help="compare this backup with what the cluster holds, too",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=float, default=600.0, metavar="SECONDS",
        help="how long to wait for the slowest node (default: 600)",
    )  # fmt: skip


def _verify(options: argparse.Namespace) -> int:
    report = _ask_verify(options)
    if options.file is not None:
        report["file"] = _file_against(options.file, report)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        _print_verify(report)
    if not report["equal"] or not report.get("file", {}).get("equal", True):
        return DIFFERENT
    return 0 if report["complete"] else INCOMPLETE


def _ask_verify(options: argparse.Namespace) -> dict[str, Any]:
    request = admin_pb2.VerifyRequest(timeout_ms=int(options.timeout * 1000))
    problem = Unreachable("--url names no node")
    for address in hosts(options.url):
        try:
            with _admin(address) as admin:
                reply = admin.Verify(request, timeout=options.timeout + 5)
            report: dict[str, Any] = json.loads(reply.json)
            return report
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            problem = Unreachable(f"no answer from {address}: is a node running there?")
    raise problem


def _file_against(path: Path, report: dict[str, Any]) -> dict[str, Any]:
    """Compare what a backup holds with what most nodes hold."""
    with _unpacked(path) as plain:
        found = copies.checksum_of(plain)
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


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            yield path
            return
    with _unfinished(Path(tempfile.gettempdir())) as plain:
        with _plain(path) as source, plain.open("wb") as target:
            shutil.copyfileobj(source, target, PART_BYTES)
        yield plain


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
    if not report["equal"]:
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


_COMMANDS: Final = {
    "backup": (_backup_flags, _backup),
    "restore": (_restore_flags, _restore),
    "verify": (_verify_flags, _verify),
}
