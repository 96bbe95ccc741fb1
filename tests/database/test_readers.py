from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from raftsql.database import internal
from raftsql.database import readers as readers_module
from raftsql.database.environment import open_writer
from raftsql.database.errors import DatabaseDamaged
from raftsql.database.reader import InUse, Limits, Mine, ReadBroken, ReadBusy, ReadCut
from raftsql.database.readers import Page, Query, Readers, Rest
from raftsql.raft.messages import Position
from raftsql.sql.commands import Column, Failed, Parameters, Refusal
from tests.database.conftest import keep_position

SMALL = Limits(rows_max=10)
MANY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT i FROM n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "database"


@pytest.fixture
def writer(path: Path) -> apsw.Connection:
    connection, _, guard = open_writer(path)
    guard.trusting = True
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b, c REAL)")
    connection.execute("INSERT INTO t VALUES (1, 'x', x'00', 1.5), (2, NULL, 9e999, 2.0)")
    internal.create(connection)
    keep_position(connection, 7, 3, 1000)
    return connection


@pytest.fixture
def readers(path: Path, writer: apsw.Connection) -> Iterator[Readers]:
    readers = Readers(path, connections_max=4, held_max=2)
    yield readers
    readers.close()
    assert readers.outstanding == 0
    assert readers.holds == 0


def page(answer: Page | Failed) -> Page:
    assert isinstance(answer, Page), answer
    return answer


def rows(answer: Page | Failed) -> list[list[Any]]:
    decoded: list[list[Any]] = msgspec.msgpack.decode(page(answer).rows)
    assert len(decoded) == page(answer).length
    return decoded


def rest(answer: Page | Failed) -> Rest:
    more = page(answer).more
    assert more is not None
    return more


def test_values_keep_their_types_and_columns_their_declared_types(readers: Readers) -> None:
    answer = readers.read("SELECT *, id + 1 AS next FROM t")
    assert rows(answer) == [[1, "x", b"\x00", 1.5, 2], [2, None, float("inf"), 2.0, 3]]
    assert page(answer).columns == [
        Column("id", "INTEGER"),
        Column("a", "TEXT"),
        Column("b", None),
        Column("c", "REAL"),
        Column("next", None),
    ]
    assert page(answer).more is None


def test_a_result_without_rows_has_columns(readers: Readers) -> None:
    answer = readers.read("SELECT a, b FROM t WHERE id = :id", {"id": 3})
    assert rows(answer) == []
    assert [column.name for column in page(answer).columns] == ["a", "b"]


def test_a_virtual_table_without_rows_has_columns_too(readers: Readers) -> None:
    for _ in range(2):
        answer = readers.read("SELECT name, type FROM pragma_table_info('missing')")
        assert rows(answer) == []
        assert [column.name for column in page(answer).columns] == ["name", "type"]
        moment = readers.open_moment()
        assert rows(moment.read("SELECT key FROM json_each('[]')")) == []
        assert rows(moment.read("SELECT * FROM pragma_table_info('missing')")) == []
        moment.close()


def test_columns_follow_a_change_of_the_schema(readers: Readers, writer: apsw.Connection) -> None:
    for where in ("", " WHERE id = 9", " WHERE id = 8"):
        assert len(page(readers.read("SELECT * FROM t" + where)).columns) == 4
    writer.execute("ALTER TABLE t ADD COLUMN later INT")
    for where in ("", " WHERE id = 9", " WHERE id = 8"):
        assert len(page(readers.read("SELECT * FROM t" + where)).columns) == 5
    assert page(readers.read("SELECT * FROM t")).columns[4] == Column("later", "INT")
    assert rows(readers.read("SELECT * FROM t WHERE id = 1")) == [[1, "x", b"\x00", 1.5, None]]


def test_a_result_above_a_page_goes_on_at_the_same_moment(
    readers: Readers, writer: apsw.Connection
) -> None:
    writer.execute("WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n LIMIT 23)"
                   " INSERT INTO t (id) SELECT i FROM n")  # fmt: skip
    answer = readers.read("SELECT id FROM t ORDER BY id", limits=SMALL)
    seen = rows(answer)
    writer.execute("DELETE FROM t")
    while page(answer).more is not None:
        assert readers.holds == 1
        answer = rest(answer).next_page(SMALL)
        seen += rows(answer)
    assert seen == [[i] for i in range(1, 26)]
    assert readers.holds == 0
    assert rows(readers.read("SELECT count(*) FROM t")) == [[0]]


