"""Known attacks by SQL, and by files, against three nodes: refused, and nothing is harmed.

What is tried is tried as an admin, who may do most: there is nobody left to be stopped by rights.
After each the cluster answers, and at the end all nodes hold the same.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

import raftsql as driver
from raftsql.server.operate import call
from raftsql_proto import admin_pb2
from tests.security.secured import Secured
from tests.server.processes import raftsql

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

REFUSED = [
    "ATTACH '/tmp/raftsql-attack.db' AS other",
    "ATTACH ':memory:' AS other",
    "ATTACH DATABASE '' AS other",
    "DETACH main",
    "VACUUM INTO '/tmp/raftsql-attack.db'",
    "SELECT load_extension('/tmp/evil.so')",
    "SELECT load_extension('/tmp/evil.so', 'init')",
    "INSERT INTO orders VALUES (2, load_extension('/tmp/evil.so'))",
    "SELECT writefile('/tmp/raftsql-attack', 'x')",
    "SELECT readfile('/etc/passwd')",
    "SELECT edit('x', 'sh')",
    "SELECT * FROM fsdir('/')",
    "SELECT fts3_tokenizer('simple', x'4141414141414141')",
    "SELECT fts3_tokenizer('simple')",
    "SELECT sqlite_log(1, 'forged')",
    "SELECT * FROM sqlite_dbpage",
    "UPDATE sqlite_dbpage SET data = zeroblob(4096) WHERE pgno = 1",
    "SELECT * FROM sqlite_stmt",
    "SELECT * FROM carray(1, 1)",
    "SELECT * FROM bytecode('SELECT 1')",
    "CREATE VIRTUAL TABLE v USING csv(filename='/etc/passwd')",
    "CREATE VIRTUAL TABLE v USING dbstat",
    "CREATE VIRTUAL TABLE v USING sqlite_dbpage",
    "CREATE TEMP TABLE t(a)",
    "CREATE TEMP TRIGGER t AFTER INSERT ON orders BEGIN SELECT 1; END",
    "UPDATE sqlite_schema SET sql = 'CREATE TABLE orders(x)'",
    "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, 'CREATE TABLE x(a)')",
    "DELETE FROM sqlite_master",
    "SELECT * FROM sqlite_raftsql_facts",
    "SELECT value FROM sqlite_raftsql_facts WHERE name = 'access'",
    'SELECT * FROM main."sqlite_raftsql_facts"',
    "SELECT * FROM [SQLITE_RAFTSQL_SESSIONS]",
    "WITH f AS (SELECT * FROM sqlite_raftsql_facts) SELECT * FROM f",
    "CREATE VIEW spy AS SELECT * FROM sqlite_raftsql_facts; SELECT * FROM spy",
    "UPDATE sqlite_raftsql_facts SET value = x''",
    "DELETE FROM sqlite_raftsql_sessions",
    "DROP TABLE sqlite_raftsql_position",
    "ALTER TABLE sqlite_raftsql_facts RENAME TO mine",
    "CREATE TABLE sqlite_raftsql_mine(a)",
    "CREATE TRIGGER t AFTER INSERT ON sqlite_raftsql_facts BEGIN SELECT 1; END",
    "CREATE INDEX i ON sqlite_raftsql_facts(value)",
    "INSERT INTO docs_data VALUES (1, x'00')",
    "UPDATE docs_content SET c0 = 'x'",
    "SELECT fts5(x'00')",
    "INSERT INTO docs(docs, rank) VALUES ('no such command', 1)",
    "CREATE VIRTUAL TABLE f USING fts5(a, content='sqlite_raftsql_facts')",
    "SELECT json_extract('" + "[" * 2000 + "]" * 2000 + "', '$')",
    "SELECT json('" + "[" * 100_000 + "')",
    "SELECT jsonb_extract(x'ffffffffffffffffff', '$.a')",
    "SELECT " + "(" * 5_000 + "1" + ")" * 5_000,
    "SELECT " + "+".join(["1"] * 50_000),
    "SELECT " + "-" * 3_000 + " 1 FROM orders WHERE" + " NOT" * 20_000 + " 1",
    "SELECT 1" + " UNION ALL SELECT 1" * 5_000,
    "SELECT * FROM " + ", ".join(f"orders o{n}" for n in range(100)),
    "SELECT 'a' LIKE '" + "%a" * 60_000 + "'",
    "SELECT 'a' GLOB '" + "*a" * 60_000 + "'",
    "SELECT zeroblob(2147483647)",
    "SELECT randomblob(1e12)",
    "INSERT INTO orders VALUES (3, zeroblob(2147483647))",
    "SELECT printf('%2147483647d', 1)",
    "SELECT replace(hex(zeroblob(30000000)), '0', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')",
    "CREATE TABLE wide(" + ", ".join(f"c{n}" for n in range(40_000)) + ")",
    "CREATE TRIGGER deep AFTER INSERT ON no_such_table BEGIN DELETE FROM orders; END",
    "PRAGMA writable_schema = ON",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA trusted_schema = ON",
    "PRAGMA query_only = OFF",
    "PRAGMA temp_store_directory = '/tmp'",
    "PRAGMA key = 'x'; DROP TABLE orders",
    "SELECT 1; DROP TABLE orders; DROP TABLE no_such_table",
    "BEGIN; DELETE FROM orders; ATTACH ':memory:' AS x; COMMIT",
]
"""Each is refused in words; none changes anything."""

HARMLESS = [
    "SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n"
    " LIMIT 100000) SELECT i FROM n)",
    "SELECT length(printf('%.*c', 100000, 'x'))",
    "SELECT name FROM pragma_function_list WHERE name IN ('readfile', 'writefile', 'edit')",
]


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    made = Secured(tmp_path_factory.mktemp("three"), 3)
    try:
        made.start().people()
        with made.connect("root") as root:
            root.execute("CREATE VIRTUAL TABLE docs USING fts5(body)")
            root.execute("INSERT INTO docs VALUES ('words to be found')")
        yield made
        report = verified(made)
        assert report["equal"], report
    finally:
        made.stop()


def verified(secured: Secured) -> Any:
    place = secured.place(secured.port, "root")
    reply = call(place, lambda stub: stub.Verify, admin_pb2.VerifyRequest(), 60.0)
    return json.loads(reply.json)


def held(secured: Secured) -> Any:
    """What there is, asked through each node."""
    found = []
    for node in secured.nodes:
        with secured.connect("root", port=int(node.address.rpartition(":")[2])) as root:
            found.append(
                [
                    root.execute("SELECT * FROM orders").fetchall(),
                    root.execute("SELECT type, name, sql FROM sqlite_schema").fetchall(),
                    root.execute("SELECT * FROM docs").fetchall(),
                    root.execute("PRAGMA user_version").fetchall(),
                ]
            )
    assert found[0] == found[1] == found[2]
    return found[0]


@pytest.mark.parametrize("sql", REFUSED, ids=lambda sql: sql[:60])
def test_an_attack_is_refused_and_harms_nothing(three: Secured, sql: str) -> None:
    before = held(three)
    several = ";" in sql.rstrip(";") and "TRIGGER" not in sql

    def attack() -> None:
        with three.connect("root") as root:
            if several:
                root.executescript(sql)
            else:
                root.execute(sql).fetchall()

    with pytest.raises(driver.Error):
        attack()
    with three.connect("root") as root:
        with contextlib.suppress(driver.Error):
            root.execute("BEGIN IMMEDIATE")
            root.execute(sql).fetchall()
        with contextlib.suppress(driver.Error):
            root.execute("ROLLBACK")
        with contextlib.suppress(driver.Error):
            root.execute("DROP VIEW IF EXISTS spy")
    assert held(three) == before


@pytest.mark.parametrize("sql", HARMLESS, ids=lambda sql: sql[:60])
def test_what_looks_dangerous_and_is_not_is_answered(three: Secured, sql: str) -> None:
    with three.connect("root") as root:
        root.execute(sql).fetchall()


def test_every_pragma_reads_or_is_refused(three: Secured) -> None:
    """All that SQLite has, with a value and without: nothing of the node changes."""
    names = [name for (name,) in apsw.Connection(":memory:").execute("PRAGMA pragma_list")]
    assert len(names) > 60
    probe = ("journal_mode", "synchronous", "query_only", "trusted_schema", "foreign_keys",
             "writable_schema", "cache_size", "mmap_size", "max_page_count", "locking_mode",
             "user_version", "application_id", "secure_delete", "auto_vacuum")  # fmt: skip

    def settings() -> list[Any]:
        found: list[Any] = []
        for name in probe:
            with three.connect("root") as root:
                try:
                    found.append((name, root.execute(f"PRAGMA {name}").fetchall()))
                except driver.Error as error:
                    found.append((name, str(error)))
        return found

    before, schema = settings(), held(three)
    for name in names:
        for text in (f"PRAGMA {name}", f"PRAGMA {name} = 7", f"PRAGMA {name}('orders')"):
            if name in ("user_version", "application_id") and text != f"PRAGMA {name}":
                continue
            with three.connect("root") as root, contextlib.suppress(driver.Error):
                root.execute(text).fetchall()
    assert settings() == before
    assert held(three) == schema


def plain_database(path: Path, *statements: str) -> Path:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as made:
        for statement in ("CREATE TABLE orders(id INTEGER PRIMARY KEY, what)", *statements):
            made.execute(statement)
    return path


def _written_into_the_schema(path: Path, sql: str) -> Path:
    plain_database(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as made:
        made.execute("PRAGMA writable_schema = ON")
        made.execute("INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, ?)", (sql,))
    return path


def _patched(path: Path, *, at: int, content: bytes) -> Path:
    plain_database(path)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)
    return path


def _bomb(path: Path) -> Path:
    with gzip.open(path, "wb", compresslevel=9) as packed:
        for _ in range(128):
            packed.write(bytes(1 << 20))
    return path


def _cut(path: Path) -> Path:
    plain_database(path, "INSERT INTO orders VALUES (1, zeroblob(50000))")
    path.write_bytes(path.read_bytes()[:9_000])
    return path


FILES: dict[str, Callable[[Path], Path]] = {
    "an extension in a trigger": lambda p: plain_database(
        p,
        "CREATE TRIGGER t AFTER INSERT ON orders BEGIN SELECT load_extension('/tmp/x.so'); END",
    ),
    "an extension in a view": lambda p: plain_database(
        p, "CREATE VIEW v AS SELECT load_extension('/tmp/x.so')"
    ),
    "a tokenizer in a view": lambda p: plain_database(
        p, "CREATE VIEW v AS SELECT fts3_tokenizer('simple', x'4141414141414141')"
    ),
    "the clock of the build in a default": lambda p: plain_database(
        p, "CREATE TABLE d(a DEFAULT (sqlite_version()))"
    ),
    "a table of raftsql's own": lambda p: _written_into_the_schema(
        p, "CREATE TABLE sqlite_raftsql_facts(name, value)"
    ),
    "a schema that is no SQL": lambda p: _written_into_the_schema(p, "CREATE TABLE x(((("),
    "a schema that drops": lambda p: _written_into_the_schema(p, "DROP TABLE orders"),
    "an endless page count": lambda p: _patched(p, at=28, content=b"\xff\xff\xff\xfe"),
    "an impossible page size": lambda p: _patched(p, at=16, content=b"\x00\x03"),
    "a root page beyond the file": lambda p: _patched(p, at=100, content=b"\x0d\x00\x00\xff\xff"),
    "a loop of free pages": lambda p: _patched(p, at=32, content=b"\x00\x00\x00\x02" * 2),
    "half a file": _cut,
    "an empty file": lambda p: (p.write_bytes(b""), p)[1],
    "no database": lambda p: (p.write_bytes(b"SQLite format 3\0" + b"A" * 5_000), p)[1],
    "zeros that were packed": _bomb,
    "a virtual table that reads files": lambda p: _written_into_the_schema(
        p, "CREATE VIRTUAL TABLE x USING csv(filename='/etc/passwd')"
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_malicious_file_is_not_restored(three: Secured, tmp_path: Path, name: str) -> None:
    before = held(three)
    path = FILES[name](tmp_path / "evil.db")
    done = raftsql(
        "restore", str(path), "--yes", "--url", three.url(three.port, "root"), seconds=120
    )
    assert done.returncode != 0, done.stdout
    assert done.stderr.strip(), "it says why"
    assert "Traceback" not in done.stderr
    assert held(three) == before
    assert all(node.process and node.process.poll() is None for node in three.nodes)


def test_users_outlive_a_restore_and_a_backup_holds_none_of_them(
    three: Secured, tmp_path: Path
) -> None:
    url, copy = three.url(three.port, "root"), tmp_path / "copy.db"
    assert raftsql("backup", str(copy), "--url", url, seconds=60).returncode == 0
    content = copy.read_bytes()
    assert b"sqlite_raftsql" not in content
    assert b"raftsql_facts" not in content
    done = raftsql("restore", str(copy), "--yes", "--url", url, seconds=120)
    assert done.returncode == 0, done.stderr
    with three.connect("ann") as ann:
        with pytest.raises(driver.ProgrammingError):
            ann.execute("SELECT * FROM secrets")
        assert ann.execute("SELECT * FROM prices").fetchall() == [("a", 7)]


def test_an_open_transaction_does_not_keep_a_restore_waiting(
    three: Secured, tmp_path: Path
) -> None:
    url, copy = three.url(three.port, "root"), tmp_path / "copy.db"
    assert raftsql("backup", str(copy), "--url", url, seconds=60).returncode == 0
    with three.connect("ann", autocommit=False) as ann:
        ann.execute("INSERT INTO orders VALUES (90, 'held')")
        done = raftsql("restore", str(copy), "--yes", "--url", url, seconds=120)
        assert done.returncode == 0, done.stderr
        with pytest.raises(driver.OperationalError, match="the database is being replaced"):
            ann.execute("INSERT INTO orders VALUES (91, 'held')")
        ann.rollback()


def test_through_any_node_a_user_is_the_same(three: Secured) -> None:
    for node in three.nodes:
        port = int(node.address.rpartition(":")[2])
        with three.connect("ann", port=port) as ann:
            ann.execute("INSERT INTO orders(what) VALUES ('by ann')")
            ann.execute("BEGIN IMMEDIATE")
            ann.execute("DELETE FROM orders WHERE what = 'by ann'")
            with pytest.raises(driver.ProgrammingError):
                ann.execute("DELETE FROM secrets")
            ann.execute("COMMIT")
            for level in ("linearizable", "stale"):
                assert ann.execute("SELECT price FROM prices", consistency=level).fetchall()
                with pytest.raises(driver.ProgrammingError, match="ann may not read secrets"):
                    ann.execute("SELECT * FROM secrets", consistency=level).fetchall()
            with pytest.raises(driver.ProgrammingError, match="ann may not write to secrets"):
                ann.execute("DELETE FROM secrets")
        three.change("ann", port=port, password="ann's own word")
    assert verified(three)["equal"]
