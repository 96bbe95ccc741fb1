from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from backports import zstd

from raftsql.server.packing import damage, plain, settle, unfinished, unpacked


def test_what_is_unfinished_goes_however_it_ends(tmp_path: Path) -> None:
    def half() -> None:
        with unfinished(tmp_path) as path:
            path.write_bytes(b"half")
            raise ValueError("broken off")

    with pytest.raises(ValueError, match="broken off"):
        half()
    assert list(tmp_path.iterdir()) == []


def test_what_is_settled_has_its_name_and_an_ordinary_files_rights(tmp_path: Path) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.write_bytes(b"")
    with unfinished(tmp_path) as path:
        path.write_bytes(b"whole")
        settle(path, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"whole"
    assert (tmp_path / "target").stat().st_mode == ordinary.stat().st_mode
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ordinary", "target"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress])
def test_a_file_reads_alike_packed_or_not(tmp_path: Path, pack: type[bytes]) -> None:
    path = tmp_path / "file"
    path.write_bytes(pack(b"content"))
    with plain(path) as file:
        assert file.read() == b"content"
    with unpacked(path) as found:
        assert found.read_bytes() == b"content"
    assert path.exists()


def test_damage_is_found_in_a_page_and_in_a_header(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t(a)")
        connection.executemany("INSERT INTO t VALUES (?)", [("x" * 900,) for _ in range(100)])
        connection.commit()
    assert damage(path) == ""
    content = bytearray(path.read_bytes())
    content[3 * 4096 : 4 * 4096] = b"\xaa" * 4096
    path.write_bytes(content)
    assert damage(path)
    path.write_bytes(b"no database")
    assert damage(path)