def test_a_result_that_just_fills_a_page_holds_nothing(readers: Readers) -> None:
    answer = readers.read(MANY, [10], limits=SMALL)
    assert page(answer).length == 10
    assert page(answer).more is None


def test_a_page_is_bounded_in_bytes_but_has_one_row_at_least(readers: Readers) -> None:
    sql = "SELECT zeroblob(5000) FROM t UNION ALL SELECT zeroblob(90000) FROM t"
    limits = Limits(bytes_max=9000)
    answer = readers.read(sql, limits=limits)
    sizes = [page(answer).length]
    while page(answer).more is not None:
        answer = rest(answer).next_page(limits)
        sizes.append(page(answer).length)
    assert sizes == [2, 1, 1]


def test_holds_are_bounded_and_leave_room_for_short_reads(readers: Readers) -> None:
    held = [rest(readers.read(MANY, [100], limits=SMALL)) for _ in range(2)]
    with pytest.raises(ReadBusy):
        readers.read(MANY, [100], limits=SMALL)
    assert rows(readers.read("SELECT 1")) == [[1]]
    held[0].close()
    assert page(readers.read(MANY, [100], limits=SMALL)).more is not None


def test_what_was_closed_does_not_go_on(readers: Readers) -> None:
    more = rest(readers.read(MANY, [100], limits=SMALL))
    more.close()
    more.close()
    with pytest.raises(ReadCut):
        more.next_page()


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES (9, 9, 9, 9)",
        "INSERT INTO t VALUES (9, 9, 9, 9) RETURNING id",
        "DELETE FROM t",
        "CREATE TABLE u (a)",
        "CREATE TEMP TABLE u (a)",
        "DROP TABLE t",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT s",
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "VACUUM",
        "VACUUM INTO 'elsewhere'",
        "PRAGMA query_only = 0",
        "PRAGMA user_version = 5",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA busy_timeout = 5000",
        "PRAGMA wal_checkpoint",
        "PRAGMA optimize",
        "PRAGMA incremental_vacuum",
        "PRAGMA writable_schema = 1",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('x')",
        "SELECT 1; SELECT 2",
        "SELECT 1; DELETE FROM t",
        "",
        "-- nothing",
    ],
)
def test_what_is_not_one_query_is_refused_and_changes_nothing(
    readers: Readers, writer: apsw.Connection, sql: str
) -> None:
    for _ in range(2):
        answer = readers.read(sql)
        assert isinstance(answer, Failed)
        assert answer.refusal is Refusal.SQL
    assert writer.execute("SELECT count(*) FROM t").fetchall() == [(2,)]
    assert rows(readers.read("SELECT count(*) FROM t")) == [[2]]


@pytest.mark.parametrize(
    "sql",
    [
        "VALUES (1)",
        "SELECT 1; -- with a remark",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "EXPLAIN INSERT INTO t VALUES (1, 2, 3, 4)",
        "EXPLAIN QUERY PLAN SELECT * FROM t",
        "PRAGMA table_info(t)",
        "PRAGMA user_version",
        "PRAGMA quick_check",
        "SELECT name FROM pragma_table_info('t')",
        "SELECT * FROM sqlite_schema",
        "SELECT sqlite_version(), total_changes()",
    ],
)
def test_queries_are_answered(readers: Readers, sql: str) -> None:
    assert page(readers.read(sql)).length >= 1


def test_internal_tables_are_not_there_for_clients(readers: Readers) -> None:
    readers.open_moment().close()
    answer = readers.read(internal.POSITION_SQL)
    assert isinstance(answer, Failed)
    assert answer.code & 0xFF == apsw.SQLITE_AUTH


@pytest.mark.parametrize(
    ("sql", "parameters", "position"),
    [
        ("SELEC 1", None, 0),
        ("SELECT 'é', nonsense FROM t", None, 12),
        ("SELECT * FROM missing", None, -1),
        ("SELECT abs(-9223372036854775808)", None, -1),
        ("SELECT ?", [1, 2], -1),
        ("SELECT ?", [1 << 70], -1),
        ("SELECT :a", {}, -1),
        ("SELECT zeroblob(1000000000)", None, -1),
    ],
)
def test_an_error_in_the_sql_is_an_answer(
    readers: Readers, sql: str, parameters: Parameters, position: int
) -> None:
    answer = readers.read(sql, parameters)
    assert isinstance(answer, Failed)
    assert answer.refusal is Refusal.SQL
    assert answer.position == position
    assert answer.message


