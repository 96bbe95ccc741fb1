"""Exactly once: a write that comes again gets the answer it got, and nothing happens twice."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raftsql.database import sessions as room
from raftsql.database.machine import Machine
from raftsql.sql import commands
from raftsql.sql.commands import CommandKind, Done, Failed, Opened, Refusal
from tests.database.conftest import Log, dump

INSERT = "INSERT INTO t(b) VALUES (?)"


@pytest.fixture
def client(bench: Any) -> int:
    bench.sql("CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE)")
    answer = bench.apply(bench.log.open_session(b"nonce"))
    assert answer == Opened(2)
    return int(answer.session)


def refusal(answer: Any) -> Refusal | None:
    return answer.refusal if isinstance(answer, Failed) else None


def test_a_retried_write_is_applied_once_and_gets_its_first_answer(bench: Any, client: int) -> None:
    first = bench.sql(INSERT, ["x"], session=client, sequence=1)
    again = bench.sql(INSERT, ["x"], session=client, sequence=1)
    bench.reopen()
    assert first == again == bench.sql(INSERT, ["x"], session=client, sequence=1) == Done(1, 1)
    assert bench.rows("SELECT count(*) FROM t") == [(1,)]


def test_a_retry_within_the_batch_of_the_first_try_is_applied_once(bench: Any, client: int) -> None:
    twice = [bench.log.sql(INSERT, ["x"], session=client, sequence=1) for _ in range(2)]
    assert bench.batch(*twice) == [Done(1, 1), Done(1, 1)]


def test_a_failed_write_fails_again_even_when_it_would_succeed_now(bench: Any, client: int) -> None:
    bench.sql(INSERT, ["x"])
    failed = bench.sql(INSERT, ["x"], session=client, sequence=1)
    bench.sql("DELETE FROM t")
    assert bench.sql(INSERT, ["x"], session=client, sequence=1) == failed
    assert bench.rows("SELECT count(*) FROM t") == [(0,)]


def test_sequences_may_arrive_in_any_order(bench: Any, client: int) -> None:
    for sequence in (3, 1, 2, 3, 2, 1):
        bench.sql(INSERT, [sequence], session=client, sequence=sequence)
    assert bench.rows("SELECT b FROM t") == [(3,), (1,), (2,)]


def test_at_or_below_the_floor_the_answer_is_forgotten_even_after_a_restart(
    bench: Any, client: int
) -> None:
    for sequence in range(1, 6):
        bench.sql(INSERT, [sequence], session=client, sequence=sequence)
    bench.sql(INSERT, [6], session=client, sequence=6, floor=4)
    for _ in range(2):
        answer = bench.sql(INSERT, [4], session=client, sequence=4)
        assert refusal(answer) is Refusal.SEQUENCE_FORGOTTEN
        assert bench.sql(INSERT, [5], session=client, sequence=5) == Done(1, 5)
        bench.reopen()
    assert bench.rows("SELECT count(*) FROM t") == [(6,)]


def test_an_unknown_session_is_told_so_and_nothing_is_applied(bench: Any, client: int) -> None:
    answer = bench.sql(INSERT, ["x"], session=99, sequence=1)
    assert refusal(answer) is Refusal.SESSION_UNKNOWN
    assert bench.rows("SELECT count(*) FROM t") == [(0,)]


def test_opening_with_the_same_nonce_finds_the_same_session(bench: Any, client: int) -> None:
    assert bench.apply(bench.log.open_session(b"nonce")) == Opened(client)
    bench.reopen()
    assert bench.apply(bench.log.open_session(b"nonce")) == Opened(client)
    assert bench.apply(bench.log.open_session(b"other")) != Opened(client)


def test_a_closed_session_is_unknown(bench: Any, client: int) -> None:
    bench.sql(INSERT, ["x"], session=client, sequence=1)
    bench.apply(bench.log.append(CommandKind.CLOSE_SESSION, None, session=client))
    bench.reopen()
    answer = bench.sql(INSERT, ["x"], session=client, sequence=1)
    assert refusal(answer) is Refusal.SESSION_UNKNOWN


def expire(bench: Any, after_ms: int) -> None:
    bench.log.clock_ms += after_ms
    bench.apply(bench.log.append(CommandKind.EXPIRE_SESSIONS, None))


def test_only_the_expiry_command_forgets_sessions_not_heard_of(bench: Any, client: int) -> None:
    bench.log.clock_ms += 1_000_000
    assert bench.sql(INSERT, ["x"], session=client, sequence=1) == Done(1, 1)
    bench.reopen()
    expire(bench, 59_000)
    assert bench.sql(INSERT, ["x"], session=client, sequence=1) == Done(1, 1)
    expire(bench, 2_000)
    answer = bench.sql(INSERT, ["x"], session=client, sequence=1)
    assert refusal(answer) is Refusal.SESSION_UNKNOWN


def test_a_session_that_is_kept_does_not_expire(bench: Any, client: int) -> None:
    for _ in range(3):
        bench.log.clock_ms += 50_000
        bench.apply(bench.log.append(CommandKind.KEEP_SESSIONS, [client, 77]))
        bench.reopen()
    expire(bench, 50_000)
    assert bench.sql(INSERT, ["x"], session=client, sequence=1) == Done(1, 1)


def test_an_answer_too_long_to_keep_is_told_as_dropped(bench: Any, client: int) -> None:
    long = "INSERT INTO t(b) VALUES (zeroblob(70000)) RETURNING b"
    assert isinstance(bench.sql(long, session=client, sequence=1), Done)
    for _ in range(2):
        answer = bench.sql(long, session=client, sequence=1)
        assert refusal(answer) is Refusal.ANSWER_DROPPED
        bench.reopen()
    assert bench.rows("SELECT count(*) FROM t") == [(1,)]


def test_unacknowledged_writes_of_a_session_are_bounded(
    bench: Any, client: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "OUTSTANDING_MAX", 3)
    monkeypatch.setattr("raftsql.database.machine.OUTSTANDING_MAX", 3)
    monkeypatch.setattr("raftsql.database.streak.OUTSTANDING_MAX", 3)
    entries = [bench.log.sql(INSERT, [n], session=client, sequence=n) for n in range(1, 6)]
    answers = bench.batch(*entries)
    assert [refusal(answer) for answer in answers[3:]] == [Refusal.SESSIONS_FULL] * 2
    assert refusal(bench.sql(INSERT, [6], session=client, sequence=6)) == Refusal.SESSIONS_FULL
    assert bench.rows("SELECT count(*) FROM t") == [(3,)]


@pytest.mark.parametrize("alone", [False, True], ids=["in a batch", "in a transaction"])
def test_a_client_that_was_crowded_goes_on_when_it_has_seen_answers(
    bench: Any, client: int, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    for name in ("sessions", "machine", "streak"):
        monkeypatch.setattr(f"raftsql.database.{name}.OUTSTANDING_MAX", 3)
    bench.batch(*(bench.log.sql(INSERT, [n], session=client, sequence=n) for n in range(1, 5)))
    header = {"session": client, "floor": 2}
    if alone:
        step = commands.Step("INSERT INTO t(b) VALUES (5)", None, 0, 0, 1, False)
        body = commands.Transaction([step])
        answer = bench.apply(bench.log.append(CommandKind.TRANSACTION, body, sequence=5, **header))
    else:
        answer = bench.sql(INSERT, [5], sequence=5, **header)
    assert isinstance(answer, Done)
    assert bench.rows("SELECT count(*) FROM t") == [(4,)]
    again = [bench.sql(INSERT, [n], session=client, sequence=n) for n in (6, 7)]
    assert [isinstance(each, Done) for each in again] == [True, False]


def test_sessions_are_bounded_and_the_overdue_make_room(
    bench: Any, client: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SESSIONS_MAX", 2)
    assert isinstance(bench.apply(bench.log.open_session(b"second")), Opened)
    assert refusal(bench.apply(bench.log.open_session(b"third"))) is Refusal.SESSIONS_FULL
    bench.log.clock_ms += 70_000
    assert isinstance(bench.apply(bench.log.open_session(b"third")), Opened)


def test_rows_of_answers_nobody_can_ask_for_are_deleted(bench: Any, client: int) -> None:
    for sequence in range(1, 200):
        bench.sql(INSERT, [sequence], session=client, sequence=sequence, floor=sequence - 1)
    assert bench.rows("SELECT count(*) FROM sqlite_raftsql_position")[0][0] <= 2


def test_rows_pinned_by_idle_sessions_are_gathered(
    bench: Any, client: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "WASTE_MIN", 50)
    bench.machine._writer.sessions._held_max = 50
    idle = [bench.apply(bench.log.open_session(b"idle %d" % n)).session for n in range(8)]
    sequence = 0
    for number in idle:
        entries = [bench.log.sql(INSERT, [f"idle {number}"], session=number, sequence=1)]
        for _ in range(40):
            sequence += 1
            entries.append(
                bench.log.sql(
                    INSERT, [sequence], session=client, sequence=sequence, floor=sequence - 1
                )
            )
        bench.batch(*entries)
    assert bench.rows("SELECT count(*) FROM sqlite_raftsql_position")[0][0] < 8
    bench.reopen()
    for number in idle:
        again = bench.sql(INSERT, [f"idle {number}"], session=number, sequence=1)
        assert isinstance(again, Done)
    assert bench.rows("SELECT count(*) FROM t") == [(8 * 41,)]


write = st.tuples(
    st.sampled_from([1, 2, 3]),
    st.integers(1, 12),
    st.integers(0, 12),
    st.sampled_from(["INSERT", "OR ROLLBACK", "FAIL"]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(writes=st.lists(write, max_size=40), cuts=st.sets(st.integers(1, 44)), again=st.booleans())
def test_what_is_remembered_does_not_depend_on_batches_or_restarts(
    tmp_path_factory: pytest.TempPathFactory, writes: list[Any], cuts: set[int], again: bool
) -> None:
    log = Log()
    log.sql("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    for nonce in (b"x", b"y", b"z"):
        log.open_session(nonce)
    texts = {
        "INSERT": "INSERT INTO t(b) VALUES (?)",
        "OR ROLLBACK": "INSERT OR ROLLBACK INTO t(a, b) VALUES (1, ?)",
        "FAIL": "INSERT INTO nowhere VALUES (?)",
    }
    for number, sequence, floor, what in writes:
        log.sql(texts[what], [sequence], session=number + 1, sequence=sequence, floor=floor)
    folder = tmp_path_factory.mktemp("batches")
    whole = Machine.open(folder / "whole.db")
    answers = whole.apply(log.entries)
    parts = Machine.open(folder / "parts.db")
    found: list[bytes | None] = []
    edges = sorted({0, len(log.entries), *(cut for cut in cuts if cut < len(log.entries))})
    for start, stop in pairwise(edges):
        found += parts.apply(log.entries[start:stop])
        if again:
            parts.close()
            parts = Machine.open(folder / "parts.db")
    assert found == answers
    assert dump(folder / "parts.db") == dump(folder / "whole.db")
    assert parts._writer.sessions.contents() == whole._writer.sessions.contents()
    whole.close()
    parts.close()


def test_the_contents_of_sessions_survive_a_copy_of_the_file(
    bench: Any, client: int, tmp_path: Path
) -> None:
    bench.sql(INSERT, ["x"], session=client, sequence=1)
    bench.machine._writer.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    copy = tmp_path / "copy.db"
    copy.write_bytes(bench.path.read_bytes())
    other = Machine.open(copy)
    assert other._writer.sessions.contents() == bench.machine._writer.sessions.contents()
    entry = bench.log.sql(INSERT, ["x"], session=client, sequence=1)
    (answer,) = other.apply([entry])
    assert answer is not None
    assert commands.decode_answer(answer) == Done(1, 1)
    assert other.applied.index == 4
    other.close()
