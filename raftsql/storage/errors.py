"""What can go wrong on the disk, named by what the operator or the caller should do next.

StorageError
|-- CorruptJournal       acknowledged data is damaged: replace the node, never start it
|-- JournalPoisoned      a write or fsync failed: stop the process, restart it when the disk is well
|-- EntriesCompacted     these entries are gone: send a snapshot instead
|-- SnapshotError
|   |-- ChunkRefused     this piece arrived damaged: send it again
|   |-- CorruptSnapshot  the whole does not match its digest: begin again
|   `-- UnknownSnapshot  no such snapshot is kept (any more)
`-- DataDirError
    |-- NotADataDir      the folder holds something else
    |-- NewerFormat      written by a newer release
    |-- OtherNode        belongs to another node or cluster
    `-- DataDirLocked    another process uses it
"""

from __future__ import annotations

from pathlib import Path


class StorageError(Exception):
    """Any failure of the storage room."""


class CorruptJournal(StorageError):
    """Acknowledged data can't be read back as it was written."""

    def __init__(self, file: Path, offset: int, reason: str) -> None:
        super().__init__(
            f"the journal is damaged: {file}, offset {offset}: {reason}. Acknowledged data is lost"
            " on this disk; remove the node from the cluster and add a new one in its place"
        )
        self.file = file
        self.offset = offset
        self.reason = reason


class JournalPoisoned(StorageError):
    """A write failed, so what the disk holds is unknown until the journal is opened again."""


class EntriesCompacted(StorageError):
    """The asked entries lie at or before the journal's base."""


class SnapshotError(StorageError):
    """Any failure of the snapshot folder."""


class ChunkRefused(SnapshotError):
    """A piece of a snapshot was damaged on its way, or lies outside the snapshot."""


class CorruptSnapshot(SnapshotError):
    """A snapshot's bytes do not match its size, checksum or digest."""


class UnknownSnapshot(SnapshotError):
    """The snapshot asked for is not in the folder."""


class DataDirError(StorageError):
    """The data directory can't be used as it is."""


class NotADataDir(DataDirError):
    """The folder exists and holds something that is not a raftsql data directory."""


class NewerFormat(DataDirError):
    """The data directory was written by a newer release than this one."""


class OtherNode(DataDirError):
    """The data directory belongs to another node or to another cluster."""


class DataDirLocked(DataDirError):
    """Another process uses the data directory now."""