def test_an_error_among_later_rows_ends_the_result(readers: Readers) -> None:
    sql = "SELECT abs(value) FROM json_each('[1,2,3,-9223372036854775808]')"
    more = rest(readers.read(sql, limits=Limits(rows_max=2)))
    answer = more.next_page()
    assert isinstance(answer, Failed)
    assert "overflow" in answer.message
    assert readers.holds == 0


def test_a_second_statement_behind_a_long_result_is_refused_when_it_is_met(
    readers: Readers, writer: apsw.Connection
) -> None:
    more = rest(readers.read(MANY + "; DELETE FROM t", [25], limits=SMALL))
    more = rest(more.next_page(SMALL))
    assert isinstance(more.next_page(SMALL), Failed)
    assert readers.holds == 0
    assert writer.execute("SELECT count(*) FROM t").fetchall() == [(2,)]


def test_threads_read_beside_a_writer_and_a_close_and_nothing_is_left_open(
    path: Path, writer: apsw.Connection
) -> None:
    readers = Readers(path, connections_max=5, held_max=3)
    outcomes: Counter[str] = Counter()

    def work(number: int) -> None:
        for turn in range(120):
            try:
                if turn % 3 == 0:
                    answer = readers.read(MANY, [35], limits=SMALL)
                    seen = rows(answer)
                    while page(answer).more is not None:
                        answer = rest(answer).next_page(SMALL)
                        seen += rows(answer)
                    assert seen == [[i] for i in range(1, 36)]
                elif turn % 3 == 1:
                    moment = readers.open_moment()
                    counts = [rows(moment.read("SELECT count(*) FROM t")) for _ in range(3)]
                    assert counts[0] == counts[1] == counts[2]
                    moment.close()
                else:
                    assert rows(readers.read("SELECT last_insert_rowid()", mine=Mine(number))) == [
                        [number]
                    ]
                outcomes["read"] += 1
            except (ReadBusy, ReadCut) as error:
                outcomes[type(error).__name__] += 1

    def write() -> None:
        for _ in range(150):
            writer.execute("INSERT INTO t (a) VALUES ('more')")

    with ThreadPoolExecutor(9) as pool:
        tasks = [pool.submit(work, number) for number in range(8)]
        pool.submit(write).result()
        tasks[0].result()
        readers.close()
        for task in tasks:
            task.result()
    assert outcomes["read"] > 50
    assert readers.outstanding == 0
    assert readers.holds == 0


def test_functions_of_the_clients_own_connection_answer_for_it(readers: Readers) -> None:
    sql = "SELECT last_insert_rowid(), changes(), total_changes()"
    assert rows(readers.read(sql, mine=Mine(42, 3, 10))) == [[42, 3, 10]]
    assert rows(readers.read(sql)) == [[0, 0, 0]]


def test_an_expired_read_is_cut_and_the_reader_serves_on(readers: Readers) -> None:
    looks = iter([False, False, True])
    with pytest.raises(ReadCut):
        readers.read(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
            limits=Limits(expired=lambda: next(looks)),
        )
    assert rows(readers.read("SELECT 1")) == [[1]]
    assert rows(readers.read(MANY + " WHERE i = 90000", [100_000])) == [[90_000]]


def test_text_that_is_not_utf_8_reads_as_replacement_characters(
    readers: Readers, writer: apsw.Connection
) -> None:
    writer.execute("UPDATE t SET a = CAST(x'41ff' AS TEXT) WHERE id = 2")
    assert rows(readers.read("SELECT a FROM t")) == [["x"], ["A\ufffd"]]
    first = readers.read("SELECT a FROM t", limits=Limits(rows_max=1))
    assert rows(first) == [["x"]]
    assert rows(rest(first).next_page()) == [["A\ufffd"]]
    long = "SELECT 'ok' FROM t UNION ALL SELECT a FROM t UNION ALL SELECT 1"
    first = readers.read(long, limits=Limits(rows_max=2))
    assert rows(rest(first).next_page()) == [["x"], ["A\ufffd"], [1]]


