"""The snapshot folder: whole copies of the database, each named by the position it stands for.

A snapshot `index-term` is a file `.db` and a small `.meta` that tells its size, digest and
membership. The `.meta` is written last: with it the snapshot exists, without it the rest is a
leftover. One that is being received is a file `.part` and a `.note`, from which receiving goes on
after a restart.

    begin(meta, size, digest) -> Receiving; Receiving.write(...)*; Receiving.finish()
    scratch(meta) -> a path to make one at; adopt(meta)
    take_out(snapshot) -> the path of its file, to be moved to where the database is

The digest is SHA-256 over the whole file; a chunk on its way carries a CRC-32C.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crc32c import crc32c

from raftsql.raft.messages import Position, SnapshotMeta
from raftsql.storage.errors import ChunkRefused, CorruptSnapshot, UnknownSnapshot
from raftsql.storage.files import File, Files
from raftsql.storage.notes import NoteDamaged, read_note, write_note

if TYPE_CHECKING:
    from hashlib import _Hash

COPY_BYTES = 1 << 20
"""How much of a file is read at once to digest it."""

NOTE_EVERY_BYTES = 8 << 20
"""After so much received, the file is synced and noted: a restart fetches less than this again, and
no sync is so large that those of a journal on the same disk wait for it."""

FREE_BYTES = 32 << 20
"""So much of a large file is freed at a time."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole snapshot in the folder."""

    meta: SnapshotMeta
    path: Path
    size: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a snapshot, with its checksum, ready to be sent."""

    offset: int
    data: bytes
    crc: int


class Snapshots:
    """The folder. `open` cleans up what an earlier process left unfinished.

    An OSError of the disk passes through; what the failed call was to do does not count then.
    """

    def __init__(self, folder: Path, files: Files) -> None:
        self._folder = folder
        self._files = files

    @classmethod
    def open(cls, folder: Path, files: Files) -> Snapshots:
        """Open the folder, making it if there is none, and remove leftovers."""
        files.make_folder(folder)
        snapshots = cls(folder, files)
        snapshots._clean()
        return snapshots

    def all(self) -> list[Snapshot]:
        """Every whole snapshot, the oldest first."""
        found = []
        for name in self._files.names(self._folder):
            if name.endswith(".meta"):
                with suppress(FileNotFoundError):  # Freed meanwhile, by another thread.
                    found.append(self._described(self._folder / name))
        return found

    def newest(self) -> Snapshot | None:
        """The snapshot that stands for the most; None if there is none."""
        return max(self.all(), key=lambda snapshot: snapshot.meta.last.index, default=None)

    def scratch(self, meta: SnapshotMeta) -> Path:
        """Where to make the file that `adopt` will take; anything there is a leftover."""
        return self._path(meta.last, "scratch")

    def adopt(self, meta: SnapshotMeta) -> Snapshot:
        """Make the finished file at `scratch(meta)` a snapshot, durably."""
        path = self.scratch(meta)
        file = self._files.open(path)
        try:
            file.sync()
            size, digest = file.size(), _digest(file).digest()
        finally:
            file.close()
        return self._settle(path, meta, size, digest)

    def begin(self, meta: SnapshotMeta, size: int, digest: bytes) -> Receiving:
        """Start receiving a snapshot, or go on where an earlier receiving of the same one ended.

        Only one is received at a time: what there is of another one is removed.
        """
        wanted = Snapshot(meta, self._path(meta.last, "part"), size, digest)
        received = self._received(wanted)
        if received:
            return Receiving(self, self._files, wanted, self._files.open(wanted.path), received)
        for name in self._files.names(self._folder):
            if name.endswith((".note", ".part")):
                self._files.unlink(self._folder / name)
        return Receiving(self, self._files, wanted, self._files.create(wanted.path), 0)

    def chunk(self, snapshot: Snapshot, *, offset: int, chunk_bytes: int) -> Chunk:
        """One piece of a snapshot; CorruptSnapshot if the file ends too early."""
        file = self._opened(snapshot.path)
        try:
            data = file.read(offset, min(chunk_bytes, snapshot.size - offset))
        finally:
            file.close()
        if not data:
            raise CorruptSnapshot(f"{snapshot.path} ends at {offset}, before {snapshot.size}")
        return Chunk(offset, data, crc32c(data))

    def verify(self, snapshot: Snapshot) -> None:
        """Read the whole snapshot; CorruptSnapshot unless it is what was put there."""
        file = self._opened(snapshot.path)
        try:
            if file.size() != snapshot.size or _digest(file).digest() != snapshot.digest:
                raise CorruptSnapshot(f"{snapshot.path} is damaged: its digest is another")
        finally:
            file.close()

    def take_out(self, snapshot: Snapshot) -> Path:
        """Its file, which is the caller's to move away and no snapshot any more."""
        if not self._claim(snapshot):
            raise UnknownSnapshot(f"{snapshot.path} is not in the folder any more")
        taken = self._path(snapshot.meta.last, "taken")
        self._files.rename(snapshot.path, taken)
        self._files.sync_folder(self._folder)
        return taken

    def delete(self, snapshot: Snapshot) -> None:
        """Remove a snapshot, if it is there; whoever has it open reads on."""
        if self._claim(snapshot):
            self._files.unlink(snapshot.path)

    def free(self, snapshot: Snapshot) -> None:
        """Remove a snapshot that nobody reads, if it is there, a piece at a time.

        To free a gigabyte at once holds up every sync on the disk: 64 ms where pieces take 5.
        """
        if not self._claim(snapshot):
            return
        file = self._files.open(snapshot.path)
        try:
            for size in range(snapshot.size - FREE_BYTES, 0, -FREE_BYTES):
                file.truncate(size)
        finally:
            file.close()
        self._files.unlink(snapshot.path)

    def _claim(self, snapshot: Snapshot) -> bool:
        """Make it no snapshot any more; whether it was one. Of several who want its file, in
        whatever threads, one gets it: who freed what another has made the database would cut that
        short."""
        try:
            self._files.unlink(self._path(snapshot.meta.last, "meta"))
        except FileNotFoundError:
            return False
        self._files.sync_folder(self._folder)
        return True

    def _settle(self, source: Path, meta: SnapshotMeta, size: int, digest: bytes) -> Snapshot:
        """Give a durable file its final name, then write what makes it a snapshot."""
        snapshot = Snapshot(meta, self._path(meta.last, "db"), size, digest)
        described = self._path(meta.last, "meta")
        # One of the same position goes first, lest its description be read for the new file.
        self._claim(snapshot)
        self._files.rename(source, snapshot.path)
        self._files.sync_folder(self._folder)
        write_note(self._files, described, _values(snapshot, size))
        return snapshot

    def _received(self, wanted: Snapshot) -> int:
        """How much of a snapshot is here, durably, from an earlier receiving."""
        path = self._path(wanted.meta.last, "note")
        if not self._files.exists(path) or not self._files.exists(wanted.path):
            return 0
        try:
            values = read_note(self._files, path)
        except NoteDamaged:
            return 0  # Nothing is lost but time: it is fetched again.
        return int(values["received"]) if _snapshot(wanted.path, values) == wanted else 0

    def _note(self, snapshot: Snapshot, received: int) -> None:
        path = self._path(snapshot.meta.last, "note")
        write_note(self._files, path, _values(snapshot, received))

    def _forget(self, snapshot: Snapshot) -> None:
        for suffix in ("note", "part"):
            path = self._path(snapshot.meta.last, suffix)
            if self._files.exists(path):
                self._files.unlink(path)

    def _clean(self) -> None:
        """Remove what is neither a whole snapshot nor one whose receiving can go on."""
        names = set(self._files.names(self._folder))
        for name in sorted(names):
            stem, _, suffix = name.partition(".")
            whole = suffix == "meta" or (suffix == "db" and f"{stem}.meta" in names)
            going_on = suffix in ("part", "note") and {f"{stem}.part", f"{stem}.note"} <= names
            if not whole and not (going_on and f"{stem}.meta" not in names):
                self._files.unlink(self._folder / name)
        self._files.sync_folder(self._folder)

    def _path(self, last: Position, suffix: str) -> Path:
        return self._folder / f"{last.index:020d}-{last.term:020d}.{suffix}"

    def _opened(self, path: Path) -> File:
        try:
            return self._files.open(path)
        except FileNotFoundError as error:
            raise UnknownSnapshot(f"{path} is not in the folder any more") from error

    def _described(self, path: Path) -> Snapshot:
        try:
            return _snapshot(path.with_suffix(".db"), read_note(self._files, path))
        except NoteDamaged as error:
            raise CorruptSnapshot(
                f"{error}; remove it and its .db, the cluster has others"
            ) from error


