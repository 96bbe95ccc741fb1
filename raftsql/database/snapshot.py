"""A consistent copy of the database in one file, taken while writes go on.

SQLite's backup API copies page by page from a connection that holds a read transaction, so the
copy is of the moment at which that began, however many steps it takes and whatever is written
meanwhile. The file is whole in itself: no WAL belongs to it, and its header says so. Internal
tables are in it, so it carries its own place in the log, the membership and the sessions.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Final

import apsw

from raftsql.database import internal
from raftsql.database.disk import Disk
from raftsql.database.environment import CHECKSUM_BYTES, Role, open_connection
from raftsql.database.errors import DatabaseDamaged, is_damage
from raftsql.raft.messages import SnapshotMeta

PAGES_A_STEP: Final = 1_000
"""4 MB, some 3 ms: short enough to stop between two, and long enough that steps cost nothing."""

PAGES_BETWEEN_SYNCS: Final = 4_000
"""16 MB. One sync of a whole copy at its end holds up every other sync on the disk, the journal's
above all: by 275 ms after 0.5 GB, where these keep it under 30."""

DIGEST_BYTES: Final = 32
READ_BYTES: Final = 1 << 20
"""How much of a file is read at once to digest it."""


class SnapshotDamaged(Exception):
    """The file is not what it says it is: throw it away and fetch it again."""


class CopyFailed(Exception):
    """The copy can't go on: abandon it. A full disk may be the reason, or a file that can't be
    written."""


class Copy:
    """A copy under way. Writes to `target`, which must not exist, and is no snapshot until
    `finish` has returned; `abandon` at any time instead."""

    def __init__(self, path: Path, target: Path, disk: Disk, *, vfs: str = "") -> None:
        assert not target.exists(), f"{target} is in the way"
        self._path = path
        self.target = target
        self._disk = disk
        self._unsynced_pages = 0
        self._source = open_connection(path, Role.SERVICE, vfs=vfs)
        self._source.execute("BEGIN")
        self.meta = self._place()
        """What the copy stands for; known from the start, since its moment is held."""
        self._copy = apsw.Connection(str(target))
        # It is no database until it is whole, so nothing of it need survive a crash.
        self._copy.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
        self._sum_from_the_start()
        self._backup = self._copy.backup("main", self._source, "main")

    def _place(self) -> SnapshotMeta:
        try:
            return meta_of(self._source)
        except apsw.Error as error:
            self._source.close(True)
            if is_damage(error):
                raise DatabaseDamaged(self._path, error) from error
            raise

    def _sum_from_the_start(self) -> None:
        """Let the file say that its pages have checksums before the first of them is written.

        The VFS begins to sum when it sees that in page 1, which a copy may write last. Where the
        original has no room for sums there may be none: they would be written over its rows.
        """
        if self._source.reserve_bytes("main") != CHECKSUM_BYTES:
            return
        self._copy.pragma("page_size", self._source.pragma("page_size"))
        self._copy.reserve_bytes("main", CHECKSUM_BYTES)
        self._copy.execute("CREATE TABLE first(page); DROP TABLE first")

    def step(self, pages: int = PAGES_A_STEP) -> int:
        """Copy some pages; how many remain. DatabaseDamaged when one is not what was written."""
        try:
            self._backup.step(pages)
            self._unsynced_pages += pages
            if self._unsynced_pages >= PAGES_BETWEEN_SYNCS:
                self._unsynced_pages = 0
                self._disk.sync_file(self.target)
        except apsw.Error as error:
            if is_damage(error):
                raise DatabaseDamaged(self._path, error) from error
            raise CopyFailed(f"the database can't be copied: {error}") from error
        except OSError as error:
            raise CopyFailed(f"the database can't be copied: {error}") from error
        return int(self._backup.remaining)

    @property
    def pages(self) -> int:
        """How many there are in all; 0 before the first step."""
        return int(self._backup.page_count)

    def finish(self) -> SnapshotMeta:
        """Close a copy that has no pages remaining, and make it last."""
        assert self._backup.done, "pages remain to be copied"
        self._close()
        stand_alone(self.target)
        self._disk.sync_file(self.target)
        self._disk.sync_folder(self.target.parent)
        return self.meta

    def abandon(self) -> None:
        """Give it up: the file is removed, and the moment let go."""
        self._close()
        self.target.unlink(missing_ok=True)

    def _close(self) -> None:
        self._backup.close(True)
        self._copy.close()
        self._source.close(True)


def take(path: Path, target: Path, disk: Disk, *, vfs: str = "") -> SnapshotMeta:
    """Copy the database in one go."""
    copy = Copy(path, target, disk, vfs=vfs)
    try:
        while copy.step():
            pass
        return copy.finish()
    except BaseException:
        copy.abandon()
        raise


def meta_of(connection: apsw.Connection) -> SnapshotMeta:
    """The place in the log and the membership at the moment the connection sees."""
    last, _ = internal.position(connection)
    return SnapshotMeta(last, internal.fact(connection, internal.MEMBERSHIP) or b"")


_PAGE_SIZE_AT: Final = slice(16, 18)
_FILE_FORMAT_AT: Final = slice(18, 20)
_RESERVED_AT: Final = 20
_ROLLBACK_FORMAT: Final = b"\x01\x01"
_HEADER_BYTES: Final = 100


def page_size(header: bytes) -> int:
    """How large the pages of a database are, by the beginning of its file."""
    size = int.from_bytes(header[_PAGE_SIZE_AT], "big")
    return 65_536 if size == 1 else size


def stand_alone(path: Path) -> None:
    """Make a closed file's header say that no WAL belongs to it.

    With WAL in its header a file can't be opened where nothing may be created beside it.
    """
    with path.open("r+b") as file:
        size = page_size(file.read(_HEADER_BYTES))
        file.seek(0)
        page = bytearray(file.read(size))
        was_summed = len(page) > _HEADER_BYTES and page[_RESERVED_AT] == CHECKSUM_BYTES
        was_summed = was_summed and page[-CHECKSUM_BYTES:] == page_checksum(page)
        page[_FILE_FORMAT_AT] = _ROLLBACK_FORMAT
        if was_summed:
            page[-CHECKSUM_BYTES:] = page_checksum(page)
        file.seek(0)
        file.write(page)


def page_checksum(page: bytes | bytearray) -> bytes:
    """What SQLite's checksumming VFS writes at the end of a page: two sums over its words."""
    one = two = 0
    words = struct.iter_unpack("<II", page[:-CHECKSUM_BYTES])
    for first, second in words:
        one = (one + first + two) & 0xFFFF_FFFF
        two = (two + second + one) & 0xFFFF_FFFF
    return struct.pack("<II", one, two)