def test_reads_that_wait_together_see_one_moment(readers: Readers) -> None:
    answers = readers.read_many(
        [
            Query("SELECT a FROM t WHERE id = ?", [1]),
            Query("SELECT nonsense"),
            Query("SELECT changes()", mine=Mine(changes=5)),
            Query(MANY, [25]),
            Query("SELECT count(*) FROM t"),
        ],
        limits=SMALL,
    )
    assert rows(answers[0]) == [["x"]]
    assert isinstance(answers[1], Failed)
    assert rows(answers[2]) == [[5]]
    assert rows(answers[4]) == [[2]]
    assert readers.holds == 1
    assert rows(rest(rest(answers[3]).next_page(SMALL)).next_page(SMALL))[-1] == [25]
    assert readers.holds == 0


def test_reads_that_can_not_all_be_held_are_all_let_go(readers: Readers) -> None:
    with pytest.raises(ReadBusy):
        readers.read_many([Query(MANY, [25])] * 3, limits=SMALL)
    assert readers.holds == 0
    assert readers.outstanding == 0


def test_an_open_moment_is_the_same_over_many_statements(
    readers: Readers, writer: apsw.Connection
) -> None:
    moment = readers.open_moment()
    writer.execute("BEGIN; DELETE FROM t; UPDATE sqlite_raftsql_position SET log_index = 8; COMMIT")
    assert moment.position == Position(index=7, term=3)
    assert rows(moment.read("SELECT count(*) FROM t")) == [[2]]
    more = rest(moment.read(MANY, [25], limits=SMALL))
    assert rows(more.next_page())[-1] == [25]
    assert isinstance(moment.read("DELETE FROM t"), Failed)
    assert isinstance(moment.read("COMMIT"), Failed)
    assert rows(moment.read("SELECT count(*) FROM t")) == [[2]]
    assert readers.holds == 1
    moment.close()
    with pytest.raises(ReadCut):
        moment.read("SELECT 1")
    assert readers.open_moment().position.index == 8


def test_half_read_results_of_a_moment_are_bounded_and_end_with_it(readers: Readers) -> None:
    moment = readers.open_moment()
    rests = [rest(moment.read(MANY, [25], limits=SMALL)) for _ in range(8)]
    with pytest.raises(ReadBusy):
        moment.read("SELECT 1")
    rests[0].close()
    with pytest.raises(ReadCut):
        rests[0].next_page()
    assert rows(moment.read("SELECT 1")) == [[1]]
    moment.close()
    with pytest.raises(ReadCut):
        rests[1].next_page()
    assert readers.outstanding == 0


def test_a_moment_that_is_finished_is_held_until_its_results_are_read(readers: Readers) -> None:
    moment = readers.open_moment()
    one, other = (rest(moment.read(MANY, [25], limits=SMALL)) for _ in range(2))
    moment.finish()
    last = one.next_page()
    while page(last).more is not None:
        last = rest(last).next_page()
    assert rows(last)[-1] == [25]
    assert readers.holds == 1
    other.close()
    assert readers.holds == 0
    with pytest.raises(ReadCut):
        other.next_page()


def test_what_is_closed_while_another_call_works_ends_when_that_is_done(readers: Readers) -> None:
    moment = readers.open_moment()
    one, other = (rest(moment.read(MANY, [25], limits=SMALL)) for _ in range(2))
    at_work = moment.enter()
    moment.finish()
    other.close()
    assert readers.holds == 1
    moment.leave(at_work)
    with pytest.raises(ReadCut):
        other.next_page()
    last = one.next_page()
    while page(last).more is not None:
        last = rest(last).next_page()
    assert readers.holds == 0


def test_what_is_half_read_by_a_client_that_goes_while_a_page_is_made_is_let_go(
    readers: Readers,
) -> None:
    moment = readers.open_moment()
    one, other = (rest(moment.read(MANY, [25], limits=SMALL)) for _ in range(2))
    at_work = moment.enter()
    moment.finish()
    for each in (one, other):
        each.close()
    moment.leave(at_work)
    assert readers.holds == 0