class Receiving:
    """A snapshot on its way in, piece by piece, in order.

    A chunk is taken if it starts where the received part ends. One that starts elsewhere (a
    duplicate, a gap, one out of order) is left alone: the answer is always how much is there, and
    the sender goes on from it. A damaged chunk is an error; nothing of it is kept.
    """

    def __init__(
        self, snapshots: Snapshots, files: Files, snapshot: Snapshot, file: File, received: int
    ) -> None:
        self._snapshots = snapshots
        self._files = files
        self._snapshot = snapshot
        self._file = file
        self._digest = _digest(file, received)
        self._noted = received
        self.received_bytes = received

    def write(self, offset: int, data: bytes, crc: int) -> int:
        """Take a chunk if it is the next one; how many bytes there are then."""
        if crc32c(data) != crc:
            raise ChunkRefused(f"the chunk at {offset} was damaged on its way")
        if offset + len(data) > self._snapshot.size:
            raise ChunkRefused(f"the chunk at {offset} ends after {self._snapshot.size}")
        if offset != self.received_bytes:
            return self.received_bytes
        self._file.write(offset, data)
        self._digest.update(data)
        self.received_bytes += len(data)
        if self.received_bytes - self._noted >= NOTE_EVERY_BYTES:
            self.note()
        return self.received_bytes

    def note(self) -> None:
        """Make what was received durable, and a restart go on from here."""
        self._file.sync()
        self._snapshots._note(self._snapshot, self.received_bytes)
        self._noted = self.received_bytes

    def finish(self) -> Snapshot:
        """Verify the whole and make it a snapshot; CorruptSnapshot drops what was received."""
        snapshot = self._snapshot
        if self.received_bytes < snapshot.size:
            raise CorruptSnapshot(f"only {self.received_bytes} of {snapshot.size} bytes are here")
        self._file.truncate(snapshot.size)
        self._file.sync()
        self._file.close()
        if self._digest.digest() != snapshot.digest:
            self.abandon()
            raise CorruptSnapshot("the received snapshot does not match its digest: begin again")
        settled = self._snapshots._settle(
            snapshot.path, snapshot.meta, snapshot.size, snapshot.digest
        )
        self._snapshots._forget(snapshot)
        return settled

    def abandon(self) -> None:
        """Give up receiving, and remove what there is."""
        self._file.close()
        self._snapshots._forget(self._snapshot)


def _digest(file: File, size: int | None = None) -> _Hash:
    """SHA-256 over the first `size` bytes of a file, or all of it."""
    digest, offset = hashlib.sha256(), 0
    end = file.size() if size is None else size
    while offset < end:
        data = file.read(offset, min(COPY_BYTES, end - offset))
        if not data:
            break
        digest.update(data)
        offset += len(data)
    return digest


def _values(snapshot: Snapshot, received: int) -> dict[str, Any]:
    return {
        "index": snapshot.meta.last.index,
        "term": snapshot.meta.last.term,
        "membership": snapshot.meta.membership.hex(),
        "size": snapshot.size,
        "digest": snapshot.digest.hex(),
        "received": received,
    }


def _snapshot(path: Path, values: dict[str, Any]) -> Snapshot:
    last = Position(values["index"], values["term"])
    meta = SnapshotMeta(last, bytes.fromhex(values["membership"]))
    return Snapshot(meta, path, values["size"], bytes.fromhex(values["digest"]))
