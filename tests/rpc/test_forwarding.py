"""Requests that a follower passes on: over one stream, answered each, and never forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import grpc
import grpc.aio
import msgspec
import pytest

from raftsql.rpc import forwarding
from raftsql.rpc.channels import listen, server
from raftsql.rpc.forwarding import Upstream
from raftsql.sql.commands import Done, Why, encode
from raftsql_proto import client_pb2, frames
from raftsql_proto.client_pb2_grpc import ClientServicer, add_ClientServicer_to_server

SECONDS_MAX = 10.0


class Leader(ClientServicer):
    """A leader that notes what it hears, and says what the test lets it say."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.calls: list[Any] = []
        self.arrived = asyncio.Event()
        self.ends = asyncio.Event()

    async def Connect(self, _: object, context: Any) -> None:
        self.calls.append(context)
        listening = asyncio.create_task(self._listen(context))
        await self.ends.wait()
        listening.cancel()

    async def _listen(self, context: Any) -> None:
        while (message := await context.read()) is not grpc.aio.EOF:
            self.heard += frames.decode_client_frames(message.batch)
            self.arrived.set()

    async def has_heard(self, count: int) -> list[Any]:
        async with asyncio.timeout(SECONDS_MAX):
            while len(self.heard) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.heard

    async def say(self, *batch: Any) -> None:
        await self.calls[-1].write(client_pb2.Frames(batch=frames.encode(list(batch))))


class Client:
    """A client's stream at the follower."""

    def __init__(self) -> None:
        self.back: list[tuple[int, Any]] = []
        self.changed = asyncio.Event()

    def pass_back(self, request: int, frame: Any, upstream: Upstream) -> None:
        self.back.append((request, frame))
        self.changed.set()

    def refuse(self, request: int, why: Why, message: str) -> None:
        self.back.append((request, why))
        self.changed.set()

    async def has_back(self, count: int) -> list[tuple[int, Any]]:
        async with asyncio.timeout(SECONDS_MAX):
            while len(self.back) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.back


