"""The operator's commands where no cluster is, or before one is asked."""

from __future__ import annotations

import gzip
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from backports import zstd

from raftsql.server.backups import UNREACHABLE
from raftsql.server.cli import main
from raftsql.server.reaching import Progress, share
from raftsql.server.restoring import add_flags as restore_flags
from raftsql.server.verifying import add_flags as verify_flags
from tests.operations.nodes import free_ports

Main = Callable[..., int]


@pytest.fixture
def nobody() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "given.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t(a)")
        connection.commit()
    return path


def test_where_no_node_answers_the_code_is_three(
    nobody: str, given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (
        ["backup", str(tmp_path / "b.db")],
        ["restore", str(given), "--yes"],
        ["verify"],
    ):
        assert main([*command, "--url", nobody]) == UNREACHABLE == 3
        said = capsys.readouterr()
        assert said.out == ""
        assert nobody in said.err
    assert not (tmp_path / "b.db").exists()


def test_a_database_that_was_not_closed_is_not_sent(
    nobody: str, given: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(given)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.commit()
        assert main(["restore", str(given), "--yes", "--url", nobody]) == 1
    assert "given.db-wal holds a part of it" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_said_before_anybody_is_asked(
    nobody: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["restore", str(tmp_path / "none.db"), "--yes", "--url", nobody]) == 1
    assert "none.db" in capsys.readouterr().err


NO_DATABASES = {
    "picture.png": (b"\x89PNG" + bytes(200), "it is no SQLite database"),
    "empty.db": (b"", "it is no SQLite database"),
    "dump.sql": (b"BEGIN TRANSACTION;\nCREATE TABLE t(a);\n" * 9, "raftsql -f"),
    "backup.zip": (b"PK\x03\x04" + bytes(200), "a zip archive: unpack it first"),
    "packed.gz": (gzip.compress(b"no database" * 99), "it is no SQLite database"),
    "cut.gz": (gzip.compress(bytes(range(256)) * 99)[:40], "cut or damaged"),
    "cut.zst": (zstd.compress(bytes(range(256)) * 99)[:40], "cut or damaged"),
}


@pytest.mark.parametrize("name", NO_DATABASES)
def test_what_is_no_database_is_not_sent(
    nobody: str, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content, told = NO_DATABASES[name]
    path = tmp_path / name
    path.write_bytes(content)
    assert main(["restore", str(path), "--yes", "--url", nobody]) == 1
    assert told in capsys.readouterr().err


def test_a_database_that_was_cut_is_not_sent(
    nobody: str, given: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = given.read_bytes()
    given.write_bytes(content[:-4096])
    assert main(["restore", str(given), "--yes", "--url", nobody]) == 1
    assert "it ends after 1 of its 2 pages: the rest is missing" in capsys.readouterr().err
    given.write_bytes(content[:-100])
    assert main(["restore", str(given), "--yes", "--url", nobody]) == 1
    assert "it ends within a page" in capsys.readouterr().err


def test_a_url_that_names_no_file_is_said_before_anybody_is_asked(
    nobody: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backup", "s3://bucket", "--url", nobody]) == 1
    assert "names no file" in capsys.readouterr().err


def test_progress_is_for_terminals_only(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.show("half of it")
    progress.end()
    assert capsys.readouterr().err == ""
    assert share(5 << 20, 10 << 20) == "5 of 10 MiB, 50 %"
    assert share(0, 0) == "0 of 0 MiB, 0 %"


def test_each_command_explains_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert restore_flags is not verify_flags
    for command, flags in {
        "backup": ("--node", "--sql", "--gzip", "--zstd", "--force", "--unchecked", "--json"),
        "restore": ("--yes", "--changed", "--json"),
        "verify": ("--file", "--timeout", "--json"),
    }.items():
        with pytest.raises(SystemExit):
            main([command, "--help"])
        text = capsys.readouterr().out
        assert all(flag in text for flag in flags), f"{command} hides a flag"


def test_a_place_that_takes_no_backup_is_said_before_anybody_is_asked(
    nobody: str, given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for target, told in {
        tmp_path / "nowhere" / "b.db": "nowhere is no folder: make it first",
        tmp_path: "is a folder: name a file in it",
        given: "exists; --force replaces it",
        f"file://{given}": "exists; --force replaces it",
    }.items():
        assert main(["backup", str(target), "--url", nobody]) == 1
        assert told in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named_as_people_name_it(
    nobody: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = tmp_path / "absent.db"
    assert main(["restore", str(absent), "--yes", "--url", nobody]) == 1
    assert capsys.readouterr().err == f"raftsql restore: {absent}: No such file or directory\n"


def test_a_device_is_not_replaced_by_a_backup(
    nobody: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert main(["backup", str(pipe), "--force", "--url", nobody]) == 1
    assert "pipe is no file, and a backup would take its place" in capsys.readouterr().err
    assert pipe.is_fifo()
