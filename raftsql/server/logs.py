"""What the node logs, as lines for people or as JSON for machines, on standard error.

Every line says which node speaks and in which term, so that the lines of several nodes can be read
side by side. What else a line is about (a request, how long it took) travels in the record's
`about`, and is a field of its own in JSON.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple


class Place(NamedTuple):
    """Who logs; zeros while that is not known."""

    node: int = 0
    term: int = 0


class TextFormatter(logging.Formatter):
    """One line a record, the time first and in UTC; more lines of a record are indented."""

    def __init__(self, place: Callable[[], Place]) -> None:
        """Ask for the place anew with each record."""
        super().__init__()
        self._place = place

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the lines of a traceback if there is one."""
        node, term = self._place()
        who = f"n{node}@{term}" if node else "-"
        # A client's SQL may hold lines that look like the log's own: none of them begins a line.
        message = "\n    ".join(record.getMessage().splitlines())
        line = f"{_moment(record)} {record.levelname:<8} {who} {record.name}: {message}"
        about = " ".join(f"{name}={value}" for name, value in _about(record).items())
        return line + (f" ({about})" if about else "") + _trace(self, record, "\n")


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, place: Callable[[], Place]) -> None:
        """Ask for the place anew with each record."""
        super().__init__()
        self._place = place

    def format(self, record: logging.LogRecord) -> str:
        """The object."""
        node, term = self._place()
        found: dict[str, Any] = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "node": node or None,
            "term": term,
            "message": record.getMessage(),
            **_about(record),
        }
        trace = _trace(self, record, "")
        if trace:
            found["trace"] = trace
        return json.dumps(found, ensure_ascii=False, default=str)


def _moment(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _about(record: logging.LogRecord) -> dict[str, Any]:
    about: dict[str, Any] = getattr(record, "about", {})
    return about


def _trace(formatter: logging.Formatter, record: logging.LogRecord, before: str) -> str:
    return before + formatter.formatException(record.exc_info) if record.exc_info else ""


def configure(level: str, style: str, place: Callable[[], Place]) -> None:
    """Log so from now on; called again when the settings are read again."""
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old.formatter, TextFormatter | JsonFormatter):
            root.removeHandler(old)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(place) if style == "json" else TextFormatter(place))
    root.addHandler(handler)
    root.setLevel(level.upper())
