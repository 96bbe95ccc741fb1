"""The data directory: whose it is, that one process has it, and where things are in it.

A node's id is bound to its directory for ever (a node that lost its disk must come back under a
new id), so the first thing written is an identity file, and a directory without one is never
adopted. It is made under another name and renamed when it is whole and durable.

    beginning       before all else: who the node will be, while it looks for its place
    identity        cluster, node, a random identity, the format's version
    lock            held while a process uses the directory; says which one
    journal/        the Raft journal
    snapshots/      snapshots received and taken
    installing      while a snapshot takes the database's place: what it brings the database to
    database.db     the SQLite database, beside its own WAL files
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from raftsql.raft.messages import NodeId, Position
from raftsql.storage.errors import (
    REPLACE_THE_NODE,
    DataDirLocked,
    NewerFormat,
    NotADataDir,
    OtherNode,
)
from raftsql.storage.files import Files, Lock
from raftsql.storage.notes import NoteDamaged, read_note, write_note

FORMAT = 1
"""The version of the directory's layout and of the files in it."""

_PID_BYTES_MAX = 32


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose data directory it is; `unique` is drawn at random when the directory is made."""

    cluster: int
    node: NodeId
    unique: str
    format: int = FORMAT


class DataDir:
    """A data directory that this process has locked. Made by `create` or `open`."""

    def __init__(self, folder: Path, files: Files, identity: Identity, lock: Lock) -> None:
        self.folder = folder
        self.identity = identity
        self._files = files
        self._lock = lock

    @property
    def journal(self) -> Path:
        """The folder of the journal."""
        return self.folder / "journal"

    @property
    def snapshots(self) -> Path:
        """The folder of the snapshots."""
        return self.folder / "snapshots"

    @property
    def database(self) -> Path:
        """The file of the SQLite database."""
        return self.folder / "database.db"

    @classmethod
    def create(cls, folder: Path, files: Files, identity: Identity) -> DataDir:
        """Make `folder` the data directory of a new node; it must not exist or be empty."""
        check_folder(folder)
        files.make_folder(folder)
        lock = _locked(folder, files)
        try:
            check_free(folder, files)
            write_note(files, _identity_path(folder), asdict(identity))
        except BaseException:
            lock.release()
            raise
        return cls(folder, files, identity, lock)

    @classmethod
    def open(cls, folder: Path, files: Files, *, node: NodeId | None = None) -> DataDir:
        """Open an existing data directory; `node` says whose it must be, if that is known."""
        check_folder(folder)
        if not is_data_dir(folder, files):
            raise NotADataDir(
                f"{folder} is not a raftsql data directory: there is no file"
                f" {_identity_path(folder)}. Name another folder with --data-dir; if this one was a"
                " node's and lost that file, remove the node and let it join anew, with an empty"
                " folder"
            )
        lock = _locked(folder, files)
        try:
            identity = _read_identity(folder, files)
            _check_owner(folder, identity, node)
        except BaseException:
            lock.release()
            raise
        return cls(folder, files, identity, lock)

    def note_install(self, position: Position) -> None:
        """Note, durably, that the database is about to be replaced by one at this position.

        The journal hears of it later. In between, this is how a start tells a database that is
        rightly ahead of the journal from a journal that was lost.
        """
        write_note(self._files, self._installing, {"index": position.index, "term": position.term})

    def noted_install(self) -> Position | None:
        """The position of the last note, until it is forgotten."""
        if not self._files.exists(self._installing):
            return None
        try:
            found = read_note(self._files, self._installing)
        except NoteDamaged as error:
            raise NotADataDir(
                f"{error}. Delete that file and start again: if the journal and the database then"
                " don't agree, the node says so and stops"
            ) from error
        return Position(found["index"], found["term"])

    def forget_install(self, position: Position) -> None:
        """The journal is at this position too; a note of a later one stays."""
        if self.noted_install() == position:
            self._files.unlink(self._installing)

    @property
    def _installing(self) -> Path:
        return self.folder / "installing"

    def close(self) -> None:
        """Let another process use the directory."""
        self._lock.release()


def check_folder(folder: Path) -> None:
    """Raise NotADataDir where something else than a folder has this name."""
    if folder.exists() and not folder.is_dir():
        raise NotADataDir(f"{folder} is a file, not a folder: name another with --data-dir")


def is_data_dir(folder: Path, files: Files) -> bool:
    """Whether `folder` was made a data directory, completely."""
    return files.exists(_identity_path(folder))


def check_free(folder: Path, files: Files) -> None:
    """Raise NotADataDir if `folder` holds anything that a new data directory must not."""
    others = [name for name in files.names(folder) if name not in _UNFINISHED]
    if others:
        raise NotADataDir(
            f"{folder} can't become a data directory: it is not empty (it holds"
            f" {', '.join(others[:3])}). Name another folder with --data-dir"
        )


_UNFINISHED = ("lock", "identity.new", "beginning", "beginning.new", "lost+found")
"""What an empty directory may hold: our own beginnings, and what a fresh file system has."""


def _identity_path(folder: Path) -> Path:
    return folder / "identity"


def _locked(folder: Path, files: Files) -> Lock:
    path = folder / "lock"
    lock = files.lock(path)
    if lock is None:
        raise DataDirLocked(
            f"{folder} is used by another process{_owner(path, files)}. Stop that one first, or"
            " give this node another --data-dir"
        )
    return lock


def _owner(path: Path, files: Files) -> str:
    """The process that wrote its id into the lock file, as words; nothing if there is none."""
    file = files.open(path)
    try:
        text = file.read(0, _PID_BYTES_MAX).strip()
    finally:
        file.close()
    return f" (process {text.decode()})" if text.isdigit() else ""


def _read_identity(folder: Path, files: Files) -> Identity:
    path = _identity_path(folder)
    try:
        found = read_note(files, path)
    except NoteDamaged as error:
        raise NotADataDir(
            f"{error}, so whose data directory it is can't be told. {REPLACE_THE_NODE}"
        ) from error
    if found["format"] > FORMAT:
        raise NewerFormat(
            f"{folder} has format {found['format']}, and this release of raftsql reads up to"
            f" {FORMAT}: start it with the newer release"
        )
    return Identity(found["cluster"], found["node"], found["unique"], found["format"])


def _check_owner(folder: Path, identity: Identity, node: NodeId | None) -> None:
    if node is not None and identity.node != node:
        raise OtherNode(
            f"{folder} belongs to node {identity.node}, not to node {node}: a node's id stays with"
            " its data directory. Leave out --node-id, or name another folder with --data-dir"
        )
