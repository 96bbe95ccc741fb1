"""What a node notes in its folder before it belongs to a cluster, so that no crash strands it.

Between the moment when a cluster gives a node its place, or the node decides to found one, and the
moment when its data directory says so as a whole, a crash must not make a stranger of it: the
cluster would wait for ever for a member that never comes back, under an id that is used up.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from raftsql.storage.errors import NotADataDir
from raftsql.storage.files import Files
from raftsql.storage.notes import NoteDamaged, read_note, write_note


@dataclass(frozen=True, slots=True)
class Beginning:
    """Who a node will be."""

    identity: str
    founds: bool
    """Whether it founds a cluster; otherwise it asks for a place in one."""


def begun(folder: Path, files: Files) -> Beginning | None:
    """What was noted, if anything was."""
    if not files.exists(_path(folder)):
        return None
    try:
        found = read_note(files, _path(folder))
    except NoteDamaged as error:
        raise NotADataDir(f"{error}. Empty {folder}, and start again") from error
    return Beginning(found["identity"], found["founds"])


def begin(folder: Path, files: Files, beginning: Beginning) -> None:
    """Note it, durably, unless that is noted already."""
    if begun(folder, files) != beginning:
        write_note(files, _path(folder), asdict(beginning))


def end(folder: Path, files: Files) -> None:
    """The data directory says it all now."""
    if files.exists(_path(folder)):
        files.unlink(_path(folder))


def _path(folder: Path) -> Path:
    return folder / "beginning"
