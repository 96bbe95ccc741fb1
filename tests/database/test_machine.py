"""Apply: commands that share a SQLite transaction, and never feel each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest

from raftsql.database.errors import DatabaseDamaged
from raftsql.database.machine import Machine
from raftsql.raft.messages import EntryKind, Position
from raftsql.sql import commands
from raftsql.sql.commands import CommandKind, Done, Failed, Refusal, Settings


def test_an_insert_answers_its_count_and_rowid(bench: Any) -> None:
    assert bench.sql("CREATE TABLE t(a INTEGER PRIMARY KEY, b)") == Done(-1, 0)
    assert bench.sql("INSERT INTO t(b) VALUES (?)", ["x"]) == Done(1, 1)
    assert bench.sql("INSERT INTO t(b) VALUES (:b)", {"b": 3.0}) == Done(1, 2)
    assert bench.sql("UPDATE t SET b = 1") == Done(2, 0)
    assert bench.sql("DELETE FROM t WHERE a = 1") == Done(1, 0)
    assert bench.rows("SELECT * FROM t") == [(2, 1)]


def test_position_and_rows_are_durable_together(bench: Any) -> None:
    bench.sql("CREATE TABLE t(a)")
    bench.sql("INSERT INTO t VALUES (1)")
    assert bench.machine.applied == Position(2, 1)
    bench.reopen()
    assert bench.machine.applied == Position(2, 1)
    assert bench.rows("SELECT * FROM t") == [(1,)]


def test_entries_applied_before_are_skipped(bench: Any) -> None:
    entries = [bench.log.sql("CREATE TABLE t(a)"), bench.log.sql("INSERT INTO t VALUES (1)")]
    bench.machine.apply(entries)
    assert bench.machine.apply(entries) == [None, None]
    bench.log.sql("INSERT INTO t VALUES (2)")
    assert len(bench.machine.apply(bench.log.entries)) == 3
    assert bench.rows("SELECT * FROM t") == [(1,), (2,)]


def test_a_gap_in_the_log_is_a_broken_invariant(bench: Any) -> None:
    bench.log.sql("CREATE TABLE t(a)")
    with pytest.raises(AssertionError, match="can't follow"):
        bench.machine.apply([bench.log.sql("CREATE TABLE u(a)")])


def test_a_membership_is_kept_with_its_place(bench: Any) -> None:
    bench.apply(bench.log.plain(EntryKind.MEMBERSHIP, b"three of us"))
    bench.apply(bench.log.plain(EntryKind.NOOP))
    bench.reopen()
    assert bench.machine.membership == b"three of us"
    assert bench.machine.applied.index == 2


def test_a_failed_command_leaves_its_neighbours_alone(bench: Any) -> None:
    log = bench.log
    answers = bench.batch(
        log.sql("CREATE TABLE t(a INTEGER PRIMARY KEY)"),
        log.sql("INSERT INTO t VALUES (1)"),
        log.sql("INSERT INTO t VALUES (2), (1)"),
        log.sql("INSERT INTO t VALUES (3)"),
    )
    assert answers[2] == Failed(Refusal.SQL, 1555, "UNIQUE constraint failed: t.a")
    assert bench.rows("SELECT a FROM t") == [(1,), (3,)]


@pytest.mark.parametrize(
    "statement",
    ["INSERT OR ROLLBACK INTO t VALUES (1)", "INSERT INTO r VALUES (1)"],
    ids=["OR ROLLBACK", "RAISE(ROLLBACK)"],
)
def test_what_ends_the_shared_transaction_takes_nobodys_rows(bench: Any, statement: str) -> None:
    log = bench.log
    bench.script(
        "CREATE TABLE t(a INTEGER PRIMARY KEY)",
        "CREATE TABLE r(a)",
        "CREATE TRIGGER x AFTER INSERT ON r BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
    )
    answers = bench.batch(
        log.sql("INSERT INTO t VALUES (1)"),
        log.sql(statement),
        log.sql("INSERT INTO t VALUES (2)"),
        log.sql(statement),
        log.sql("INSERT INTO t VALUES (3)"),
    )
    assert [type(answer) for answer in answers] == [Done, Failed, Done, Failed, Done]
    assert bench.rows("SELECT a FROM t") == [(1,), (2,), (3,)]
    assert bench.machine.applied.index == 6


def test_a_column_with_a_check_is_added_where_the_old_rows_pass_it(bench: Any) -> None:
    bench.script("CREATE TABLE t(a)", "INSERT INTO t VALUES (1)")
    checked = "ALTER TABLE t ADD COLUMN b INTEGER NOT NULL DEFAULT {} CHECK (b >= 0)"
    assert isinstance(bench.sql(checked.format(-1)), Failed)
    assert bench.sql(checked.format(7)) == Done(-1, 0)
    added = "ALTER TABLE t ADD COLUMN c INTEGER NOT NULL AS (a + 1)"
    assert bench.sql(added) == Done(-1, 0)
    assert bench.rows("SELECT * FROM t") == [(1, 7, 2)]
    refused = bench.sql("INSERT INTO t(a) SELECT quick_check FROM pragma_quick_check")
    assert refused.refusal is Refusal.DETERMINISM


FAILING_MIDWAY = {
    "a STRICT table's type": "INSERT INTO s VALUES (1), (2), ('x')",
    "malformed JSON": "INSERT INTO t SELECT value FROM j, json_each(j.x)",
    "a sum that overflows": "INSERT INTO t SELECT (SELECT sum(x) FROM n WHERE n.rowid <= j.rowid)"
    " FROM j",
    "a search that is none": "INSERT INTO t SELECT f.rowid FROM q, f WHERE f MATCH q.x",
    "a value too big": "UPDATE t SET a = a || (SELECT hex(x) || hex(x) FROM b WHERE t.rowid = 2)",
    "a trigger that fails": "INSERT INTO g SELECT x FROM j",
}


@pytest.mark.parametrize("way", FAILING_MIDWAY)
def test_a_statement_that_fails_midway_leaves_no_row(bench: Any, way: str) -> None:
    bench.script(
        "CREATE TABLE s(a INT) STRICT",
        "CREATE TABLE t(a)",
        "INSERT INTO t VALUES (1), (2), (3)",
        "CREATE TABLE j(x)",
        "INSERT INTO j VALUES ('[1, 2]'), ('[3]'), ('bad')",
        "CREATE TABLE n(x)",
        "INSERT INTO n VALUES (1), (9223372036854775807), (2)",
        "CREATE VIRTUAL TABLE f USING fts5(a)",
        "INSERT INTO f VALUES ('one')",
        "CREATE TABLE q(x)",
        "INSERT INTO q VALUES ('one'), ('\"')",
        "CREATE TABLE b(x)",
        "INSERT INTO b VALUES (zeroblob(40000000))",
        "CREATE TABLE g(a)",
        "CREATE TRIGGER h AFTER INSERT ON g BEGIN"
        " INSERT INTO t SELECT value FROM json_each(NEW.a); END",
        "CREATE TABLE beside(a)",
    )
    count = "SELECT (SELECT count(*) FROM s), (SELECT group_concat(a) FROM t), (SELECT 1 FROM g)"
    before = bench.rows(count)
    for _ in range(3):
        answers = bench.batch(
            bench.log.sql("INSERT INTO beside VALUES (1)"),
            bench.log.sql(FAILING_MIDWAY[way]),
            bench.log.sql("INSERT INTO beside VALUES (2)"),
        )
        assert [type(answer) for answer in answers] == [Done, Failed, Done]
        assert bench.rows(count) == before
    assert bench.rows("SELECT count(*) FROM beside") == [(6,)]


def test_or_fail_keeps_the_rows_before_the_failure_as_sqlite_does(bench: Any) -> None:
    bench.sql("CREATE TABLE t(a INTEGER PRIMARY KEY)")
    assert isinstance(bench.sql("INSERT OR FAIL INTO t VALUES (1), (2), (1), (3)"), Failed)
    assert bench.rows("SELECT a FROM t") == [(1,), (2,)]


DEFERRED = "CREATE TABLE c(p REFERENCES p(a) DEFERRABLE INITIALLY DEFERRED)"


@pytest.mark.parametrize("deferred_by", ["schema", "setting"])
def test_a_deferred_foreign_key_fails_the_command_that_left_it_open(
    bench: Any, deferred_by: str
) -> None:
    log = bench.log
    settings = Settings.FOREIGN_KEYS
    if deferred_by == "setting":
        settings |= Settings.DEFER_FOREIGN_KEYS
    child = DEFERRED if deferred_by == "schema" else "CREATE TABLE c(p REFERENCES p(a))"
    bench.script("CREATE TABLE p(a PRIMARY KEY)", child)
    answers = bench.batch(
        log.sql("INSERT INTO p VALUES (1)", settings=settings),
        log.sql("INSERT INTO c VALUES (9)", settings=settings),
        log.script("INSERT INTO c VALUES (2)", "INSERT INTO p VALUES (2)", settings=settings),
        log.script("INSERT INTO c VALUES (3)", "INSERT INTO p VALUES (4)", settings=settings),
        log.sql("INSERT INTO c VALUES (1)", settings=settings),
    )
    failed = Failed(Refusal.SQL, 787, "FOREIGN KEY constraint failed")
    assert answers[1] == failed
    assert answers[3] == failed
    assert [type(answers[place]) for place in (0, 2, 4)] == [Done, Done, Done]
    assert bench.rows("SELECT * FROM c") == [(2,), (1,)]
    assert bench.rows("SELECT * FROM p") == [(1,), (2,)]


def test_foreign_keys_hold_or_not_as_each_command_says(bench: Any) -> None:
    log = bench.log
    bench.script("CREATE TABLE p(a PRIMARY KEY)", "CREATE TABLE c(p REFERENCES p(a))")
    off, on = Settings(0), Settings.FOREIGN_KEYS
    answers = bench.batch(
        log.sql("INSERT INTO c VALUES (1)", settings=off),
        log.sql("INSERT INTO c VALUES (2)", settings=on),
        log.sql("INSERT INTO c VALUES (3)", settings=off),
    )
    assert [type(answer) for answer in answers] == [Done, Failed, Done]
    assert bench.rows("SELECT * FROM c") == [(1,), (3,)]


def test_recursive_triggers_fire_or_not_as_each_command_says(bench: Any) -> None:
    bench.script(
        "CREATE TABLE t(a)",
        "CREATE TRIGGER x AFTER INSERT ON t WHEN NEW.a < 5 BEGIN"
        " INSERT INTO t VALUES (NEW.a + 1); END",
    )
    bench.sql("INSERT INTO t VALUES (1)", settings=Settings.FOREIGN_KEYS)
    assert bench.rows("SELECT count(*) FROM t") == [(2,)]
    both = Settings.FOREIGN_KEYS | Settings.RECURSIVE_TRIGGERS
    bench.sql("INSERT INTO t VALUES (1)", settings=both)
    assert bench.rows("SELECT count(*) FROM t") == [(7,)]


def test_vacuum_runs_in_the_middle_of_a_batch(bench: Any) -> None:
    log = bench.log
    answers = bench.batch(
        log.sql("CREATE TABLE t(a)"),
        log.sql("INSERT INTO t VALUES (1)"),
        log.sql("  -- tidy\n vacuum"),
        log.sql("INSERT INTO t VALUES (2)"),
    )
    assert answers[2] == Done(-1, 0)
    assert bench.rows("SELECT a FROM t") == [(1,), (2,)]
    assert bench.machine.applied.index == 4


def test_vacuum_into_a_file_is_refused(bench: Any, tmp_path: Path) -> None:
    answer = bench.sql(f"VACUUM INTO '{tmp_path / 'copy.db'}'")
    assert isinstance(answer, Failed)
    assert not (tmp_path / "copy.db").exists()


def test_many_happens_for_all_rows_or_none(bench: Any) -> None:
    bench.sql("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    insert = "INSERT INTO t VALUES (?, ?)"
    assert bench.many(insert, [[n, "x"] for n in range(1, 101)]) == Done(100, 100)
    assert isinstance(bench.many(insert, [[200, 1], [201, 1], [5, 1]]), Failed)
    assert bench.rows("SELECT count(*), max(a) FROM t") == [(100, 100)]
    assert bench.many("UPDATE t SET b = 1 WHERE a <= ?", [[10], [20]]) == Done(30, 0)
    assert bench.many(insert, []) == Done(0, 0)


def test_many_gives_the_rows_of_returning(bench: Any) -> None:
    bench.sql("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    done = bench.many("INSERT INTO t(b) VALUES (?) RETURNING a, b", [["x"], ["y"]])
    assert done.rows == [[1, "x"], [2, "y"]]
    assert done.changes == 2


def test_a_script_happens_whole_or_not_at_all(bench: Any) -> None:
    assert bench.script("CREATE TABLE t(a UNIQUE)", "INSERT INTO t VALUES (1)") == Done(1, 1)
    answer = bench.script("CREATE TABLE u(a)", "INSERT INTO t VALUES (2), (1)")
    assert isinstance(answer, Failed)
    assert bench.rows("SELECT name FROM sqlite_schema WHERE name IN ('t', 'u')") == [("t",)]
    assert bench.sql("CREATE TABLE u(a)") == Done(-1, 0)


def test_returning_gives_columns_with_declared_types_even_for_no_rows(bench: Any) -> None:
    bench.sql("CREATE TABLE t(a INTEGER PRIMARY KEY, b VARCHAR(9))")
    for _ in range(2):
        done = bench.sql("INSERT INTO t(b) SELECT 'x' WHERE ? RETURNING a, b, a + 1 AS c", [0])
        assert done.columns == [
            commands.Column("a", "INTEGER"),
            commands.Column("b", "VARCHAR(9)"),
            commands.Column("c", None),
        ]
        assert done.rows == []


def test_more_rows_than_fit_an_answer_undo_the_command(bench: Any) -> None:
    log = bench.log
    bench.sql("CREATE TABLE t(a)")
    big = "INSERT INTO t SELECT zeroblob(1000000) FROM (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9))"
    answers = bench.batch(
        log.sql("INSERT INTO t VALUES ('before')"),
        log.sql(big + " RETURNING a"),
        log.sql("INSERT INTO t VALUES ('after')"),
    )
    assert [type(answer) for answer in answers] == [Done, Failed, Done]
    assert bench.rows("SELECT a FROM t") == [("before",), ("after",)]


def test_last_insert_rowid_and_changes_start_each_command_from_nought(bench: Any) -> None:
    bench.sql("CREATE TABLE t(a INTEGER PRIMARY KEY, b, c)")
    for batched in (False, True):
        entries = [
            bench.log.sql("INSERT INTO t(b) VALUES (1), (2), (3)"),
            bench.log.sql("INSERT INTO t(b, c) VALUES (last_insert_rowid(), changes())"),
            bench.log.sql("UPDATE t SET b = b WHERE 0 RETURNING 1"),
            bench.log.sql("INSERT OR IGNORE INTO t(a) VALUES (1)"),
        ]
        answers = bench.batch(*entries) if batched else [bench.batch(entry)[0] for entry in entries]
        assert answers[3] == Done(0, 0)
    assert bench.rows("SELECT b, c FROM t WHERE c IS NOT NULL") == [(0, 0), (0, 0)]


def test_counters_in_a_default_start_from_nought_too(bench: Any) -> None:
    bench.sql("CREATE TABLE t(a INTEGER PRIMARY KEY, b DEFAULT (last_insert_rowid() + changes()))")
    for _ in range(3):
        bench.batch(*(bench.log.sql("INSERT INTO t(a) VALUES (NULL)") for _ in range(3)))
    assert bench.rows("SELECT DISTINCT b FROM t") == [(0,)]


def test_a_second_statement_in_a_command_is_refused_before_the_first_runs(bench: Any) -> None:
    bench.sql("CREATE TABLE t(a)")
    assert isinstance(bench.sql("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)"), Failed)
    assert bench.rows("SELECT * FROM t") == []
    assert bench.sql("INSERT INTO t VALUES (1); -- the end\n") == Done(1, 1)
    assert bench.sql("/* nothing */ ;") == Done(-1, 0)


@pytest.mark.parametrize(
    ("parameters", "word"), [([1, 2], "bindings"), ([], "bindings"), ({"b": 1}, "no name")]
)
def test_parameters_that_do_not_fit_are_the_commands_error(
    bench: Any, parameters: Any, word: str
) -> None:
    bench.sql("CREATE TABLE t(a)")
    answer = bench.sql("INSERT INTO t VALUES (?)", parameters)
    assert isinstance(answer, Failed)
    assert word in answer.message


def test_the_place_of_an_error_is_told_in_characters(bench: Any) -> None:
    answer = bench.sql("SELECT 'é', nope")
    assert answer == Failed(Refusal.SQL, 1, "no such column: nope", 12)


def test_text_that_is_not_utf8_comes_back_replaced(bench: Any) -> None:
    bench.sql("CREATE TABLE t(a)")
    done = bench.sql("INSERT INTO t VALUES (CAST(x'61ff62' AS TEXT)) RETURNING a")
    assert done.rows == [["a\ufffdb"]]


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH ':memory:' AS x",
        "CREATE TEMP TABLE x(a)",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT x",
        "RELEASE raftsql",
        "INSERT INTO t VALUES (sqlite_version())",
        "INSERT INTO t SELECT rootpage FROM sqlite_schema",
        "INSERT INTO t SELECT data_version FROM pragma_data_version",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA data_version",
        "SELECT load_extension('x')",
        "CREATE VIRTUAL TABLE x USING dbstat",
        "INSERT INTO t SELECT pageno FROM dbstat",
        "DELETE FROM sqlite_raftsql_position",
        "UPDATE sqlite_raftsql_sessions SET nonce = x''",
        "INSERT INTO t SELECT value FROM sqlite_raftsql_facts",
        "DROP TABLE sqlite_raftsql_position",
        "CREATE INDEX x ON sqlite_raftsql_position(answers)",
        "CREATE TRIGGER x AFTER INSERT ON sqlite_raftsql_position BEGIN SELECT 1; END",
        "ALTER TABLE sqlite_raftsql_position RENAME TO x",
        "INSERT INTO t SELECT block FROM f_data",
        "DELETE FROM sqlite_schema",
        "ANALYZE; COMMIT",
    ],
)
def test_what_may_differ_or_reach_behind_the_log_is_refused(bench: Any, sql: str) -> None:
    bench.sql("CREATE TABLE t(a)")
    assert isinstance(bench.sql("CREATE VIRTUAL TABLE f USING fts5(a)"), Done)
    for _ in range(2):
        assert isinstance(bench.sql(sql), Failed)
    assert bench.sql("INSERT INTO t VALUES (1)") == Done(1, 1)
    assert bench.rows("SELECT * FROM t") == [(1,)]


@pytest.mark.parametrize(
    "definition",
    [
        "CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO u VALUES (sqlite_version()); END",
        "ALTER TABLE t ADD COLUMN b DEFAULT (sqlite_version())",
        "CREATE TABLE t2(a, b DEFAULT (sqlite_source_id()))",
    ],
)
def test_a_definition_that_asks_for_the_build_is_refused_where_it_is_used(
    bench: Any, definition: str
) -> None:
    bench.script("CREATE TABLE t(a)", "CREATE TABLE u(a)")
    bench.sql(definition)
    table = "t2" if "t2" in definition else "t"
    if "CREATE TABLE" in definition or "TRIGGER" in definition:
        assert isinstance(bench.sql(f"INSERT INTO {table}(a) VALUES (1)"), Failed)
    assert bench.rows("SELECT * FROM u") == []
    assert apsw.sqlite_lib_version() not in str(bench.rows("SELECT * FROM t"))


def test_the_clock_never_goes_back(bench: Any) -> None:
    bench.sql("CREATE TABLE t(a)")
    stamp = "INSERT INTO t VALUES (unixepoch())"
    bench.sql(stamp, clock_ms=1_800_000_000_000)
    bench.sql(stamp, clock_ms=1_700_000_000_000)
    bench.reopen()
    bench.sql(stamp, clock_ms=1_600_000_000_000)
    assert bench.rows("SELECT a FROM t") == [(1_800_000_000,)] * 3


def test_an_explain_does_not_outlive_the_schema_it_explains(bench: Any) -> None:
    bench.sql("CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE, c)")
    for number in range(20):
        assert bench.sql("EXPLAIN INSERT INTO t(b) VALUES (1)").rows
        assert bench.sql("INSERT INTO t(b) VALUES (?)", [number]).changes == 1
        bench.sql(f"ALTER TABLE t ADD COLUMN d{number}")


def test_rows_of_a_schema_change_are_seen_by_the_same_text(bench: Any) -> None:
    bench.sql("CREATE TABLE t(a)")
    insert = "INSERT INTO t VALUES (1) RETURNING *"
    assert bench.sql(insert).rows == [[1]]
    bench.sql("ALTER TABLE t ADD COLUMN b DEFAULT 'new'")
    assert isinstance(bench.sql(insert), Failed)
    assert bench.sql("INSERT INTO t(a) VALUES (1) RETURNING *").rows == [[1, "new"]]


def test_a_verify_ends_the_batch_exactly_at_its_place(bench: Any) -> None:
    log = bench.log
    entries = [
        log.sql("CREATE TABLE t(a)"),
        log.append(CommandKind.VERIFY, b"asking"),
        log.sql("INSERT INTO t VALUES (1)"),
    ]
    assert len(bench.machine.apply(entries)) == 2
    assert bench.machine.marker.kind is CommandKind.VERIFY
    assert bench.machine.marker.entry is entries[1]
    assert bench.machine.applied.index == 2
    assert bench.rows("SELECT * FROM t") == []
    assert len(bench.machine.apply(entries[2:])) == 1
    assert bench.machine.marker is None


def test_a_restore_is_left_to_the_file_that_brings_it(bench: Any) -> None:
    log = bench.log
    entries = [
        log.sql("CREATE TABLE t(a)"),
        log.append(CommandKind.RESTORE, commands.Restore(b"digest", 9)),
        log.sql("INSERT INTO t VALUES (1)"),
    ]
    assert len(bench.machine.apply(entries)) == 1
    assert bench.machine.marker.kind is CommandKind.RESTORE
    assert bench.machine.applied.index == 1
    assert bench.machine.apply(entries[1:]) == []


def test_a_malformed_body_is_the_commands_error(bench: Any) -> None:
    for kind in (
        CommandKind.EXECUTE,
        CommandKind.MANY,
        CommandKind.SCRIPT,
        CommandKind.TRANSACTION,
    ):
        answer = bench.apply(bench.log.append(kind, {"not": "it"}))
        assert isinstance(answer, Failed)
        assert "malformed" in answer.message


def test_a_command_of_another_version_stops_the_machine(bench: Any) -> None:
    entry = bench.log.sql("CREATE TABLE t(a)")
    entry.payload = b"\x63" + entry.payload[1:]
    with pytest.raises(Exception, match="version 99"):
        bench.machine.apply([entry])


def test_two_machines_open_in_one_process(tmp_path: Path) -> None:
    first, second = Machine.open(tmp_path / "a.db"), Machine.open(tmp_path / "b.db")
    first.close()
    second.close()


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A database that is all in its file."""
    path = tmp_path / "a.db"
    Machine.open(path).close()
    connection = apsw.Connection(str(path))
    connection.pragma("wal_checkpoint", "TRUNCATE")
    connection.close()
    return path


@pytest.mark.parametrize("bytes_cut", [1, 100, 2000, 4095])
def test_a_file_that_ends_within_a_page_is_not_opened(whole: Path, bytes_cut: int) -> None:
    """SQLite would read zeros where the end of the last page was."""
    with whole.open("r+b") as file:
        file.truncate(whole.stat().st_size - bytes_cut)
    with pytest.raises(DatabaseDamaged, match=r"a\.db: it ends within a page, at byte \d+.*anew"):
        Machine.open(whole)


@pytest.mark.parametrize("size", [0, 1 << 11 | 1 << 12, 1 << 8])
def test_a_file_whose_header_says_pages_that_no_database_has_is_damaged(
    whole: Path, size: int
) -> None:
    content = bytearray(whole.read_bytes())
    content[16:18] = size.to_bytes(2, "big")
    whole.write_bytes(content)
    with pytest.raises(DatabaseDamaged, match=r"a\.db.*anew"):
        Machine.open(whole)
