"""The audit log: who did what to the cluster, one JSON object a line.

Logins and their failures, changes of users, and whatever an administrator asks a node for. Nothing
that could be used to log in is ever written. The file is opened again on SIGHUP, so that others may
move it away.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

log = logging.getLogger("raftsql.audit")


class Audit:
    """Where it is written: a file, or without one the node's own log."""

    def __init__(self, path: str = "") -> None:
        """Open the file, if one is named; OSError when that can't be."""
        self._path = path
        self._file: IO[str] | None = None
        self.node = 0
        """The node's number, once it has one."""
        self.reopen(path)

    def reopen(self, path: str) -> None:
        """Close the file, and open what has that name now."""
        file = None
        if path:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            file = open(path, "a", encoding="utf-8")  # noqa: SIM115
            Path(path).chmod(0o600)
        self.close()
        self._path, self._file = path, file

    def note(self, event: str, *, user: str, peer: str, outcome: str = "done", **what: Any) -> None:
        """Write one line, and let it reach the file before this returns."""
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "node": self.node,
            "event": event,
            "user": user,
            "peer": peer,
            "outcome": outcome,
            **what,
        }
        text = json.dumps(line, ensure_ascii=False)
        if self._file is None:
            log.info("%s", text)
            return
        try:
            self._file.write(text + "\n")
            self._file.flush()
        except OSError as error:
            log.error("the audit log can't be written (%s): %s", error, text)

    def close(self) -> None:
        """Write no more."""
        if self._file is not None:
            self._file.close()
            self._file = None
