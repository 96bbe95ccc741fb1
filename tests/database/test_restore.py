from __future__ import annotations

import random
from pathlib import Path

import apsw
import pytest

from raftsql.database import backup, checksum, internal, restore, snapshot
from raftsql.database.disk import Disk
from raftsql.database.environment import Role, open_connection
from raftsql.database.installation import install
from raftsql.raft.messages import Position
from tests.database.test_checksum import ROWS, SCHEMA, summed

COUNT = (
    "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT i FROM n)"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "given"


def made(path: Path, *statements: str) -> Path:
    connection = apsw.Connection(str(path))
    connection.execute(
        "CREATE TABLE fine (a INTEGER PRIMARY KEY, b); INSERT INTO fine VALUES (1, 2)"
    )
    for statement in statements:
        connection.execute(statement)
    connection.close()
    return path


def forged(path: Path, name: str, sql: str, *, kind: str = "table", table: str = "") -> Path:
    """A schema entry that no statement could have made."""
    made(path)
    connection = apsw.Connection(str(path))
    connection.pragma("writable_schema", True)
    connection.execute(
        "INSERT INTO sqlite_schema VALUES (?, ?, ?, 0, ?)", (kind, name, table or name, sql)
    )
    connection.close()
    return path


def reasons(path: Path) -> str:
    return "\n".join(f"{each.where}: {each.why}" for each in restore.inspect(path))


def test_a_sound_file_of_every_kind_of_object_passes(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(SCHEMA)
    for statement in ROWS:
        connection.execute(statement)
    connection.execute("CREATE TABLE late (at DEFAULT CURRENT_TIMESTAMP, n DEFAULT (random()))")
    connection.execute("ANALYZE")
    connection.close()
    assert reasons(path) == ""


@pytest.mark.parametrize(
    "shape",
    [
        "PRAGMA page_size = 512; VACUUM",
        "PRAGMA page_size = 65536; VACUUM",
        "PRAGMA auto_vacuum = FULL; VACUUM",
        "PRAGMA journal_mode = WAL",
        "PRAGMA user_version = 9",
    ],
)
def test_a_sound_file_of_another_shape_passes_and_can_be_prepared(
    path: Path, tmp_path: Path, shape: str
) -> None:
    made(path, shape)
    assert reasons(path) == ""
    assert not list(tmp_path.glob("given-*"))
    with_internals(path, running(tmp_path))
    connection = open_connection(path, Role.WRITER)
    assert connection.execute("SELECT * FROM fine").fetchall() == [(1, 2)]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE VIEW v AS SELECT load_extension('x')", "load_extension"),
        ("CREATE VIEW v AS SELECT sqlite_version()", "sqlite_version"),
        ("CREATE TABLE t (a DEFAULT (sqlite_source_id()))", "sqlite_source_id"),
        ("CREATE TABLE t (a, b AS (a || 1), CHECK (a <> sqlite_version()))", "sqlite_version"),
        (
            "CREATE TRIGGER t AFTER INSERT ON fine BEGIN UPDATE fine SET b = total_changes(); END",
            "total_changes",
        ),
        ("CREATE VIRTUAL TABLE d USING dbstat", "dbstat"),
        (
            "CREATE TABLE raftsql (a); CREATE VIEW w AS SELECT * FROM sqlite_raftsql_facts",
            "raftsql",
        ),
    ],
)
def test_what_the_cluster_refuses_is_refused_in_a_file(
    path: Path, statement: str, words: str
) -> None:
    assert words in reasons(made(path, statement))


def test_a_module_that_is_not_there_is_refused(path: Path) -> None:
    sql = "CREATE VIRTUAL TABLE evil USING writer('/etc/passwd')"
    assert "evil" in reasons(forged(path, "evil", sql))


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("sqlite_raftsql_facts", "CREATE TABLE sqlite_raftsql_facts (a)"),
        ("SQLITE_RAFTSQL_POSITION", "CREATE TABLE SQLITE_RAFTSQL_POSITION (a)"),
        ("sqlite_other", "CREATE VIEW sqlite_other AS SELECT 1"),
        ("x", "CREATE VIEW x AS SELECT 1; DROP TABLE fine"),
        ("x", "create nonsense"),
        ("x", "DELETE FROM fine"),
        ("x", ""),
    ],
)
def test_a_forged_schema_is_refused(path: Path, name: str, sql: str) -> None:
    assert reasons(forged(path, name, sql, kind="view"))


def test_a_schema_that_is_not_utf_8_is_refused(path: Path) -> None:
    made(path)
    connection = apsw.Connection(str(path))
    connection.pragma("writable_schema", True)
    connection.execute(
        "INSERT INTO sqlite_schema VALUES ('view', 'v', 'v', 0,"
        " CAST(CAST('CREATE VIEW v AS SELECT 1 AS ' AS BLOB) || x'22ff22' AS TEXT))"
    )
    connection.close()
    assert reasons(path)


@pytest.mark.parametrize("data", [b"", b"hello", b"SQLite format 3\x00", b"PK\x03\x04" * 100])
def test_what_is_no_database_is_refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    assert reasons(path)


def test_a_file_that_is_not_there_is_a_problem(path: Path) -> None:
    assert reasons(path)


