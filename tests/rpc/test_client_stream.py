"""What each frame of a client does, and what is left when the client has gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from raftsql.rpc import client_stream
from raftsql.sql.commands import Done, Failed, Opened, Refusal, Why
from raftsql_proto import frames
from raftsql_proto.frames import (
    Begin,
    Cancel,
    Commit,
    Examine,
    Fetch,
    Hello,
    Many,
    OpenSession,
    Refused,
    Release,
    Rollback,
    Run,
    Statement,
    Work,
    encode,
)
from tests.cluster.stage import Stage
from tests.rpc.desk import Desk, raw, staged_alone, understood

NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 25000)"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    stage = staged_alone(tmp_path)
    yield Desk(stage)
    stage.world.close()


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Desk]:
    stage = Stage(tmp_path, 3).lead()
    stage.lose_lead(leader=3)
    desk = Desk(stage)
    desk.service.leader = "n3:1"
    yield desk
    stage.world.close()


def test_a_write_and_a_read(desk: Desk) -> None:
    assert desk.execute("INSERT INTO t (y) VALUES (?)", "a") == Done(1, 1)
    assert desk.execute("SELECT y FROM t") == [["a"]]


def test_hello_is_welcomed(desk: Desk) -> None:
    (welcome,) = desk.send(Hello(frames.PROTOCOL))
    assert isinstance(welcome, frames.Welcome)


def test_a_script_and_a_statement_for_many_rows(desk: Desk) -> None:
    many = Run(1, Work.MANY, encode(Many("INSERT INTO t (y) VALUES (?)", [[1], [2]])))
    assert understood(desk.ask(many)) == Done(2, 2)
    script = [Statement("INSERT INTO t (y) VALUES (3); DELETE FROM t WHERE y = 1")]
    assert understood(desk.ask(Run(2, Work.SCRIPT, encode(script)))) == Done(2, 3)
    assert desk.execute("SELECT y FROM t") == [[2], [3]]


def test_settings_are_the_clients_own(desk: Desk) -> None:
    assert desk.execute("PRAGMA foreign_keys = OFF") == Done(0, 0)
    answer = desk.execute("PRAGMA foreign_keys", settings=0)
    assert isinstance(answer, Done)
    assert answer.rows == [[0]]


def test_blank_text_does_nothing(desk: Desk) -> None:
    assert desk.execute(" -- nothing") == Done(0, 0)


@pytest.mark.parametrize("text", ["COMMIT", "ROLLBACK", "SAVEPOINT s", "BEGIN"])
def test_control_without_a_transaction_says_so(desk: Desk, text: str) -> None:
    answer = desk.execute(text)
    assert isinstance(answer, Failed)
    assert "transaction" in answer.message


def test_a_transaction_from_begin_to_commit(desk: Desk) -> None:
    inside: dict[str, Any] = {"transaction": 4, "begin": Begin.DEFERRED}
    assert desk.execute("BEGIN", **inside) == Done(0, 0)
    assert desk.execute("INSERT INTO t (y) VALUES (1)", **inside) == Done(1, 1)
    desk.stage.advance(100)
    assert desk.execute("COMMIT", transaction=4) == Done(-1, 0)
    assert desk.execute("SELECT y FROM t") == [[1]]
    late = desk.execute("SELECT 1", transaction=4)
    assert isinstance(late, Refused)
    assert late.why == Why.TRANSACTION_GONE


def test_a_script_inside_a_transaction_does_not_end_it(desk: Desk) -> None:
    script = [Statement("BEGIN; INSERT INTO t (y) VALUES (1); COMMIT")]
    run = Run(1, Work.SCRIPT, encode(script), transaction=4, begin=Begin.IMMEDIATE)
    assert understood(desk.ask(run)) == Done(1, 1)
    assert desk.stage.rows("SELECT y FROM t") == []
    desk.send(Rollback(2, 4))
    assert desk.stage.rows("SELECT y FROM t") == []


def test_a_commit_whose_transaction_is_gone_is_asked_of_the_log(desk: Desk) -> None:
    opened = understood(desk.ask(OpenSession(1, b"nonce", 60_000)))
    assert isinstance(opened, Opened)
    begin: dict[str, Any] = {"transaction": 4, "begin": Begin.IMMEDIATE}
    desk.execute("INSERT INTO t (y) VALUES (1)", **begin)
    commit = Commit(50, 4, opened.session, 1)
    assert understood(desk.ask(commit)) == Done(-1, 0)
    assert understood(desk.ask(msgspec.structs.replace(commit, id=51))) == Done(-1, 0)
    never = understood(desk.ask(Commit(52, 5, opened.session, 2)))
    assert isinstance(never, Failed)
    assert never.refusal is Refusal.NEVER_HAPPENED


@pytest.mark.parametrize(
    "frame",
    [
        [1, 1, 1, b"", -1],
        [1, 1, 1, b"", 1 << 63],
        [1, 1, 1, b"", 1, -1],
        [1, 1, 1, b"", 1, 1, -1],
        [1, -1, 1, b""],
        [6, 1, 1, -1, 1, 1],
        [5, 1, b"nonce", (1 << 64) - 1],
        [5, 1, b"nonce", -1],
        [5, 1, b"", 1000],
        [5, 1, b"n" * 65, 1000],
        [2, 1, -1],
        [99, 1],
        ["x"],
        7,
    ],
)
def test_a_number_out_of_its_range_makes_the_frame_unreadable(frame: Any) -> None:
    """It would be refused by the log's header, or by every node's database for ever."""
    with pytest.raises(msgspec.MsgspecError):
        frames.decode_client_frames(raw(frame))


def test_fields_that_a_newer_client_adds_are_ignored(desk: Desk) -> None:
    body = encode(Statement("SELECT 1"))
    newer = [1, 1, 1, body, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "new", {"more": 1}]
    desk.stream.receive(frames.decode_client_frames(raw(newer)))
    desk.stage.settle()
    assert [understood(f) for f in desk.received()] == [[[1]]]


@pytest.mark.parametrize(
    "fields",
    [{"work": 77}, {"level": 9}, {"transaction": 3, "begin": 9}],
    ids=["work", "level", "begin"],
)
def test_an_unknown_kind_from_a_newer_client_is_refused_in_words(
    desk: Desk, fields: dict[str, int]
) -> None:
    run = desk.run("SELECT 1")
    for name, value in fields.items():
        setattr(run, name, value)
    refused = desk.ask(run)
    assert isinstance(refused, Refused)
    assert refused.why == Why.BAD_REQUEST
    assert "not known to this server" in refused.message
    assert desk.execute("SELECT 1") == [[1]]


def test_a_request_number_in_use_is_refused_and_the_first_is_answered(desk: Desk) -> None:
    desk.stage.world.readers_wait = True
    first, second = desk.run("SELECT 1"), desk.run("SELECT 2")
    second.id = first.id
    desk.send(first, second)
    desk.stage.world.finish_queries()
    answers = desk.received()
    assert [understood(f) for f in answers] == [[[1]]]
    assert desk.stream._open == {}


def test_open_requests_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_stream, "OPEN_REQUESTS_MAX", 2)
    desk.stage.world.readers_wait = True
    desk.send(*[desk.run("SELECT 1") for _ in range(2)])
    refused = desk.ask(desk.run("SELECT 1"))
    assert refused.why == Why.OVERLOADED
    assert desk.ask(OpenSession(90, b"n", 1)).why == Why.OVERLOADED
    assert desk.ask(Commit(91, 1)).why == Why.OVERLOADED


def test_open_transactions_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_stream, "TRANSACTIONS_MAX", 1)
    desk.execute("BEGIN", transaction=1, begin=Begin.DEFERRED)
    refused = desk.execute("BEGIN", transaction=2, begin=Begin.DEFERRED)
    assert isinstance(refused, Refused)
    assert refused.why == Why.OVERLOADED


def test_a_large_result_comes_in_pages(desk: Desk) -> None:
    page = desk.ask(desk.run(f"{NUMBERS} SELECT i FROM n"))
    rows = frames.decode_rows(page.rows)
    while page.cursor:
        page = desk.ask(Fetch(desk.next_id(), page.cursor))
        rows += frames.decode_rows(page.rows)
    assert rows == [[i] for i in range(1, 25_001)]
    assert desk.stage.world.readers.holds == 0


def test_the_rest_of_a_result_can_be_released_or_forgotten(desk: Desk) -> None:
    for _ in range(2):
        page = desk.ask(desk.run(f"{NUMBERS} SELECT i FROM n"))
        assert desk.stage.world.readers.holds == 1
        if page.cursor == 1:
            desk.send(Release(page.cursor))
        else:
            desk.stage.advance(client_stream.CURSOR_MS_MAX + 1)
            desk.stream.expire(desk.stage.now)
        assert desk.stage.world.readers.holds == 0
        assert desk.ask(Fetch(desk.next_id(), page.cursor)).why == Why.CURSOR_GONE


def test_a_client_that_goes_leaves_nothing_open(desk: Desk) -> None:
    desk.ask(desk.run(f"{NUMBERS} SELECT i FROM n"))
    desk.execute("SELECT 1", transaction=1, begin=Begin.DEFERRED)
    desk.execute("INSERT INTO t (y) VALUES (1)", transaction=2, begin=Begin.IMMEDIATE)
    assert desk.stage.world.readers.holds == 2
    desk.stream.close()
    assert desk.stage.world.readers.holds == 0
    assert desk.stage.replica.writer.open_count == 0
    assert desk.stage.rows("SELECT y FROM t") == []


def test_a_result_that_comes_after_its_client_has_gone_is_let_go(desk: Desk) -> None:
    desk.stage.world.readers_wait = True
    desk.send(desk.run(f"{NUMBERS} SELECT i FROM n"))
    desk.stream.close()
    desk.stage.world.finish_queries()
    assert desk.stage.world.readers.holds == 0


def test_a_read_that_waits_for_a_far_token_ends_with_its_client(desk: Desk) -> None:
    desk.send(desk.run("SELECT 1", level=frames.Level.SESSION, token=1 << 40))
    assert len(desk.stage.replica.reading) == 1
    desk.stream.close()
    desk.stage.advance(1)
    assert len(desk.stage.replica.reading) == 0


def test_a_cancelled_request_is_answered_so(desk: Desk) -> None:
    run = desk.run("SELECT 1", level=frames.Level.SESSION, token=1 << 40)
    desk.send(run)
    desk.send(Cancel(run.id))
    desk.stage.advance(1)
    (answer,) = desk.received()
    assert answer.why == Why.CANCELLED


def test_a_cancelled_statement_that_waits_for_the_writer_is_answered_so(desk: Desk) -> None:
    desk.execute("INSERT INTO t (y) VALUES (1)", transaction=1, begin=Begin.IMMEDIATE)
    run = desk.run("INSERT INTO t (y) VALUES (2)", transaction=2, begin=Begin.IMMEDIATE)
    desk.send(run)
    desk.send(Cancel(run.id))
    desk.stage.advance(1)
    (answer,) = desk.received()
    assert answer.why == Why.CANCELLED


def test_cancelling_what_is_not_there_does_nothing(desk: Desk) -> None:
    assert desk.send(Cancel(12345)) == []


def test_a_follower_passes_writes_and_transactions_on(follower: Desk) -> None:
    write = follower.run("INSERT INTO t VALUES (1)")
    begin = follower.run("BEGIN", transaction=3, begin=Begin.DEFERRED)
    inside = follower.run("SELECT 1", transaction=3)
    follower.send(write, begin, inside)
    assert [f.id for f in follower.service.passed_on] == [write.id, begin.id, inside.id]


def test_a_request_is_passed_on_once_only(follower: Desk) -> None:
    follower.send(Hello(frames.PROTOCOL, forwarded=True))
    refused = follower.execute("INSERT INTO t VALUES (1)")
    assert isinstance(refused, Refused)
    assert (refused.why, refused.leader) == (Why.NOT_LEADER, "n3:1")


def test_what_the_leader_holds_for_a_client_that_goes_is_rolled_back(follower: Desk) -> None:
    follower.send(follower.run("BEGIN", transaction=3, begin=Begin.DEFERRED))
    follower.stream.close()
    last = follower.service.passed_on[-1]
    assert isinstance(last, Rollback)
    assert last.transaction == 3


def test_a_request_that_was_passed_on_is_cancelled_there_too(follower: Desk) -> None:
    follower.send(follower.run("INSERT INTO t VALUES (1)"))
    (run,) = follower.service.passed_on
    follower.send(frames.Cancel(run.id))
    assert follower.service.passed_on[1:] == [frames.Cancel(run.id)]
    follower.stream.close()
    assert follower.service.passed_on[2:] == [frames.Cancel(run.id)]


def test_what_could_not_be_passed_on_is_not_kept_open(follower: Desk) -> None:
    follower.service.leader = ""
    assert isinstance(follower.execute("INSERT INTO t VALUES (1)"), Refused)
    assert not follower.stream._open


class Upstream:
    """A stream to a leader, which has ended or not."""

    def __init__(self) -> None:
        self.lives = True
        self.sent: list[Any] = []
        self.released: list[int] = []

    def forward(self, frame: Any, client: Any) -> None:
        self.sent.append(frame)

    def release(self, cursor: int) -> None:
        self.released.append(cursor)


def far_page(cursor: int) -> frames.Page:
    return frames.Page(1, None, msgspec.Raw(encode([])), cursor)


def test_the_rest_of_a_leaders_result_is_asked_of_that_leader_only(follower: Desk) -> None:
    upstream: Any = Upstream()
    follower.stream.pass_back(1, far_page(9), upstream)
    follower.stream.pass_back(2, far_page(9), upstream)
    first, second = follower.received()
    follower.send(Fetch(3, first.cursor))
    assert [frame.cursor for frame in upstream.sent] == [9]
    upstream.lives = False
    assert follower.ask(Fetch(4, second.cursor)).why == Why.CURSOR_GONE


def test_the_rest_of_a_leaders_result_is_released_there(follower: Desk) -> None:
    upstream: Any = Upstream()
    follower.stream.pass_back(1, far_page(7), upstream)
    follower.stream.pass_back(2, far_page(8), upstream)
    first, _ = follower.received()
    follower.send(Release(first.cursor))
    assert upstream.released == [7]
    follower.stream.close()
    assert upstream.released == [7, 8]
    follower.stream.pass_back(3, far_page(6), upstream)
    assert upstream.released == [7, 8, 6]


def test_examine_says_what_would_become_of_a_text(desk: Desk) -> None:
    texts = ["SELECT 1", "INSERT INTO t VALUES (random())", "ATTACH 'x' AS y"]
    verdicts = [desk.ask(Examine(desk.next_id(), text)).verdict for text in texts]
    assert verdicts == ["pure", "pinned", "refused"]
    assert desk.ask(Examine(desk.next_id(), texts[1], strict=True)).verdict == "refused"


async def test_a_long_request_keeps_its_place_among_the_others(desk: Desk) -> None:
    long = "x" * (client_stream.LONG_BYTES + 1)
    batch = [
        desk.run("INSERT INTO t (y) VALUES (1)"),
        desk.run("INSERT INTO t (y) VALUES (?)", long),
        desk.run("INSERT INTO t (y) VALUES (3)"),
        Examine(77, "SELECT '" + long + "'"),
        desk.run("SELECT length(?) AS n", long),
    ]
    await desk.stream.take(frames.decode_client_frames(encode(batch)))
    desk.stage.settle()
    answers = desk.received()
    assert sorted(frame.id for frame in answers) == sorted(frame.id for frame in batch)
    assert desk.stage.rows("SELECT length(y) FROM t ORDER BY x") == [[1], [len(long)], [1]]


async def test_a_long_request_that_is_bad_is_refused_like_a_short_one(desk: Desk) -> None:
    run = Run(5, Work.EXECUTE, b"\xc1" * (client_stream.LONG_BYTES + 1))
    await desk.stream.take([run, desk.run("SELECT 1")])
    desk.stage.settle()
    bad, good = desk.received()
    assert (bad.id, bad.why) == (5, Why.BAD_REQUEST)
    assert understood(good) == [[1]]
