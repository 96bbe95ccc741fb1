"""The pinned environment: the command's clock and chance, wherever SQL asks for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from raftsql.database import environment, numbers
from raftsql.database.environment import Role, fingerprint, open_connection, open_writer
from raftsql.database.errors import MachineStopped
from raftsql.sql.commands import Failed
from raftsql.sql.pinned import Chance

CLOCK_MS = 1_700_000_000_123


def one(connection: apsw.Connection, sql: str) -> object:
    return connection.execute(sql).fetchall()[0][0]


def test_every_way_to_ask_the_time_answers_the_commands_clock(tmp_path: Path) -> None:
    connection, pinned, _ = open_writer(tmp_path / "a.db")
    pinned.set(CLOCK_MS, 1)
    assert one(connection, "SELECT CURRENT_TIMESTAMP") == "2023-11-14 22:13:20"
    assert one(connection, "SELECT CURRENT_DATE") == "2023-11-14"
    assert one(connection, "SELECT strftime('%f')") == "20.123"
    assert one(connection, "SELECT unixepoch('subsec')") == 1_700_000_000.123
    assert one(connection, "SELECT julianday('now')") == pytest.approx(2460263.425927, abs=1e-6)


def test_two_databases_in_one_process_have_clocks_of_their_own(tmp_path: Path) -> None:
    first, first_pinned, _ = open_writer(tmp_path / "a.db")
    second, second_pinned, _ = open_writer(tmp_path / "b.db")
    first_pinned.set(1_000, 1)
    second_pinned.set(2_000, 1)
    assert one(first, "SELECT unixepoch()") == 1
    assert one(second, "SELECT unixepoch()") == 2


def test_random_is_a_function_of_the_seed_and_differs_by_row(tmp_path: Path) -> None:
    connection, pinned, _ = open_writer(tmp_path / "a.db")
    chance = Chance(7)
    pinned.set(0, 7)
    rows = connection.execute("SELECT random() FROM (VALUES (1), (2), (3))").fetchall()
    assert rows == [(chance.random(),), (chance.random(),), (chance.random(),)]
    assert len(set(rows)) == 3


@pytest.mark.parametrize(
    ("size", "length"),
    [
        ("16", 16),
        ("'4'", 4),
        ("' 3x'", 3),
        ("2.9", 2),
        ("0", 1),
        ("-5", 1),
        ("NULL", 1),
        ("'-'", 1),
    ],
)
def test_randomblob_reads_its_size_as_sqlite_does(tmp_path: Path, size: str, length: int) -> None:
    connection, _, _ = open_writer(tmp_path / "a.db")
    assert one(connection, f"SELECT length(randomblob({size}))") == length
    assert one(apsw.Connection(""), f"SELECT length(randomblob({size}))") == length


def test_a_randomblob_beyond_the_limit_is_too_big(tmp_path: Path) -> None:
    connection, _, _ = open_writer(tmp_path / "a.db")
    with pytest.raises(apsw.TooBigError):
        connection.execute("SELECT length(randomblob(200000000))")


def test_chance_works_inside_defaults_triggers_and_views(tmp_path: Path) -> None:
    connection, pinned, _ = open_writer(tmp_path / "a.db")
    connection.execute(
        """CREATE TABLE t(a, b DEFAULT (random()));
        CREATE TABLE u(c);
        CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO u VALUES (hex(randomblob(4))); END;
        CREATE VIEW v AS SELECT random() AS d;"""
    )
    pinned.set(0, 9)
    connection.execute("INSERT INTO t(a) VALUES (1)")
    chance = Chance(9)
    assert one(connection, "SELECT b FROM t") == chance.random()
    assert one(connection, "SELECT c FROM u") == chance.blob(4).hex().upper()
    assert one(connection, "SELECT d FROM v") == chance.random()


def test_a_reader_can_neither_write_nor_see_the_internal_tables(tmp_path: Path) -> None:
    connection, _, _ = open_writer(tmp_path / "a.db")
    connection.execute("CREATE TABLE t(a)")
    reader = open_connection(tmp_path / "a.db", Role.READER)
    for sql in ("INSERT INTO t VALUES (1)", "PRAGMA query_only = OFF", "ATTACH 'x' AS y"):
        with pytest.raises(apsw.Error):
            reader.execute(sql)


def test_the_file_is_in_wal_mode_with_fixed_pages(tmp_path: Path) -> None:
    connection, _, _ = open_writer(tmp_path / "a.db")
    assert one(connection, "PRAGMA journal_mode") == "wal"
    assert one(connection, "PRAGMA page_size") == 4096
    assert one(connection, "PRAGMA synchronous") == 1
    assert one(connection, "PRAGMA wal_autocheckpoint") == 0


def test_the_fingerprint_names_the_version_of_sqlite() -> None:
    assert apsw.sqlite_lib_version() in fingerprint()
    assert fingerprint() == fingerprint()


def test_too_large_a_draw_is_the_commands_error_and_stops_nothing(bench: Any) -> None:
    bench.sql("CREATE TABLE t(a)")
    for _ in range(4):
        answer = bench.sql("INSERT INTO t VALUES (randomblob(?))", [10**10])
        assert answer.code == apsw.SQLITE_TOOBIG
    assert bench.sql("INSERT INTO t VALUES (randomblob(?))", [4]).changes == 1


def test_the_fingerprint_follows_what_the_machine_makes_of_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = fingerprint()
    monkeypatch.setattr(numbers, "probe", lambda: "another library's")
    fingerprint.cache_clear()
    assert fingerprint() != here
    fingerprint.cache_clear()


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("name", ["XXX-3", "YYY+0:01", "EST5EDT,M3.2.0,M11.1.0", "GMT0BST"])
def test_no_database_is_opened_for_apply_in_a_zone_of_the_machines_own(
    tmp_path: Path, zone: pytest.MonkeyPatch, name: str
) -> None:
    zone.setenv("TZ", name)
    time.tzset()
    with pytest.raises(MachineStopped, match="TZ=UTC"):
        open_writer(tmp_path / "a.db")


@pytest.mark.parametrize("name", ["UTC", "GMT0", ""])
def test_a_zone_that_is_utc_by_another_name_will_do(
    tmp_path: Path, zone: pytest.MonkeyPatch, name: str
) -> None:
    zone.setenv("TZ", name)
    time.tzset()
    open_writer(tmp_path / "a.db")[0].close()


def test_localtime_and_utc_change_nothing(bench: Any) -> None:
    bench.sql("CREATE TABLE t(a)")
    for modifier in ("subsec", "localtime", "utc"):
        bench.sql(f"INSERT INTO t VALUES (datetime(1700000000, 'unixepoch', '{modifier}'))")
    assert bench.rows("SELECT DISTINCT substr(a, 1, 19) FROM t") == [("2023-11-14 22:13:20",)]


@pytest.mark.parametrize("limit", sorted(environment.LIMITS))
def test_every_limit_is_in_force_on_every_connection(tmp_path: Path, limit: int) -> None:
    writer, _, _ = open_writer(tmp_path / "a.db")
    reader = open_connection(tmp_path / "a.db", Role.READER)
    assert writer.limit(limit) == reader.limit(limit) == environment.LIMITS[limit]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES (zeroblob(64 * 1024 * 1024 + 1))",
        "INSERT INTO t VALUES (printf('%.*c', 99000000, 'x'))",
        "INSERT INTO t SELECT group_concat(hex(zeroblob(9000000))) FROM f",
        "UPDATE f SET a = a LIKE printf('%.*c', 1001, 'x')",
        "UPDATE f SET a = a GLOB printf('%.*c', 1001, 'x')",
    ],
)
def test_what_is_beyond_a_limit_is_an_answer(bench: Any, sql: str) -> None:
    numbered = "INSERT INTO f VALUES (1), (2), (3), (4)"
    bench.script("CREATE TABLE t(a)", "CREATE TABLE f(a)", numbered)
    answer = bench.sql(sql)
    assert isinstance(answer, Failed)
    assert "too big" in answer.message or "too complex" in answer.message
    assert bench.rows("SELECT * FROM t") == []


@pytest.mark.parametrize("levels", [12, 15, 30])
@pytest.mark.parametrize(
    "doubled",
    [
        "SELECT (SELECT max(a) FROM {v}) + (SELECT max(a) FROM {v}) AS a FROM t",
        "SELECT a FROM {v} UNION ALL SELECT a FROM {v}",
    ],
)
def test_views_of_views_that_double_are_refused_in_time(
    bench: Any, doubled: str, levels: int
) -> None:
    bench.script("CREATE TABLE t(a)", "CREATE VIEW v0 AS SELECT a FROM t")
    for level in range(1, levels + 1):
        bench.sql(f"CREATE VIEW v{level} AS {doubled.format(v=f'v{level - 1}')}")
    answer = bench.sql(f"INSERT INTO t SELECT a FROM v{levels}")
    assert isinstance(answer, Failed)
    assert "more than 20000 times" in answer.message or "too many" in answer.message
    assert bench.sql("INSERT INTO t SELECT a FROM v3").changes >= 0
