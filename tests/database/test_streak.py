"""Commands of one text run as one `executemany`, and come to the same as each of them alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raftsql.database import machine as room
from raftsql.database.machine import Machine
from raftsql.database.streak import run_streak
from raftsql.raft.messages import Entry, EntryKind
from raftsql.sql import commands
from raftsql.sql.commands import Done, Failed, Refusal, Settings
from tests.database.conftest import Log, dump

INSERT = "INSERT INTO t(b) VALUES (?)"
KEYED = "INSERT INTO t(a, b) VALUES (?, ?)"
COUNT = "WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x WHERE i < ?) "
TABLES = (
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE, at DEFAULT (datetime('now', 'subsec')),"
    " luck DEFAULT (random()), CHECK (b IS NOT 'bad'))",
    "CREATE TABLE w(a PRIMARY KEY, b) WITHOUT ROWID",
    "CREATE TABLE p(a PRIMARY KEY)",
    "CREATE TABLE c(p REFERENCES p(a))",
)


@pytest.fixture
def streaks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many commands each streak answered."""
    found: list[int] = []

    def counted(*arguments: Any) -> None:
        before = len(arguments[-1])
        run_streak(*arguments)
        found.append(len(arguments[-1]) - before)

    monkeypatch.setattr(room, "run_streak", counted)
    return found


@pytest.fixture
def log() -> Log:
    log = Log()
    log.script(*TABLES)
    log.open_session(b"one")
    log.open_session(b"two")
    return log


def answers_of(folder: Path, entries: Sequence[Entry], cuts: Sequence[int]) -> list[Any]:
    """Apply in parts that end at the cuts; answers, contents, and what sessions keep."""
    machine = Machine.open(folder / "a.db")
    answers: list[bytes | None] = []
    for start, stop in zip([0, *cuts], [*cuts, len(entries)], strict=True):
        answers += machine.apply(entries[start:stop])
    kept, membership = machine._writer.sessions.contents(), machine.membership
    machine.close()
    return [answers, dump(folder / "a.db"), kept, membership]


def same(tmp_path: Path, log: Log) -> list[Any]:
    """Check that one batch comes to the same as a batch for each; the answers."""
    (tmp_path / "alone").mkdir()
    (tmp_path / "together").mkdir()
    alone = answers_of(tmp_path / "alone", log.entries, range(1, len(log.entries)))
    together = answers_of(tmp_path / "together", log.entries, [3])
    assert together == alone
    return [None if a is None else commands.decode_answer(a) for a in together[0]]


def repeated(log: Log, sql: str, rows: Sequence[commands.Parameters], **header: Any) -> None:
    for row in rows:
        log.sql(sql, row, **header)