def open_closed(path: Path) -> apsw.Connection:
    """Open a file that nobody writes, leaving no trace beside it."""
    uri = f"file:{_escaped(path)}?immutable=1"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    return apsw.Connection(uri, flags=flags)


def _escaped(path: Path) -> str:
    text = str(path.absolute())
    return text.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def verify(path: Path) -> SnapshotMeta:
    """Check that a file is a whole database with a place in the log; say which."""
    connection = None
    try:
        connection = open_closed(path)
        connection.execute("PRAGMA cell_size_check = ON")
        findings = connection.execute("PRAGMA quick_check(1)").fetchall()
        if findings != [("ok",)]:
            raise SnapshotDamaged(f"{path.name}: {findings[0][0]}")
        return meta_of(connection)
    except apsw.Error as error:
        raise SnapshotDamaged(f"{path.name}: {error}") from error
    finally:
        if connection is not None:
            connection.close()


def new_digest() -> hashlib.blake2b:
    """The checksum of files, for those who see the bytes pass anyway."""
    return hashlib.blake2b(digest_size=DIGEST_BYTES)


def digest(path: Path) -> bytes:
    """A checksum of the file's bytes, for those who send or receive it."""
    summed = new_digest()
    with path.open("rb") as file:
        while chunk := file.read(READ_BYTES):
            summed.update(chunk)
    return summed.digest()
