from __future__ import annotations

import random
from pathlib import Path

import apsw
import pytest

from raftsql.database import backup, checksum, restore, snapshot
from raftsql.database.disk import Disk
from raftsql.database.environment import Role, open_connection
from raftsql.database.errors import MachineStopped
from raftsql.database.installation import install
from raftsql.database.machine import Machine
from raftsql.raft.messages import Entry, EntryKind, Position
from raftsql.sql.commands import (
    CommandKind,
    Done,
    OpenSession,
    Restore,
    Statement,
    decode_answer,
    encode,
    seal,
)
from tests.database.power import PowerFile, PowerVFS
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
    restore.prepare(path, running(tmp_path), RESTORE)
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


def running(folder: Path) -> Path:
    """A node's database: position 4, one session with an answer, a table to be replaced."""
    machine = Machine.open(folder / "running")
    wish = encode(OpenSession(b"nonce", 1000))
    create = encode(Statement("CREATE TABLE replaced (a)"))
    insert = encode(Statement("INSERT INTO replaced VALUES ('kept')"))
    machine.apply(
        [
            Entry(1, 1, EntryKind.MEMBERSHIP, b"members"),
            command(2, CommandKind.OPEN_SESSION, wish),
            command(3, CommandKind.EXECUTE, create, sequence=1),
            command(4, CommandKind.EXECUTE, insert, sequence=2),
        ]
    )
    machine.close()
    return folder / "running"


def command(index: int, kind: CommandKind, body: bytes, *, sequence: int = 0) -> Entry:
    session = 2 if sequence else 0
    payload = seal(kind, body, clock_ms=100 * index, seed=1, session=session, sequence=sequence)
    return Entry(1, index, EntryKind.COMMAND, payload)


RESTORE = command(5, CommandKind.RESTORE, encode(Restore(b"digest", 0)), sequence=3)


def test_a_restore_takes_the_place_of_the_rows_and_keeps_the_cluster(
    path: Path, tmp_path: Path
) -> None:
    live = running(tmp_path)
    made(path)
    before = summed(apsw.Connection(str(path)))
    machine = Machine.open(live)
    assert machine.apply([RESTORE, command(6, CommandKind.EXECUTE, b"")]) == []
    assert machine.marker is not None
    assert restore.answered(live, RESTORE) is None
    answer = restore.prepare(path, live, RESTORE)
    machine.close()
    install(path, live, Disk())

    machine = Machine.open(live)
    assert machine.applied == Position(index=5, term=1)
    assert machine.clock_ms == 500
    assert machine.membership == b"members"
    assert restore.answered(live, RESTORE) == answer
    insert = encode(Statement("INSERT INTO fine VALUES (7, 8)"))
    again = command(6, CommandKind.EXECUTE, insert, sequence=2)
    fresh = command(7, CommandKind.EXECUTE, insert, sequence=4)
    assert decode_answer(machine.apply([again])[0] or b"") == Done(1, 1)
    assert not checksum.compare(sum_of(live), before)
    assert decode_answer(machine.apply([fresh])[0] or b"") == Done(1, 7)
    assert checksum.compare(sum_of(live), before).tables == ["fine"]
    machine.close()


def sum_of(path: Path) -> checksum.Checksum:
    summing = checksum.Summing(path)
    while (found := summing.step()) is None:
        pass
    return found


def test_preparing_ends_the_same_after_a_crash_at_any_write(path: Path, tmp_path: Path) -> None:
    live = running(tmp_path)
    made(path)
    sound = path.read_bytes()
    restore.prepare(path, live, RESTORE)
    expected = content(path)
    chance = random.Random(5)
    for number in range(1000):
        node = tmp_path / f"before {number}"
        node.mkdir()
        (node / "given").write_bytes(sound)
        vfs = CrashVFS(number)
        vfs.durable["given"] = bytearray(sound)
        try:
            restore.prepare(node / "given", live, RESTORE, vfs=vfs.vfs_name)
            break
        except MachineStopped:
            pass
        vfs.cut(tmp_path / f"after {number}", chance)
        again = tmp_path / f"after {number}" / "given"
        restore.prepare(again, live, RESTORE)
        assert content(again) == expected
    assert number > 10


class CrashVFS(PowerVFS):
    """Fails the write or sync with this number, and all after it."""

    def __init__(self, fails_at: int) -> None:
        super().__init__()
        self.calls = 0
        self.fails_at = fails_at

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return CrashFile(self, name, flags)


class CrashFile(PowerFile):
    def _count(self) -> None:
        vfs = self._vfs
        assert isinstance(vfs, CrashVFS)
        vfs.calls += 1
        if vfs.calls > vfs.fails_at:
            raise apsw.IOError("crash")

    def xWrite(self, data: bytes, offset: int) -> None:
        self._count()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self._count()
        super().xSync(flags)


def content(path: Path) -> list[object]:
    connection = snapshot.open_closed(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    rows = [(name, connection.execute(f"SELECT * FROM {name}").fetchall()) for (name,) in names]
    connection.close()
    return rows


def test_a_backup_can_be_restored(tmp_path: Path) -> None:
    live = running(tmp_path)
    backup.take(live, tmp_path / "backup", Disk())
    assert restore.inspect(tmp_path / "backup") == []
    restore.prepare(tmp_path / "backup", live, RESTORE)
    install(tmp_path / "backup", live, Disk())
    connection = open_connection(live, Role.WRITER)
    assert connection.execute("SELECT a FROM replaced").fetchall() == [("kept",)]
    connection.close()


def test_a_file_of_a_node_itself_is_refused_with_what_to_do(tmp_path: Path) -> None:
    snapshot.take(running(tmp_path), tmp_path / "copy", Disk())
    assert "raftsql backup" in reasons(tmp_path / "copy")


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE full (a INTEGER PRIMARY KEY, b)",
        "CREATE TABLE full (a, b)",
        "CREATE TABLE full (rowid INTEGER PRIMARY KEY, b)",
        "CREATE TABLE full (a INTEGER PRIMARY KEY DESC, b)",
        "CREATE VIRTUAL TABLE full USING fts5(b)",
    ],
)
def test_a_file_in_which_the_last_row_number_is_taken_is_refused(path: Path, table: str) -> None:
    """Each node would number the next row by its own chance."""
    connection = apsw.Connection(str(path))
    connection.execute(table)
    connection.execute("INSERT INTO full(rowid, b) VALUES (9223372036854775806, 'x')")
    assert restore.inspect(path) == []
    connection.execute("INSERT INTO full(rowid, b) VALUES (9223372036854775807, 'x')")
    connection.close()
    (problem, *_) = restore.inspect(path)
    assert problem.where.startswith("table full")
    assert "numbers rows by chance" in problem.why


def test_a_sound_file_starts_a_new_cluster(path: Path) -> None:
    made(path)
    assert restore.inspect(path) == []
    machine = Machine.open(path)
    assert machine.applied == Position(index=0, term=0)
    machine.close()
