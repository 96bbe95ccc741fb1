"""Where backups go: a folder, or an object store by its URL.

    backups/ or file:///var/backups      a folder of this machine
    s3://bucket/path  gs://  az://       an object store; needs the extra `raftsql[objectstore]`

Credentials come from where each store's own tools look for them: the environment (AWS_…, GOOGLE_…,
AZURE_…), or the machine's role. A file appears under its name only when it is whole.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from raftsql.server.packing import settle, unfinished

GET_BYTES: Final = 8 << 20


class NoDestination(Exception):
    """It can't be used; why."""


class Stored(NamedTuple):
    """A file that is there."""

    name: str
    size_bytes: int
    at: datetime


class Destination(Protocol):
    """Somewhere. Each call blocks; a failure is an OSError."""

    def put(self, file: Path, name: str) -> None:
        """Store a file; it may be moved away from where it was."""

    def get(self, name: str, file: Path) -> None:
        """Fetch one into a file."""

    def stored(self) -> list[Stored]:
        """What is there."""

    def delete(self, name: str) -> None:
        """Remove one."""


class Folder:
    """A folder of this machine, made when it is first needed."""

    def __init__(self, path: Path) -> None:
        """Nothing is touched yet."""
        self._path = path

    def put(self, file: Path, name: str) -> None:
        """Store a file; it may be moved away from where it was."""
        self._path.mkdir(parents=True, exist_ok=True)
        with unfinished(self._path) as beside:
            shutil.copyfile(file, beside)
            settle(beside, self._path / name)

    def get(self, name: str, file: Path) -> None:
        """Fetch one into a file."""
        shutil.copyfile(self._path / name, file)

    def stored(self) -> list[Stored]:
        """What is there."""
        if not self._path.exists():
            return []
        return [
            Stored(path.name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))
            for path in sorted(self._path.iterdir())
            if path.is_file() and (found := path.stat())
        ]

    def delete(self, name: str) -> None:
        """Remove one."""
        (self._path / name).unlink(missing_ok=True)


class Objects:
    """A path in an object store."""

    def __init__(self, url: str) -> None:
        """Nothing is asked yet; NoDestination when it can't be, for the URL or the extra."""
        try:
            import obstore
            import obstore.store
        except ImportError as error:
            raise NoDestination(
                f"{url} is an object store: install raftsql[objectstore] to use it"
            ) from error
        self._api: Any = obstore
        try:
            self._store: Any = obstore.store.from_url(url)
        except Exception as error:
            raise NoDestination(f"{url} can't be used: {error}") from error

    def put(self, file: Path, name: str) -> None:
        """Store a file, in parts when it is large."""
        self._do(self._api.put, name, file)

    def get(self, name: str, file: Path) -> None:
        """Fetch one into a file, chunk by chunk."""
        with file.open("wb") as target:
            for chunk in self._do(self._api.get, name).stream(min_chunk_size=GET_BYTES):
                target.write(chunk)

    def stored(self) -> list[Stored]:
        """What is there, but for what lies in folders below."""
        found = self._do(self._api.list_with_delimiter)["objects"]
        return [Stored(Path(m["path"]).name, m["size"], m["last_modified"]) for m in found]

    def delete(self, name: str) -> None:
        """Remove one."""
        self._do(self._api.delete, name)

    def _do(self, call: Any, *arguments: Any) -> Any:
        try:
            return call(self._store, *arguments)
        except OSError:
            raise
        except Exception as error:
            # The library has an exception for every store's every mood.
            first = str(error).partition("\n")[0]  # What follows is for who debugs the library.
            raise OSError(f"the object store: {first}") from error


def destination(url: str) -> Destination:
    """Where the URL, or the path, points to; NoDestination."""
    if "://" not in url:
        return Folder(Path(url))
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Folder(Path(unquote(parts.path)))
    return Objects(url)


def one_file(url: str) -> tuple[Destination, str]:
    """The place and the name that the URL of one file says."""
    parent, _, name = url.rpartition("/")
    if not name or parent.endswith(":/"):
        raise NoDestination(f"{url} names no file")
    return destination(parent), name