def test_a_streak_answers_each_command_as_if_it_were_alone(
    tmp_path: Path, log: Log, streaks: list[int]
) -> None:
    repeated(log, INSERT, [[f"v{n}"] for n in range(50)])
    answers = same(tmp_path, log)
    assert answers[3:] == [Done(1, n) for n in range(1, 51)]
    assert streaks == [47]  # Met, looked at, run; the rest is a streak.


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        (KEYED, [[1, 1], [2, 2], [-5, 3], [2**62, 4], [None, 5], ["7", 6], [8.0, 7], ["x", 8]]),
        (INSERT, [[1], ["bad"], [2], [1], [3], ["bad"], ["bad"], [4]]),
        ("INSERT OR IGNORE INTO t(b) VALUES (?)", [[1], [1], [2], [2], [3], ["bad"]]),
        ("INSERT OR REPLACE INTO t(b) VALUES (?)", [[1], [1], [2], [2], [1]]),
        ("REPLACE INTO t(a, b) VALUES (?, ?)", [[1, 1], [2, 1], [1, 2], [9, 9]]),
        ("INSERT OR FAIL INTO t(b) VALUES (?), (?)", [[1, 2], [3, 1], [4, 4], [5, 6]]),
        (
            "INSERT OR ROLLBACK INTO t(b) VALUES (?)",
            [[n] for n in (*range(6), 3, *range(6, 11), 3)],
        ),
        ("INSERT INTO w VALUES (?, 1)", [[1], [2], [1], [3]]),
        ("INSERT INTO c VALUES (?)", [[None], [1], [None]]),
        ("INSERT INTO t(b) VALUES (?) RETURNING a, luck", [[1], [2], [1], [3]]),
        ("UPDATE t SET b = b + 100 WHERE a <= ?", [[0], [1], [9], [2]]),
        ("DELETE FROM t WHERE a >= ?", [[99], [9], [3], [1], [1]]),
        ("INSERT INTO t(b) VALUES (?) ON CONFLICT DO UPDATE SET a = 77", [[1], [1], [2], [1]]),
        ("INSERT INTO t(b) VALUES (randomblob(?))", [[4], [8], [10**10], [4]]),
        ("INSERT INTO t(b) SELECT ? WHERE ?1 > 2", [[1], [3], [2], [4]]),
        (INSERT, [[1], [2, 3], [4], [], [5], None, [6], {"b": 7}, [8]]),
        ("INSERT INTO t(b) VALUES (:b)", [[1], {"b": 2}, {"c": 3}, [4], {"b": 5}]),
        (INSERT, [[1], [2**63], [2], [[3]], [{}], [True], [4.5], ["\U0001f600"], [b"\0"]]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_rows_of_every_kind_come_to_the_same(
    tmp_path: Path, log: Log, streaks: list[int], sql: str, rows: list[Any]
) -> None:
    repeated(log, KEYED, [[n, -n] for n in (1000, 1001, 1002)])
    repeated(log, sql, [rows[0]] * 3)
    repeated(log, sql, rows + rows)
    same(tmp_path, log)
    watched = ("RETURNING", "CONFLICT", "SELECT", "(?), (?)")
    assert streaks or any(word in sql for word in watched)


def test_each_command_of_a_streak_has_its_own_clock_and_chance(
    tmp_path: Path, log: Log, streaks: list[int]
) -> None:
    for n, clock_ms in enumerate([10_000, 10_000, 20_000, 15_000, 30_001, 30_002], start=1):
        log.sql(INSERT, [n], clock_ms=clock_ms + 1_800_000_000_000, seed=n)
    same(tmp_path, log)
    rows = dump(tmp_path / "together" / "a.db")["t"]
    moments = [row[3][1][-7:-1] for row in rows]
    assert moments == ["10.000", "10.000", "20.000", "20.000", "30.001", "30.002"]
    assert len({row[4] for row in rows}) == 6
    assert streaks == [3]


def test_deferred_keys_are_looked_at_after_each(tmp_path: Path, log: Log) -> None:
    deferred = Settings.FOREIGN_KEYS | Settings.DEFER_FOREIGN_KEYS
    log.sql("INSERT INTO p VALUES (1)")
    repeated(log, "INSERT INTO c VALUES (?)", [[1]] * 5)
    repeated(log, "INSERT INTO c VALUES (?)", [[1], [2], [1], [2]], settings=deferred)
    repeated(log, "INSERT INTO c VALUES (?)", [[1], [2], [1]])
    answers = same(tmp_path, log)
    failed = [place for place, answer in enumerate(answers) if isinstance(answer, Failed)]
    assert failed == [10, 12, 14]


def test_a_runaway_in_a_streak_is_ended_and_takes_nobodys_rows(
    tmp_path: Path, log: Log, streaks: list[int]
) -> None:
    rows = [[n] for n in (*range(8), 10**9, *range(8), 10**9, *range(8))]
    log.sql("INSERT INTO w VALUES (1, 1)")
    repeated(log, f"UPDATE w SET b = ({COUNT} SELECT count(*) FROM x)", rows, fuel=200)
    answers = same(tmp_path, log)
    refusals = [a.refusal for a in answers[3:] if isinstance(a, Failed)]
    assert refusals == [Refusal.FUEL] * 2
    assert answers[-1] == Done(1, 0)
    assert streaks


def test_a_row_number_that_may_not_be_ends_in_a_refusal(
    tmp_path: Path, log: Log, streaks: list[int]
) -> None:
    repeated(log, KEYED, [[n, n] for n in (1, 2, 3, 4, 2**63 - 1, 5, 2**63 - 2, 6)])
    repeated(log, INSERT, [[n] for n in "abcdef"])
    answers = same(tmp_path, log)
    assert answers[7].refusal is Refusal.DETERMINISM
    assert answers[9] == Done(1, 2**63 - 2)
    assert streaks


def test_sessions_are_asked_in_the_middle_of_a_streak(
    tmp_path: Path, log: Log, streaks: list[int]
) -> None:
    asked = [(2, 1), (2, 2), (2, 3), (2, 4), (3, 1), (2, 5), (2, 4), (2, 6), (9, 1), (2, 7), (0, 0)]
    for value, (session, sequence) in enumerate(asked):
        log.sql(INSERT, [value], session=session, sequence=sequence)
    repeated(log, INSERT, [["x"], ["x"]], session=3, sequence=7, floor=3)
    repeated(log, INSERT, [["y"], ["y"]], session=3, sequence=3)
    log.sql(INSERT, ["z"], session=3, sequence=8, floor=99)
    repeated(log, INSERT, [["w"]] * 3, session=3, sequence=6)
    answers = same(tmp_path, log)
    assert answers[9] == answers[6]
    assert answers[11].refusal is Refusal.SESSION_UNKNOWN
    assert answers[14] == answers[15] == Done(1, 10)
    assert [a.refusal for a in answers[-3:]] == [Refusal.SEQUENCE_FORGOTTEN] * 3
    assert streaks


def test_a_crowded_session_is_told_so_in_a_streak(
    tmp_path: Path, log: Log, streaks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sessions", "machine", "streak"):
        monkeypatch.setattr(f"raftsql.database.{name}.OUTSTANDING_MAX", 6)
    for n in range(1, 10):
        log.sql(INSERT, [n], session=2, sequence=n)
    for n in range(10, 25):
        log.sql(INSERT, [n], session=3, sequence=n, floor=n - 1)
    answers = same(tmp_path, log)
    refused = [place for place, answer in enumerate(answers) if isinstance(answer, Failed)]
    assert refused == [9, 10, 11]
    assert answers[9].refusal is Refusal.SESSIONS_FULL
    assert streaks


def test_what_is_no_command_or_has_other_settings_ends_a_streak(
    tmp_path: Path, log: Log, streaks: list[int]
) -> None:
    repeated(log, INSERT, [[n] for n in range(5)])
    log.plain(EntryKind.NOOP)
    repeated(log, INSERT, [[n] for n in range(5, 8)])
    log.plain(EntryKind.MEMBERSHIP, log.entries[-1].payload)
    repeated(log, INSERT, [[n] for n in range(8, 11)])
    repeated(log, INSERT, [[n] for n in range(11, 14)], fuel=77)
    repeated(log, INSERT, [[n] for n in range(14, 18)], settings=Settings(0))
    log.many(INSERT, [[18], [19]])
    log.script("CREATE TABLE late(a)")
    repeated(log, INSERT, [[n] for n in range(20, 25)])
    answers = same(tmp_path, log)
    assert sum(isinstance(answer, Done) for answer in answers) == 26
    assert len(streaks) >= 5


def packed(sql: bytes, rest: bytes) -> bytes:
    return b"\x92" + sql + rest


def test_bodies_that_are_malformed_or_packed_otherwise_end_a_streak(
    tmp_path: Path, log: Log, streaks: list[int]
) -> None:
    text = msgspec.msgpack.encode(INSERT)
    longer = b"\xdb" + len(INSERT).to_bytes(4, "big") + INSERT.encode()
    bodies = [
        packed(text, b""),
        packed(text, b"\x91"),
        packed(text, b"\x91\x01\x01"),
        packed(text, b"\x05"),
        packed(text, b"\x91\xd4\x01\x01"),
        packed(longer, b"\x91\x63"),
        packed(text, b"\xdc\x00\x01\x64"),
        text[:9],
        b"",
    ]
    repeated(log, INSERT, [[n] for n in range(5)])
    for number, body in enumerate(bodies):
        entry = log.sql(INSERT, [None])
        entry.payload = entry.payload[: commands.HEADER.size] + body
        repeated(log, INSERT, [[f"{number}.{n}"] for n in range(3)])
    answers = same(tmp_path, log)
    malformed = [a for a in answers if isinstance(a, Failed) and "malformed" in a.message]
    assert len(malformed) == 6
    assert streaks


def test_a_gap_in_a_streak_is_a_broken_invariant(tmp_path: Path, log: Log) -> None:
    repeated(log, INSERT, [[n] for n in range(9)])
    machine = Machine.open(tmp_path / "a.db")
    with pytest.raises(AssertionError, match="can't follow"):
        machine.apply([*log.entries[:9], *log.entries[10:]])


texts = st.sampled_from(
    [
        INSERT,
        "INSERT OR ROLLBACK INTO t(b) VALUES (?)",
        "UPDATE t SET b = -a WHERE a % 3 = ?",
        "INSERT INTO c VALUES (?)",
    ]
)
streak = st.tuples(
    texts, st.lists(st.integers(0, 20), min_size=1, max_size=8), st.sampled_from([0, 2, 3])
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=st.lists(streak, max_size=8), floors=st.booleans())
def test_made_up_streaks_come_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, made: list[Any], floors: bool
) -> None:
    log = Log()
    log.script(*TABLES)
    log.open_session(b"one")
    log.open_session(b"two")
    for sql, values, session in made:
        for value in values:
            log.sql(sql, [value], session=session, sequence=value + 1, floor=value // 2 * floors)
    same(tmp_path_factory.mktemp("made"), log)
