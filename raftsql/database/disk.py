"""The few things done to files as files, in one place so that a test can let them fail or vanish.

A rename or a removal lasts only once the folder is synced, and what a file holds only once the
file is; between two syncs a power cut may keep any of it and lose the rest.
"""

from __future__ import annotations

import os
from pathlib import Path


class Disk:
    """The real one."""

    def sync_file(self, path: Path) -> None:
        """Make what the file holds last.

        Never for a database file that is open: closing a second descriptor of it would drop the
        locks that SQLite holds on it. A WAL has no locks on itself.
        """
        self._sync(path, os.O_RDWR)

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder last."""
        self._sync(path, os.O_RDONLY | os.O_DIRECTORY)

    def _sync(self, path: Path, flags: int) -> None:
        descriptor = os.open(path, flags)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name in one step, in place of what had it."""
        os.replace(source, target)

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        path.unlink(missing_ok=True)
