from __future__ import annotations

from pathlib import Path

import apsw
import msgspec
import pytest

from raftsql.database import checksum, internal
from raftsql.database.environment import Role, open_connection
from raftsql.database.machine import Machine
from raftsql.raft.messages import Entry, EntryKind
from raftsql.sql.commands import CommandKind, OpenSession, Statement, encode, seal

SCHEMA = """
CREATE TABLE plain (a, b);
CREATE TABLE keyed (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT COLLATE NOCASE, amount REAL);
CREATE TABLE dense (k TEXT, n INT, v, PRIMARY KEY (k, n DESC)) WITHOUT ROWID;
CREATE TABLE made (a INT, twice AS (a * 2), stored TEXT AS ('s' || a) STORED, UNIQUE (a));
CREATE TABLE paired (a INTEGER, b, PRIMARY KEY (a, b));
CREATE TABLE descending (a INTEGER PRIMARY KEY DESC);
CREATE TABLE shadowed (rowid, _rowid_, oid);
CREATE INDEX plain_by_b ON plain (b, a);
CREATE UNIQUE INDEX shadowed_all ON shadowed (oid, rowid, _rowid_);
CREATE VIEW seen AS SELECT name FROM keyed;
CREATE TRIGGER added AFTER INSERT ON plain BEGIN INSERT INTO dense VALUES (new.a, 0, new.b); END;
CREATE VIRTUAL TABLE words USING fts5(body);
CREATE VIRTUAL TABLE older USING fts4(body);
CREATE VIRTUAL TABLE boxes USING rtree(id, low, high);
"""

ROWS = [
    "INSERT INTO plain VALUES (1, 'x'), (2, x'00ff'), (3, NULL), (4, 4.5), (5, 9e999)",
    "INSERT INTO keyed (name, amount) VALUES ('b', 2), ('A', -0.5), ('é', 1e300)",
    "DELETE FROM keyed WHERE name = 'b'",
    "INSERT INTO dense VALUES ('z', 1, 'last'), ('y', 2, 'first'), ('y', 3, NULL)",
    "INSERT INTO made (a) VALUES (3), (1), (2)",
    "INSERT INTO paired (rowid, a, b) VALUES (70, 1, 'x'), (5, 2, 'y')",
    "INSERT INTO descending (rowid, a) VALUES (9, 1), (4, 2)",
    "INSERT INTO shadowed VALUES (1, 'c', 9), (2, 'b', 8), (3, 'a', 7)",
    "INSERT INTO words VALUES ('the first word')",
    "INSERT INTO words VALUES ('the second word')",
    "INSERT INTO older VALUES ('the first word')",
    "INSERT INTO older VALUES ('another word')",
    "INSERT INTO boxes VALUES (1, 0.5, 2.5), (2, 1, 9)",
]


def database(path: Path, *more: str, batched: bool = False) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.execute(SCHEMA)
    if batched:
        connection.execute("BEGIN")
    for statement in (*ROWS, *more):
        connection.execute(statement)
    if batched:
        connection.execute("COMMIT")
    return connection


def summed(connection: apsw.Connection) -> checksum.Checksum:
    with connection:
        return checksum.take(connection)


def test_equal_databases_have_equal_sums(tmp_path: Path) -> None:
    left = summed(database(tmp_path / "left"))
    right = summed(database(tmp_path / "right"))
    assert left == right
    assert left.total == right.total
    assert not checksum.compare(left, right)


def test_page_layout_does_not_matter(tmp_path: Path) -> None:
    left = database(tmp_path / "left", "DELETE FROM plain WHERE a = 3")
    right = apsw.Connection(str(tmp_path / "right"))
    right.execute("CREATE TABLE junk (a); INSERT INTO junk VALUES (zeroblob(100000))")
    right.execute(SCHEMA)
    for statement in (*ROWS, "DELETE FROM plain WHERE a = 3"):
        right.execute(statement)
    right.execute("DROP TABLE junk")
    assert left.pragma("page_count") != right.pragma("page_count")
    assert not checksum.compare(summed(left), summed(right))
    right.execute("VACUUM")
    assert not checksum.compare(summed(left), summed(right))


def test_how_many_entries_share_a_transaction_does_not_matter(tmp_path: Path) -> None:
    one_by_one = database(tmp_path / "left")
    together = database(tmp_path / "right", batched=True)
    segments = "SELECT * FROM words_data"
    assert one_by_one.execute(segments).fetchall() != together.execute(segments).fetchall()
    assert not checksum.compare(summed(one_by_one), summed(together))


