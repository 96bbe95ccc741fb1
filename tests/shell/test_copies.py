"""Backups and restores: a file has the name only when it is whole."""

from __future__ import annotations

from pathlib import Path

from tests.shell.conftest import Kept
from tests.shell.fake import ShellServer


def test_a_copy_that_arrives_damaged_leaves_no_file(
    server: ShellServer, shell: Kept, tmp_path: Path
) -> None:
    server.damage = True
    assert "another" in shell.type(f".backup {tmp_path}/copy.db")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_another_program_has_open_is_not_restored(
    server: ShellServer, shell: Kept, tmp_path: Path
) -> None:
    (tmp_path / "copy.db").write_bytes(b"a copy")
    (tmp_path / "copy.db-wal").write_bytes(b"the rest of it")
    assert "was not closed" in shell.type(f".restore {tmp_path}/copy.db --yes")
    assert not server.restored


def test_a_copy_is_taken_and_put_back(server: ShellServer, shell: Kept, tmp_path: Path) -> None:
    shell.type(f".backup {tmp_path}/copy.db")
    assert (tmp_path / "copy.db").read_bytes() == b"a copy"
    shell.type(f".restore {tmp_path}/copy.db --yes")
    assert server.restored
