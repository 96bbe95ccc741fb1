from __future__ import annotations

from pathlib import Path

import pytest

from raftsql.database.disk import Disk


def test_a_rename_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"old")
    Disk().rename(tmp_path / "new", tmp_path / "old")
    Disk().sync_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_bytes() == b"new"


def test_what_is_not_there_is_removed_already_but_can_not_be_synced(tmp_path: Path) -> None:
    Disk().remove(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError):
        Disk().sync_file(tmp_path / "nothing")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        Disk().sync_folder(tmp_path / "file")
