"""`raftsql restore`: the operator's side. The file is read as it is sent, packed or not."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import grpc

from raftsql.database.restore import HEADER_BYTES, header_problem
from raftsql.database.snapshot import new_digest
from raftsql.server.destinations import one_file
from raftsql.server.packing import is_packed, plain, rewritten, unfinished
from raftsql.server.reaching import PART_BYTES, Failed, Progress, admin, leader, share
from raftsql_proto import admin_pb2


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("file", help="a SQLite file or a backup, packed or not; s3://… too")
    parser.add_argument("--yes", action="store_true", help="don't ask")
    parser.add_argument(
        "--changed", action="store_true",
        help="the file is a backup that another program has written to since",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Do it and print; the exit code."""
    if "://" not in options.file:
        return _restore(Path(options.file), options)
    place, name = one_file(options.file)
    with unfinished(Path(tempfile.gettempdir())) as fetched:
        place.get(name, fetched)
        return _restore(fetched, options)


def _restore(path: Path, options: argparse.Namespace) -> int:
    _check_closed(path)
    _check_head(path, options.file)
    if not options.yes:
        _confirm(options.file)
    address = leader(options.url)
    started = time.monotonic()
    if options.changed:
        with rewritten(path) as anew:
            done = send(address, anew)
    else:
        done = send(address, path)
    if done.problems:
        print(f"raftsql restore: {options.file} is refused; nothing was changed:", file=sys.stderr)
        for problem in done.problems:
            print(f"  {problem}", file=sys.stderr)
        return 1
    _told_restore(done, time.monotonic() - started, options)
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


def _check_head(path: Path, name: str) -> None:
    """A node would look at it too, but only once it has all of it."""
    with plain(path) as file:
        start = file.read(HEADER_BYTES)
    problem = header_problem(start, None if is_packed(path) else path.stat().st_size)
    if problem:
        raise Failed(f"{name} is refused, and nothing was sent: {problem}{_advice(start, name)}")


def _advice(start: bytes, name: str) -> str:
    """What the file may be instead, and what to do with that."""
    for magic, what in _OTHERS.items():
        if start.startswith(magic):
            return f". It looks like {what}: unpack it first"
    if start.lstrip().upper().startswith(_SQL_WORDS):
        return f". It looks like SQL: run it with `raftsql -f {name}`, in an empty cluster"
    return ""


_OTHERS: Final = {
    b"PK\x03\x04": "a zip archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"BZh": "a bzip2 archive",
    b"\x04\x22\x4d\x18": "an lz4 archive",
}
_SQL_WORDS: Final = (b"PRAGMA ", b"BEGIN", b"CREATE ", b"INSERT ", b"--", b"/*")


def _confirm(name: str) -> None:
    if not sys.stdin.isatty():
        raise Failed("this replaces the whole database; say --yes where nobody can be asked")
    print(f"Replace the whole database of the cluster by {name}? [y/N] ", end="", file=sys.stderr)
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failed("nothing was done")


def send(address: str, path: Path) -> admin_pb2.RestoreProgress:
    """Restore a file through the leader; its last word."""
    progress = Progress()
    sending = Sending(path, progress)
    last = admin_pb2.RestoreProgress()
    try:
        with admin(address) as stub:
            for last in stub.Restore(sending.parts()):
                if last.doing and last.received_bytes == sending.sent_bytes:
                    progress.show(last.doing)
    except grpc.RpcError as error:
        if sending.failure is not None:
            raise sending.failure from error
        if (
            error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            and sending.sent_bytes
        ):
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


class Sending:
    """A file on its way, as it was before it was packed."""

    def __init__(self, path: Path, progress: Progress) -> None:
        """Nothing was read yet."""
        self._path = path
        self._progress = progress
        self.sent_bytes = 0
        self.failure: Exception | None = None
        """Why it could not be read: gRPC only tells that the parts have ended."""

    def parts(self) -> Iterator[admin_pb2.RestorePart]:
        """Its content, and at the end its digest."""
        try:
            yield from self._read()
        except Exception as error:
            self.failure = error
            raise

    def _read(self) -> Iterator[admin_pb2.RestorePart]:
        digest = new_digest()
        whole = 0 if is_packed(self._path) else self._path.stat().st_size
        with plain(self._path) as file:
            while data := file.read(PART_BYTES):
                digest.update(data)
                self.sent_bytes += len(data)
                yield admin_pb2.RestorePart(data=data)
                done = self.sent_bytes
                told = share(done, whole) if whole else f"{done >> 20} MiB"
                self._progress.show(f"sending: {told}")
        yield admin_pb2.RestorePart(digest=digest.digest(), last=True)


def _told_restore(
    done: admin_pb2.RestoreProgress, seconds: float, options: argparse.Namespace
) -> None:
    absent = list(done.absent)
    if options.json:
        print(
            json.dumps(
                {
                    "file": options.file,
                    "index": done.index,
                    "size_bytes": done.received_bytes,
                    "absent": absent,
                    "seconds": round(seconds, 3),
                }
            )
        )
        return
    print(
        f"the database is {options.file} as of entry {done.index}: "
        f"{done.received_bytes / (1 << 20):.1f} MiB in {seconds:.1f} s"
    )
    for node in absent:
        print(f"node {node} could not be reached, and follows when it is back")
