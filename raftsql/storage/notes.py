"""Notes: small files of named values that are replaced as a whole, and carry a checksum.

One line of JSON, for people to read, and a line with its CRC-32C. The old note stands until the
new one does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crc32c import crc32c

from raftsql.storage.files import Files

NOTE_BYTES_MAX = 16 << 20
"""No note is longer; the longest holds a cluster's membership."""


class NoteDamaged(ValueError):
    """The note is not as it was written."""


def write_note(files: Files, path: Path, values: Mapping[str, Any]) -> None:
    """Put a note in the place of the one at `path`, in one step, durable on return."""
    body = json.dumps(values).encode()
    fresh = path.with_name(path.name + ".new")
    file = files.create(fresh)
    try:
        file.write(0, b"%s\n%08x\n" % (body, crc32c(body)))
        file.sync()
    finally:
        file.close()
    files.rename(fresh, path)
    files.sync_folder(path.parent)


def read_note(files: Files, path: Path) -> dict[str, Any]:
    """The values of the note at `path`; NoteDamaged if a bit of it changed."""
    file = files.open(path)
    try:
        content = file.read(0, NOTE_BYTES_MAX)
    finally:
        file.close()
    body, _, crc = content.partition(b"\n")
    if crc != b"%08x\n" % crc32c(body):
        raise NoteDamaged(f"{path} is damaged: its checksum is another")
    values = json.loads(body)
    assert isinstance(values, dict), "a note holds named values"
    return values