def test_a_result_that_is_asked_for_while_another_call_works_can_be_asked_for_again(
    readers: Readers,
) -> None:
    moment = readers.open_moment()
    more = rest(moment.read(MANY, [25], limits=SMALL))
    at_work = moment.enter()
    with pytest.raises(InUse):
        more.next_page()
    moment.leave(at_work)
    assert rows(more.next_page())[0] == [11]
    moment.close()


def test_a_moment_at_which_nothing_is_half_read_is_finished_at_once(readers: Readers) -> None:
    moment = readers.open_moment()
    moment.read("SELECT 1")
    moment.finish()
    assert readers.holds == 0


def test_a_finished_moment_can_be_closed_before_its_results_are_read(readers: Readers) -> None:
    moment = readers.open_moment()
    more = rest(moment.read(MANY, [25], limits=SMALL))
    moment.finish()
    moment.close()
    assert readers.holds == 0
    with pytest.raises(ReadCut):
        more.next_page()


def test_closing_ends_what_is_held(path: Path, writer: apsw.Connection) -> None:
    readers = Readers(path)
    more = rest(readers.read(MANY, [25], limits=SMALL))
    moment = readers.open_moment()
    readers.close()
    assert readers.outstanding == 0
    with pytest.raises(ReadCut):
        more.next_page()
    with pytest.raises(ReadCut):
        moment.read("SELECT 1")
    with pytest.raises(ReadBusy):
        readers.read("SELECT 1")


def test_connections_beyond_those_that_may_wait_for_work_are_closed(
    path: Path, writer: apsw.Connection
) -> None:
    readers = Readers(path)
    for moment in [readers.open_moment() for _ in range(readers_module.HELD_MAX)]:
        moment.close()
    assert len(readers._idle) == readers_module.IDLE_MAX
    for moment in [readers.open_moment() for _ in range(readers_module.HELD_MAX)]:
        assert rows(moment.read("SELECT count(*) FROM t")) == [[2]]
        moment.close()
    readers.close()
    assert readers.outstanding == 0


def test_connections_are_bounded(path: Path, writer: apsw.Connection) -> None:
    readers = Readers(path, connections_max=2, held_max=1)
    inside: list[type[Exception]] = []

    def look() -> bool:
        try:
            readers.read("SELECT 1")
            readers.open_moment()
            readers.read("SELECT 1")
        except ReadBusy as busy:
            inside.append(type(busy))
        return True

    with pytest.raises(ReadCut):
        readers.read(MANY, [100_000], limits=Limits(expired=look))
    assert inside == [ReadBusy]
    readers.close()


def test_a_damaged_file_is_no_answer(path: Path, writer: apsw.Connection, tmp_path: Path) -> None:
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    writer.close()
    damaged = tmp_path / "damaged"
    data = bytearray(path.read_bytes())
    data[4096 : 4096 + 64] = b"\xff" * 64
    damaged.write_bytes(data)
    readers = Readers(damaged)
    with pytest.raises(ReadBroken) as broken:
        readers.read("SELECT * FROM t")
    reason = broken.value.reason(damaged)
    assert isinstance(reason, DatabaseDamaged)
    assert f"{damaged}, offset 4096: a page does not match its checksum" in str(reason)
    readers.close()
    with pytest.raises(ReadBroken):
        Readers(tmp_path / "missing").read("SELECT 1")


def test_an_explain_is_never_prepared_twice_for_two_schemas(tmp_path: Path) -> None:
    """SQLite does not notice a changed schema beneath a prepared EXPLAIN, and crashes."""
    path = tmp_path / "d.db"
    writer = apsw.Connection(str(path))
    writer.pragma("journal_mode", "wal")
    writer.execute("CREATE TABLE t (a, b)")
    readers = Readers(path)
    for turn in range(30):
        assert isinstance(readers.read("EXPLAIN INSERT INTO t VALUES (1, 2)"), Page)
        assert isinstance(readers.read("/* c */ explain DELETE FROM t"), Page)
        writer.execute(f"CREATE TABLE t{turn} (a, b); CREATE INDEX i{turn} ON t{turn} (a)")
        writer.execute("DROP TABLE t; CREATE TABLE t (a, b, c DEFAULT 'z')")
    writer.close()
    reader = readers._idle[0]
    hits = reader.connection.cache_stats(True)["entries"]
    assert not [one for one in hits if one["query"].lstrip("/* c").lower().startswith("explain")]
    readers.close()
