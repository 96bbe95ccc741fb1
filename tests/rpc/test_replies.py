"""Answers on their way: together when they wait together, and never more than a client reads."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from raftsql.rpc import replies
from raftsql.rpc.replies import Outbox, StreamReply
from raftsql.rpc.tally import Outcome
from raftsql.sql.commands import Done, Why, encode
from raftsql_proto import frames


class Wire:
    """A stream to a client that reads only when it is let."""

    def __init__(self) -> None:
        self.messages: list[list[Any]] = []
        self.reads = asyncio.Event()
        self.reads.set()

    async def write(self, message: Any) -> None:
        await self.reads.wait()
        self.messages.append(frames.decode_server_frames(message.batch))


def result(number: int, size: int = 10) -> frames.Result:
    return frames.Result(number, msgspec.Raw(encode(Done(0, 0, None, [["x" * size]]))))


async def drained(outbox: Outbox, wire: Wire) -> None:
    """Let the outbox work until it has nothing more to do."""
    task = asyncio.create_task(outbox.drain_to(wire))
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_answers_that_wait_together_travel_together() -> None:
    outbox, wire = Outbox(), Wire()
    for number in range(3):
        outbox.put(result(number))
    await drained(outbox, wire)
    assert [[f.id for f in message] for message in wire.messages] == [[0, 1, 2]]


async def test_nothing_is_sent_when_nothing_waits() -> None:
    outbox, wire = Outbox(), Wire()
    await drained(outbox, wire)
    assert wire.messages == []


@pytest.mark.parametrize("kind", ["result", "page"])
async def test_a_message_stays_of_a_size_that_the_client_takes(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(replies, "MESSAGE_BYTES_MAX", 250)
    outbox, wire = Outbox(), Wire()
    rows = msgspec.Raw(encode([["x" * 80]]))
    for number in range(5):
        frame = result(number, 80) if kind == "result" else frames.Page(number, None, rows)
        outbox.put(frame, 100)
    outbox.put(result(5, 400), 420)
    await drained(outbox, wire)
    assert [[f.id for f in message] for message in wire.messages] == [[0, 1], [2, 3], [4], [5]]


async def test_a_client_that_does_not_read_is_asked_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replies, "WAITING_BYTES_USUAL", 100)
    outbox, wire = Outbox(), Wire()
    wire.reads.clear()
    outbox.put(result(1), 150)
    room = asyncio.create_task(outbox.room())
    sending = asyncio.create_task(outbox.drain_to(wire))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not room.done()
    wire.reads.set()
    await room
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


async def test_a_client_that_lets_too_much_wait_is_cut_off_and_costs_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replies, "WAITING_BYTES_MAX", 100)
    outbox, wire = Outbox(), Wire()
    for number in range(5):
        outbox.put(result(number), 60)
    assert outbox.overflowed.is_set()
    await drained(outbox, wire)
    assert wire.messages == []


async def test_one_at_a_time_is_for_those_who_ask_so() -> None:
    outbox = Outbox()
    waiting = asyncio.create_task(outbox.next())
    await asyncio.sleep(0)
    outbox.put(result(1))
    outbox.put(result(2))
    assert (await waiting).id == 1  # type: ignore[union-attr]
    assert (await outbox.next()).id == 2  # type: ignore[union-attr]


class Holder:
    """Keeps nothing."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.closed: list[int] = []

    def keep(self, rest: object) -> int:
        return 77

    def done(self, request: int, outcome: Outcome) -> None:
        self.closed.append(request)

    def leader_address(self) -> str:
        return "n3:1"


async def test_a_refusal_says_where_the_leader_is() -> None:
    holder = Holder()
    StreamReply(holder, 5).refused(Why.NOT_LEADER, "not here")
    frame = await holder.outbox.next()
    assert frame == frames.Refused(5, Why.NOT_LEADER, "not here", "n3:1")
    assert holder.closed == [5]