Start = Callable[[], Awaitable[tuple[Leader, Upstream]]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    servers, upstreams = [], []

    async def make() -> tuple[Leader, Upstream]:
        leader, serves = Leader(), server()
        add_ClientServicer_to_server(leader, serves)
        port = listen(serves, "127.0.0.1:0")
        await serves.start()
        servers.append(serves)
        upstreams.append(Upstream(f"127.0.0.1:{port}", lambda _: None))
        return leader, upstreams[-1]

    yield make
    for upstream in upstreams:
        upstream.close()
    for serves in servers:
        await serves.stop(0)


def run(number: int, transaction: int = 0) -> frames.Run:
    return frames.Run(number, frames.Work.EXECUTE, b"body", transaction=transaction)


def result(number: int) -> frames.Result:
    return frames.Result(number, msgspec.Raw(encode(Done(number, 0))))


async def test_the_stream_says_that_it_speaks_for_others(start: Start) -> None:
    leader, _ = await start()
    (hello,) = await leader.has_heard(1)
    assert hello.forwarded


async def test_requests_of_many_clients_share_it_and_get_their_own_numbers_back(
    start: Start,
) -> None:
    leader, upstream = await start()
    one, two = Client(), Client()
    upstream.forward(run(7), one)  # type: ignore[arg-type]
    upstream.forward(run(7), two)  # type: ignore[arg-type]
    _, first, second = await leader.has_heard(3)
    assert first.id != second.id
    await leader.say(frames.Leader(""), result(second.id), result(first.id))
    ((number, frame),) = await one.has_back(1)
    assert (number, frame.id) == (7, 7)
    assert (await two.has_back(1))[0][0] == 7


async def test_who_waits_for_a_silent_leader_is_told_that_nobody_knows(start: Start) -> None:
    leader, upstream = await start()
    client: Any = Client()
    upstream.forward(run(7), client)
    _, sent = await leader.has_heard(2)
    upstream.doubt()
    assert await client.has_back(1) == [(7, Why.UNKNOWN)]
    await leader.say(result(sent.id))
    upstream.forward(run(8), client)
    again = (await leader.has_heard(3))[-1]
    await leader.say(result(again.id))
    assert [number for number, _ in await client.has_back(2)] == [7, 8], "the late one is dropped"


async def test_a_transaction_whose_client_was_told_so_is_over_at_the_leader_too(
    start: Start,
) -> None:
    leader, upstream = await start()
    waits, idles = cast(Any, Client()), cast(Any, Client())
    upstream.forward(run(1, transaction=5), waits)
    upstream.forward(run(1, transaction=6), idles)
    _, first, second = await leader.has_heard(3)
    await leader.say(result(second.id))
    await idles.has_back(1)
    upstream.doubt()
    assert await waits.has_back(1) == [(1, Why.UNKNOWN)]
    upstream.forward(run(2, transaction=6), idles)
    upstream.forward(run(2, transaction=5), waits)
    rollback, again, anew = (await leader.has_heard(6))[3:]
    assert rollback == frames.Rollback(0, first.transaction)
    assert again.transaction == second.transaction, "nobody waited for anything of this one"
    assert anew.transaction != first.transaction


async def test_a_transaction_keeps_its_number_until_it_ends(start: Start) -> None:
    leader, upstream = await start()
    one, two = Client(), Client()
    for client in (one, two):
        upstream.forward(run(1, transaction=5), client)  # type: ignore[arg-type]
        upstream.forward(run(2, transaction=5), client)  # type: ignore[arg-type]
        upstream.forward(frames.Commit(3, 5), client)  # type: ignore[arg-type]
    upstream.forward(run(4, transaction=5), one)  # type: ignore[arg-type]
    _, *heard = await leader.has_heard(8)
    numbers = [frame.transaction for frame in heard]
    assert numbers[0] == numbers[1] == numbers[2]
    assert numbers[3] == numbers[4] == numbers[5]
    assert len({numbers[0], numbers[3], numbers[6]}) == 3


@pytest.mark.parametrize("end", ["closed", "broken"])
async def test_what_was_under_way_when_it_ends_is_unknown(start: Start, end: str) -> None:
    leader, upstream = await start()
    client = Client()
    upstream.forward(run(1), client)  # type: ignore[arg-type]
    upstream.forward(frames.Rollback(0, 9), client)  # type: ignore[arg-type]
    await leader.has_heard(3)
    if end == "closed":
        upstream.close()
    else:
        leader.ends.set()
    assert await client.has_back(1) == [(1, Why.UNKNOWN)]
    assert not upstream.lives


async def test_an_unreachable_leader_answers_nobody_but_all_hear_of_it() -> None:
    lost = asyncio.Event()
    upstream = Upstream("127.0.0.1:1", lambda _: lost.set())
    client = Client()
    upstream.forward(run(1), client)  # type: ignore[arg-type]
    async with asyncio.timeout(SECONDS_MAX):
        await lost.wait()
    assert await client.has_back(1) == [(1, Why.UNKNOWN)]


async def test_what_waits_for_the_leader_is_bounded(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "PENDING_MAX", 2)
    _, upstream = await start()
    client = Client()
    for number in range(3):
        upstream.forward(run(number + 1), client)  # type: ignore[arg-type]
    assert client.back == [(3, Why.OVERLOADED)]


async def test_what_a_client_gives_up_is_given_up_at_the_leader_by_its_number_there(
    start: Start,
) -> None:
    leader, upstream = await start()
    one, two = Client(), Client()
    upstream.forward(run(7), one)  # type: ignore[arg-type]
    upstream.forward(run(7), two)  # type: ignore[arg-type]
    upstream.forward(frames.Cancel(7), two)  # type: ignore[arg-type]
    *_, second, cancel = await leader.has_heard(4)
    assert cancel == frames.Cancel(second.id)
    await leader.say(frames.Refused(second.id, Why.CANCELLED, "it was cancelled"))
    ((number, frame),) = await two.has_back(1)
    assert (number, frame.why) == (7, Why.CANCELLED)


async def test_nothing_is_said_of_a_request_that_is_answered(start: Start) -> None:
    leader, upstream = await start()
    client = Client()
    upstream.forward(run(7), client)  # type: ignore[arg-type]
    _, heard = await leader.has_heard(2)
    await leader.say(result(heard.id))
    await client.has_back(1)
    upstream.forward(frames.Cancel(7), client)  # type: ignore[arg-type]
    upstream.release(1)
    assert (await leader.has_heard(3))[2:] == [frames.Release(1)]
    assert not upstream._numbers


async def test_the_rest_of_a_result_is_released(start: Start) -> None:
    leader, upstream = await start()
    upstream.release(12)
    _, release = await leader.has_heard(2)
    assert release == frames.Release(12)
