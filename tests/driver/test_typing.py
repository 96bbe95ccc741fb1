"""A program that uses the driver passes `mypy --strict`, and is told where it is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

ROOT = Path(__file__).parents[2]
PATHS = (ROOT, ROOT / "driver", ROOT / "proto")
SOUND = """
import asyncio
from collections.abc import Iterator
from typing import assert_type

import raftsql


def names(connection: raftsql.Connection) -> Iterator[str]:
    cursor: raftsql.Cursor = connection.execute("SELECT name FROM t WHERE id > ?", (1,))
    for row in cursor:
        yield row[0]


def write(url: str | None = None) -> int:
    with raftsql.connect(url, autocommit=True, timeout=5.0) as connection:
        connection.row_factory = raftsql.dict_row
        with connection.transaction("IMMEDIATE"):
            cursor = connection.executemany("INSERT INTO t VALUES(:a)", [{"a": 1}])
        assert_type(connection.examine("SELECT 1"), raftsql.Verdict)
        assert_type(connection.node, str)
        assert_type(connection.node_id, int | None)
        assert_type(connection.transaction_lost, bool)
        assert_type(cursor.lastrowid, int | None)
        connection.bookmark = connection.bookmark
        return cursor.rowcount


def retried() -> None:
    try:
        write()
    except raftsql.IntegrityError as error:
        assert_type(error.sqlite_errorname, str)
        assert_type(error.position, int)
    except (raftsql.OutcomeUnknown, raftsql.SerializationFailure):
        pass


async def tasks() -> None:
    async with raftsql.AsyncConnectionPool(max_size=4) as pool, pool.connection() as connection:
        assert_type(connection, raftsql.AsyncConnection)
        async with connection.transaction():
            cursor = await connection.execute("SELECT 1", consistency="stale")
        async for row in cursor:
            print(row)
        (await connection.examine("SELECT 1")).detail.upper()


def pooled() -> None:
    with raftsql.ConnectionPool(min_size=1) as pool, pool.connection() as connection:
        assert_type(connection, raftsql.Connection)


raftsql.register_adapter(complex, str)
raftsql.register_converter("complex", lambda value: complex(value.decode()))
asyncio.run(tasks())
"""
WRONG = """
import raftsql

connection = raftsql.connect()
raftsql.connect(timeot=5)
connection.execute(b"SELECT 1")
connection.execute("SELECT 1", 5)
connection.execute("SELECT 1", consistency=2)
connection.commit("now")
connection.nonsense()
raftsql.nonsense()
raftsql.AsyncConnection.connect().execute("SELECT 1")
"""


def checked(folder: Path, program: str) -> str:
    file = folder / "program.py"
    file.write_text(program)
    settings = folder / "mypy.ini"
    paths = ":".join(map(str, PATHS))
    settings.write_text(f"[mypy]\nmypy_path = {paths}\nfollow_imports = silent\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(settings)]
    done = subprocess.run(
        [*command, "--cache-dir", str(folder / "cache"), str(file)],
        capture_output=True, text=True, cwd=folder, timeout=110, check=False,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    return done.stdout


def test_a_sound_program_passes_and_a_wrong_one_is_told_each_line(tmp_path: Path) -> None:
    out = checked(tmp_path, SOUND)
    assert out.startswith("Success"), out
    out = checked(tmp_path, WRONG)
    lines = {int(line) for line in re.findall(r"program\.py:(\d+): error", out)}
    assert lines == set(range(5, 13)), out
