from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator

import apsw
import pytest

from raftsql.database import checksum, internal
from raftsql.database.dump import dump
from tests.database.test_checksum import ROWS, SCHEMA, summed


@pytest.fixture
def writer() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    internal.create(connection)
    connection.execute(SCHEMA)
    for statement in ROWS:
        connection.execute(statement)
    return connection


def loaded(statements: Iterator[str]) -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    for statement in statements:
        connection.execute(statement)
    return connection


def dumped(connection: apsw.Connection) -> apsw.Connection:
    with connection:
        return loaded(dump(connection))


def test_a_dump_makes_an_equal_database(writer: apsw.Connection) -> None:
    writer.execute("PRAGMA user_version = 5; PRAGMA application_id = 77; ANALYZE")
    again = dumped(writer)
    assert not checksum.compare(summed(again), summed(writer))
    assert again.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert again.pragma("user_version") == 5


def test_row_numbers_that_no_column_shows_survive_a_dump(writer: apsw.Connection) -> None:
    again = dumped(writer)
    for table in ("plain", "paired", "descending"):
        query = f"SELECT rowid, * FROM {table} ORDER BY rowid"
        assert again.execute(query).fetchall() == writer.execute(query).fetchall()


def test_every_value_survives_a_dump(writer: apsw.Connection) -> None:
    chance = random.Random(1)
    writer.execute("CREATE TABLE v (a)")
    values: list[object] = [
        None, 0, -1, 2**63 - 1, -(2**63), 0.0, -0.0, 1.0, 1e22, 5e-324, 1.7976931348623157e308,
        float("inf"), float("-inf"), "", "it's", "line\nbreak\r\n", "nul\x00inside", "é\U0001f600",
        b"", b"\x00\xff'",
    ]  # fmt: skip
    values += [chance.uniform(-1, 1) * 10 ** chance.randrange(-300, 300) for _ in range(2000)]
    writer.executemany("INSERT INTO v VALUES (?)", [(value,) for value in values])
    writer.execute("INSERT INTO v VALUES (CAST(x'ff27e9' AS TEXT))")
    again = dumped(writer)
    assert not checksum.compare(summed(again), summed(writer))


def test_names_that_need_quotes_survive_a_dump() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute('CREATE TABLE "a ""b"" c" ("select" INT, "x y", rowid)')
    connection.execute("""INSERT INTO "a ""b"" c" VALUES (1, 'z', 5)""")
    assert not checksum.compare(summed(dumped(connection)), summed(connection))


def test_a_dump_has_nothing_of_the_cluster(writer: apsw.Connection) -> None:
    with writer:
        assert "raftsql" not in "".join(dump(writer))


def test_a_dump_comes_one_statement_at_a_time(writer: apsw.Connection) -> None:
    writer.execute("CREATE TABLE big (a)")
    writer.execute("INSERT INTO big SELECT zeroblob(500000) FROM plain, plain")
    with writer:
        statements = dump(writer)
        assert max(len(statement) for statement in statements) < 1_100_000


def test_another_sqlite_reads_a_dump(writer: apsw.Connection) -> None:
    other = sqlite3.connect(":memory:")
    with writer:
        other.executescript("".join(dump(writer)))
    assert other.execute("SELECT name FROM keyed ORDER BY id").fetchall() == [("A",), ("é",)]
    assert other.execute("SELECT low, high FROM boxes WHERE id = 1").fetchall() == [(0.5, 2.5)]
    assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    other.close()