@pytest.mark.parametrize(
    ("change", "table"),
    [
        ("UPDATE plain SET a = 1.0 WHERE a = 1", "plain"),
        ("UPDATE plain SET a = '1' WHERE a = 1", "plain"),
        ("UPDATE plain SET b = CAST(b AS BLOB) WHERE a = 1", "plain"),
        ("UPDATE plain SET b = CAST(b AS TEXT) WHERE a = 2", "plain"),
        ("UPDATE plain SET b = 0 WHERE a = 3", "plain"),
        ("UPDATE plain SET b = -b WHERE a = 5", "plain"),
        ("UPDATE plain SET rowid = 77 WHERE a = 5", "plain"),
        ("DELETE FROM plain WHERE a = 3", "plain"),
        ("UPDATE keyed SET name = 'a' WHERE name = 'A'", "keyed"),
        ("UPDATE sqlite_sequence SET seq = 9", "sqlite_sequence"),
        ("UPDATE dense SET v = '' WHERE n = 3", "dense"),
        ("UPDATE paired SET rowid = 71 WHERE a = 1", "paired"),
        ("UPDATE descending SET rowid = 8 WHERE a = 1", "descending"),
        ("UPDATE shadowed SET oid = 10 WHERE oid = 9", "shadowed"),
        ("UPDATE boxes SET high = 10 WHERE id = 2", "boxes_node"),
        ("UPDATE words SET body = 'other' WHERE rowid = 1", "words_content"),
        ("UPDATE older SET body = 'other' WHERE rowid = 1", "older_content"),
    ],
)
def test_one_different_value_is_found_in_its_table(tmp_path: Path, change: str, table: str) -> None:
    left = summed(database(tmp_path / "left"))
    right = summed(database(tmp_path / "right", change))
    difference = checksum.compare(left, right)
    assert table in difference.tables
    assert {name.split("_")[0] for name in difference.tables} == {table.split("_")[0]}
    assert left.total != right.total


@pytest.mark.parametrize(
    "change",
    [
        "CREATE INDEX another ON plain (a)",
        "DROP TRIGGER added",
        "DROP VIEW seen; CREATE VIEW seen AS SELECT name FROM keyed WHERE 1",
        "PRAGMA user_version = 7",
        "PRAGMA application_id = 7",
        "ALTER TABLE plain RENAME COLUMN a TO c",
    ],
)
def test_one_different_schema_object_is_found(tmp_path: Path, change: str) -> None:
    left = summed(database(tmp_path / "left"))
    right = summed(database(tmp_path / "right", change))
    assert checksum.compare(left, right) == checksum.Difference(schema=True, tables=[])
    assert left.total != right.total


def test_text_that_is_not_utf_8_counts_by_its_bytes(tmp_path: Path) -> None:
    def one(name: str, data: str) -> checksum.Checksum:
        return summed(database(tmp_path / name, f"INSERT INTO plain VALUES (9, {data})"))

    sums = [
        one("a", "CAST(x'ff' AS TEXT)"),
        one("b", "CAST(x'fe' AS TEXT)"),
        one("c", "x'ff'"),
        one("d", "char(0xfffd)"),
        one("e", "CAST(x'ff' AS TEXT)"),
    ]
    assert len({each.total for each in sums}) == 4
    assert sums[0] == sums[4]


def test_the_clusters_own_tables_are_left_out(tmp_path: Path) -> None:
    left = database(tmp_path / "left")
    right = database(tmp_path / "right")
    right.execute(
        "CREATE TABLE raftsql_later (a PRIMARY KEY); INSERT INTO raftsql_later VALUES (1)"
    )
    right.pragma("writable_schema", True)
    right.execute(
        "UPDATE sqlite_schema SET name = replace(name, 'raftsql_later', 'sqlite_raftsql_later'),"
        " tbl_name = 'sqlite_raftsql_later', sql = replace(sql, 'raftsql_', 'sqlite_raftsql_')"
        " WHERE tbl_name = 'raftsql_later'"
    )
    right.close()
    right = apsw.Connection(str(tmp_path / "right"))
    assert right.execute("SELECT a FROM sqlite_raftsql_later").fetchall() == [(1,)]
    assert not checksum.compare(summed(left), summed(right))