def test_a_file_cut_short_is_refused(path: Path) -> None:
    made(path, "INSERT INTO fine SELECT i + 1, randomblob(900) FROM " + COUNT.format(200))
    data = path.read_bytes()
    for size in (len(data) - 1, len(data) - 4096, len(data) // 2, 4096, 5000):
        path.write_bytes(data[:size])
        assert reasons(path), size


def test_an_index_that_disagrees_with_its_table_is_refused(path: Path) -> None:
    made(path, "CREATE TABLE t (a, b)", "CREATE INDEX i ON t (a)", "INSERT INTO t VALUES (1, 2)")
    connection = apsw.Connection(str(path))
    connection.pragma("writable_schema", True)
    connection.execute("UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (b)' WHERE name = 'i'")
    connection.close()
    assert "index i" in reasons(path)


def test_a_check_that_never_ends_is_cut(path: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    made(path, "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    connection = apsw.Connection(str(path))
    connection.execute("INSERT INTO t SELECT i FROM " + COUNT.format(300_000))
    connection.close()
    looks = iter([False] * 3 + [True] * 1000)
    with pytest.raises(restore.InspectionCut):
        restore.inspect(path, expired=lambda: next(looks))
    assert "t" in reasons(
        forged(path.with_name("other"), "t", f"CREATE TABLE t (a CHECK (({endless})))")
    )


@pytest.mark.parametrize("seed", range(12))
def test_no_damage_brings_the_process_down_or_goes_unnoticed(
    path: Path, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    connection = apsw.Connection(str(path))
    connection.execute(SCHEMA)
    for statement in ROWS:
        connection.execute(statement)
    connection.close()
    sound = path.read_bytes()
    refused = 0
    for _ in range(25):
        data = bytearray(sound)
        for _ in range(chance.choice([1, 3, 30])):
            data[chance.randrange(len(data))] = chance.choice([0, 255, 1, chance.randrange(256)])
        if chance.random() < 0.3:
            page = chance.randrange(len(data) // 4096) * 4096
            other = chance.randrange(len(data) // 4096) * 4096
            data[page : page + 4096] = sound[other : other + 4096]
        path.write_bytes(data)
        if reasons(path):
            refused += 1
            continue
        opened = snapshot.open_closed(path)
        with opened:
            checksum.take(opened)
        opened.close()
    assert refused > 0


def running(folder: Path) -> apsw.Connection:
    connection = open_connection(folder / "running", Role.WRITER)
    internal.create(connection)
    with connection:
        internal.keep_position(connection, 41, 3, 1000)
        internal.keep_fact(connection, internal.MEMBERSHIP, b"members")
        internal.keep_fact(connection, "secret", b"users")
        internal.keep_session(connection, 5, b"nonce", 10, 20)
        connection.execute("UPDATE sqlite_raftsql_position SET answers = x'0102'")
        connection.execute("CREATE TABLE replaced (a)")
    return connection


def with_internals(path: Path, source: apsw.Connection) -> None:
    restore.prepare(path, source, last=Position(index=42, term=4), clock_ms=2000)


def test_a_prepared_file_takes_the_place_of_the_database_and_keeps_the_cluster(
    path: Path, tmp_path: Path
) -> None:
    source = running(tmp_path)
    made(path)
    before = summed(apsw.Connection(str(path)))
    with_internals(path, source)
    source.close()
    install(path, tmp_path / "running", Disk())
    connection = open_connection(tmp_path / "running", Role.WRITER)
    internal.create(connection)
    assert internal.position(connection) == (Position(index=42, term=4), 2000)
    assert internal.fact(connection, internal.MEMBERSHIP) == b"members"
    assert internal.fact(connection, "secret") == b"users"
    assert internal.session_rows(connection) == [(5, b"nonce", 10, 20)]
    assert (41, b"\x01\x02") in internal.answer_rows(connection)
    assert not checksum.compare(summed(connection), before)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_preparing_again_after_a_crash_gives_the_same(path: Path, tmp_path: Path) -> None:
    source = running(tmp_path)
    made(path)
    with_internals(path, source)
    once = content(path)
    with_internals(path, source)
    assert content(path) == once


def content(path: Path) -> list[object]:
    connection = snapshot.open_closed(path)
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema").fetchall()]
    return [
        (name, connection.execute(f"SELECT * FROM {name}").fetchall())
        for name in names
        if "auto" not in name
    ]


def test_a_backup_can_be_restored(tmp_path: Path) -> None:
    source = running(tmp_path)
    source.execute("INSERT INTO replaced VALUES ('kept')")
    backup.take(tmp_path / "running", tmp_path / "backup", Disk())
    source.execute("DELETE FROM replaced")
    assert restore.inspect(tmp_path / "backup") == []
    with_internals(tmp_path / "backup", source)
    source.close()
    install(tmp_path / "backup", tmp_path / "running", Disk())
    connection = open_connection(tmp_path / "running", Role.WRITER)
    assert connection.execute("SELECT a FROM replaced").fetchall() == [("kept",)]


def test_a_file_of_a_node_itself_is_refused_with_what_to_do(tmp_path: Path) -> None:
    source = running(tmp_path)
    snapshot.take(tmp_path / "running", tmp_path / "copy", Disk())
    assert "raftsql backup" in reasons(tmp_path / "copy")
    source.close()
