"""What can go wrong on the disk, named by what the operator or the caller should do next.

StorageError
|-- JournalLost          what was acknowledged is gone: replace the node, never start it
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
    |-- OtherNode        belongs to another node
    `-- DataDirLocked    another process uses it
"""

from __future__ import annotations

from pathlib import Path


class StorageError(Exception):
    """Any failure of the storage room."""


REPLACE_THE_NODE = (
    "Remove this node from the cluster (`raftsql remove`), empty its data directory, and start it"
    " with --join: it joins under a new id and is sent what the others hold. Where it was the only"
    " node, start a new cluster in an empty data directory and `raftsql restore` the newest backup"
)
"""What to do with a node that has lost something it had promised to keep."""


class JournalLost(StorageError):
    """The journal is gone, or an older one: votes and acknowledged entries are forgotten."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"{found}. What this node voted and acknowledged is forgotten, and it could contradict"
            f" itself. {REPLACE_THE_NODE}"
        )


class CorruptJournal(StorageError):
    """Acknowledged data can't be read back as it was written."""

    def __init__(self, file: Path, offset: int, reason: str) -> None:
        super().__init__(
            f"the journal is damaged: {file}, offset {offset}: {reason}. Acknowledged data is lost"
            f" on this disk. {REPLACE_THE_NODE}"
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
    """The data directory belongs to another node."""


class DataDirLocked(DataDirError):
    """Another process uses the data directory now."""
