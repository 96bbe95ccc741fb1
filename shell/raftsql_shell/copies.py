"""Copies of the whole database: taken into a file, and put back.

What comes in is written beside its target, and takes the target's name only when it is whole and
its digest is right: a file that has the name is a backup.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from raftsql_shell.cluster import Nodes
from raftsql_shell.errors import CommandError

if TYPE_CHECKING:
    from raftsql_driver.address import Address

PART_BYTES: Final = 512 << 10
Progress = Callable[[float], None]
"""Is told what part of the work is done."""


def backup(address: Address, path: Path, progress: Progress) -> tuple[int, int]:
    """Take a copy of the leader's database; its last log entry, and its size in bytes."""
    nodes = Nodes(address)
    try:
        descriptor, beside = tempfile.mkstemp(prefix=".raftsql-", dir=path.absolute().parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                index, size_bytes = _receive(nodes, file, progress)
                file.flush()
                os.fsync(file.fileno())
            Path(beside).replace(path)
        finally:
            Path(beside).unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    finally:
        nodes.close()
    return index, size_bytes


def _receive(nodes: Nodes, file: IO[bytes], progress: Progress) -> tuple[int, int]:
    digest, size_bytes, index = hashlib.blake2b(digest_size=32), 0, -1
    for part in nodes.backup(_leader(nodes)):
        file.write(part.data)
        digest.update(part.data)
        size_bytes += len(part.data)
        if part.digest:
            if part.digest != digest.digest() or part.size_bytes != size_bytes:
                raise CommandError("the copy arrived damaged: its digest is another")
            index = part.index  # The stream is read to its end: the node is told that we have it.
        if part.size_bytes:
            progress(size_bytes / part.size_bytes)
    if index < 0:
        raise CommandError("the copy broke off before its end")
    return index, size_bytes


def restore(address: Address, path: Path, progress: Progress) -> int:
    """Put a file in the place of the database; the log entry since which it is."""
    for suffix in ("-wal", "-journal"):
        beside = path.with_name(path.name + suffix)
        if beside.exists() and beside.stat().st_size:
            raise CommandError(f"{path} was not closed: {beside.name} holds a part of it")
    nodes = Nodes(address)
    try:
        with path.open("rb") as file:
            index = _send(nodes, file, progress)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    finally:
        nodes.close()
    return index


def _send(nodes: Nodes, file: IO[bytes], progress: Progress) -> int:
    size_bytes = max(1, os.fstat(file.fileno()).st_size)

    def parts() -> Iterator[bytes]:
        while part := file.read(PART_BYTES):
            yield part
            progress(file.tell() / size_bytes)

    for told in nodes.restore(_leader(nodes), parts()):
        if told.problems:
            raise CommandError(
                "the file is refused, nothing was changed: " + "; ".join(told.problems)
            )
        if told.index:
            return int(told.index)
    raise CommandError("the leader ended the restore without a word; see .status")


def _leader(nodes: Nodes) -> str:
    found = nodes.leader()
    if not found.get("leader_address"):
        raise CommandError("no leader is known; is a majority of the nodes running?")
    return str(found["leader_address"])