def test_a_big_table_takes_many_steps_and_can_be_left_between_two(tmp_path: Path) -> None:
    connection = database(tmp_path / "left")
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)"
        " INSERT INTO dense SELECT 'n', i, zeroblob(100000) FROM n"
    )
    with connection:
        assert sum(1 for _ in checksum.in_steps(connection)) >= 10
        next(checksum.in_steps(connection))
        assert checksum.take(connection).tables["dense"].rows == 48


def test_a_computed_column_that_cannot_be_computed_breaks_nothing(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "one"))
    connection.execute("CREATE TABLE t (a); INSERT INTO t VALUES (-9223372036854775807 - 1)")
    connection.execute("ALTER TABLE t ADD COLUMN b AS (abs(a))")
    with pytest.raises(apsw.SQLError):
        connection.execute("SELECT b FROM t").fetchall()
    assert summed(connection).tables["t"].rows == 1


def machine(path: Path, *, together: bool) -> Machine:
    """A machine that applied the same commands of one session, in one batch or one by one."""
    machine = Machine.open(path)
    wish = encode(OpenSession(b"nonce", 1000))
    entries = [
        Entry(1, 1, EntryKind.COMMAND, seal(CommandKind.OPEN_SESSION, wish, clock_ms=5, seed=1))
    ]
    statements = ["CREATE TABLE t (a)", "CREATE VIRTUAL TABLE words USING fts5(body)"]
    statements += [f"INSERT INTO words VALUES ('word{i} common')" for i in range(5)]
    for sequence, sql in enumerate(statements, 1):
        payload = seal(
            CommandKind.EXECUTE,
            encode(Statement(sql)),
            clock_ms=10 * sequence,
            seed=sequence,
            session=1,
            sequence=sequence,
            floor=max(0, sequence - 3),
        )
        entries.append(Entry(1, sequence + 1, EntryKind.COMMAND, payload))
    for batch in [entries] if together else [[entry] for entry in entries]:
        machine.apply(batch)
    return machine


def test_nodes_that_batch_differently_agree_on_sessions_too(tmp_path: Path) -> None:
    sums = []
    for together in (True, False):
        path = tmp_path / f"together {together}"
        running = machine(path, together=together)
        summing = checksum.Summing(path, cluster=True)
        assert summing.position == running.applied
        while (found := summing.step()) is None:
            pass
        sums.append(found)
        running.close()
    assert not checksum.compare(*sums)
    assert "sqlite_raftsql_sessions" in sums[0].tables


def test_a_difference_in_what_the_cluster_keeps_is_found(tmp_path: Path) -> None:
    sums = []
    for name in ("left", "right"):
        machine(tmp_path / name, together=True).close()
        if name == "right":
            connection = open_connection(tmp_path / name, Role.WRITER)
            internal.keep_session(connection, 1, b"nonce", 999, 1000)
            internal.keep_fact(connection, "more", b"")
            connection.close()
        summing = checksum.Summing(tmp_path / name, cluster=True)
        while (found := summing.step()) is None:
            pass
        sums.append(found)
    assert checksum.compare(*sums).tables == ["sqlite_raftsql_facts", "sqlite_raftsql_sessions"]


def test_a_sum_is_of_the_moment_it_was_begun(tmp_path: Path) -> None:
    connection = database(tmp_path / "left")
    connection.pragma("journal_mode", "wal")
    internal.create(connection)
    before = summed(connection)
    summing = checksum.Summing(tmp_path / "left")
    connection.execute("DELETE FROM plain; DROP TABLE dense")
    found = None
    while found is None:
        found = summing.step()
    assert not checksum.compare(found, before)
    assert checksum.compare(summed(connection), before)


def test_a_sum_that_is_left_holds_nothing(tmp_path: Path) -> None:
    connection = database(tmp_path / "left")
    connection.pragma("journal_mode", "wal")
    internal.create(connection)
    summing = checksum.Summing(tmp_path / "left")
    summing.step()
    summing.close()
    connection.execute("DELETE FROM plain")
    assert connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE) == (0, 0)


def test_a_checksum_survives_its_journey(tmp_path: Path) -> None:
    taken = summed(database(tmp_path / "left"))
    packed = msgspec.msgpack.encode(taken)
    assert msgspec.msgpack.decode(packed, type=checksum.Checksum) == taken
