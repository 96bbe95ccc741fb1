"""`raftsql restore`: the operator's side. The file is read as it is sent, packed or not."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import grpc

from raftsql.database.snapshot import new_digest
from raftsql.server.destinations import one_file
from raftsql.server.packing import plain, rewritten, unfinished
from raftsql.server.reaching import PART_BYTES, Failed, Progress, admin, leader
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
    sent = [0]
    last = admin_pb2.RestoreProgress()
    try:
        with admin(address) as stub:
            for last in stub.Restore(_parts(path, sent, progress)):
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
    with plain(path) as file:
        while data := file.read(PART_BYTES):
            digest.update(data)
            sent[0] += len(data)
            yield admin_pb2.RestorePart(data=data)
            progress.show(f"sending: {sent[0] >> 20} MiB")
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
