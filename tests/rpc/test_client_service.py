"""The stream of a client process from its Hello to its end, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import pytest

from raftsql.raft.leader import Leader
from raftsql.raft.progress import Progress
from raftsql.rpc import client_service, replies
from raftsql.rpc.client_service import ClientService
from raftsql.rpc.silence import LOOKS
from raftsql_proto import client_pb2, frames
from raftsql_proto.frames import Statement, encode
from tests.cluster.running import Alone, running

SECONDS_MAX = 10.0


class Aborted(Exception):
    """The call was ended with a status."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code


class Wire:
    """The server's side of a stream whose client is the test."""

    def __init__(self) -> None:
        self._in: asyncio.Queue[Any] = asyncio.Queue()
        self._out: asyncio.Queue[Any] = asyncio.Queue()
        self.reads = asyncio.Event()
        self.reads.set()

    async def read(self) -> Any:
        return await self._in.get()

    async def write(self, message: Any) -> None:
        await self.reads.wait()
        for frame in frames.decode_server_frames(message.batch):
            self._out.put_nowait(frame)

    def peer(self) -> str:
        return "ipv4:127.0.0.1:5"

    async def abort(self, code: grpc.StatusCode, details: str = "") -> None:
        raise Aborted(code, details)

    def send(self, *batch: Any) -> None:
        """A message of the client."""
        self._in.put_nowait(client_pb2.Frames(batch=encode(list(batch))))

    def send_bytes(self, batch: bytes) -> None:
        """A message of the client, as it is."""
        self._in.put_nowait(client_pb2.Frames(batch=batch))

    def hang_up(self) -> None:
        """The client will say no more."""
        self._in.put_nowait(grpc.aio.EOF)

    async def next(self) -> Any:
        """What the client hears next."""
        return await asyncio.wait_for(self._out.get(), SECONDS_MAX)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Alone]:
    async with running(tmp_path / "d") as alone:
        await alone.write("CREATE TABLE t (x)")
        yield alone


@pytest.fixture
async def service(node: Alone) -> AsyncIterator[ClientService]:
    made = ClientService()
    made.attach(node.runner)
    yield made
    made.close()


def run(number: int, sql: str, **fields: Any) -> frames.Run:
    return frames.Run(number, frames.Work.EXECUTE, encode(Statement(sql)), **fields)


async def ended(call: asyncio.Task[None]) -> None:
    await asyncio.wait_for(call, SECONDS_MAX)


async def test_a_client_from_hello_to_its_end(service: ClientService) -> None:
    wire: Any = Wire()
    call = asyncio.create_task(service.Connect(None, wire))
    wire.send(frames.Hello(frames.PROTOCOL), run(1, "INSERT INTO t VALUES (5)"))
    assert isinstance(await wire.next(), frames.Welcome)
    assert (await wire.next()).id == 1
    wire.send(run(2, "SELECT x FROM t"))
    page = await wire.next()
    assert frames.decode_rows(page.rows) == [[5]]
    assert len(service.streams) == 1
    wire.hang_up()
    await ended(call)
    assert not service.streams


async def test_every_client_hears_of_a_new_leader(service: ClientService) -> None:
    wire: Any = Wire()
    call = asyncio.create_task(service.Connect(None, wire))
    wire.send(frames.Hello(frames.PROTOCOL))
    await wire.next()
    await asyncio.sleep(0)
    service.role_changed()
    told = await wire.next()
    assert told == frames.Leader("n1:1", {1: "n1:1"})
    wire.hang_up()
    await ended(call)


async def test_what_a_silent_node_holds_for_its_clients_is_let_go(
    node: Alone, service: ClientService
) -> None:
    wire: Any = Wire()
    call = asyncio.create_task(service.Connect(None, wire))
    wire.send(frames.Hello(frames.PROTOCOL, forwarded=True, node=2))
    assert isinstance(await wire.next(), frames.Welcome)
    wire.send(run(1, "INSERT INTO t VALUES (1)", transaction=1))
    assert (await wire.next()).id == 1
    role = node.runner.node.role
    assert isinstance(role, Leader)
    role.progress[2] = Progress(next_index=1, heard_at=node.runner.node.now - 60_000)
    for _ in range(LOOKS):
        service.let_go_of_the_silent()
    del role.progress[2]  # It is no member, really.
    await ended(call)
    # Nobody holds the writer any more, and nothing was written.
    await node.write("INSERT INTO t VALUES (2)")
    assert await node.rows("SELECT x FROM t") == [[2]]


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (encode([frames.Cancel(1)]), grpc.StatusCode.INVALID_ARGUMENT),
        (encode([]), grpc.StatusCode.INVALID_ARGUMENT),
        (encode([frames.Hello(99)]), grpc.StatusCode.FAILED_PRECONDITION),
        (b"\xc1\xc1", grpc.StatusCode.INVALID_ARGUMENT),
        (b"\x91" * 100_000, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_a_stream_that_begins_badly_ends_with_a_reason(
    service: ClientService, first: bytes, code: grpc.StatusCode
) -> None:
    wire: Any = Wire()
    wire.send_bytes(first)
    with pytest.raises(Aborted) as aborted:
        await ended(asyncio.create_task(service.Connect(None, wire)))
    assert aborted.value.code is code
    assert not service.streams


async def test_a_client_that_goes_in_a_transaction_frees_the_writer(
    service: ClientService, node: Alone
) -> None:
    wire: Any = Wire()
    call = asyncio.create_task(service.Connect(None, wire))
    inside = {"transaction": 1, "begin": frames.Begin.IMMEDIATE}
    wire.send(frames.Hello(frames.PROTOCOL), run(1, "INSERT INTO t VALUES (1)", **inside))
    await wire.next()
    await wire.next()
    assert node.runner.replica.writer.open_count == 1
    wire.hang_up()
    await ended(call)
    assert node.runner.replica.writer.open_count == 0
    assert await node.rows("SELECT count(*) FROM t") == [[0]]


async def test_a_client_that_reads_nothing_is_taken_nothing_more_from(
    service: ClientService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "WAITING_BYTES_USUAL", 1_000)
    wire: Any = Wire()
    call = asyncio.create_task(service.Connect(None, wire))
    wire.send(frames.Hello(frames.PROTOCOL))
    await wire.next()
    wire.reads.clear()
    for number in range(1, 50):
        wire.send(run(number, "SELECT hex(zeroblob(1000))", level=frames.Level.STALE))
    for _ in range(200):
        await asyncio.sleep(0)
    assert wire._in.qsize() > 40
    wire.reads.set()
    for number in range(1, 50):
        assert (await wire.next()).id == number
    wire.hang_up()
    await ended(call)


async def test_a_client_that_lets_too_much_wait_is_cut_off(
    service: ClientService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "WAITING_BYTES_MAX", 10_000)
    wire: Any = Wire()
    call = asyncio.create_task(service.Connect(None, wire))
    wire.send(frames.Hello(frames.PROTOCOL))
    await wire.next()
    wire.reads.clear()
    level = frames.Level.STALE
    wire.send(run(1, "SELECT 1", level=level))
    for _ in range(50):
        await asyncio.sleep(0)  # Its answer is leaving now.
    wire.send(*[run(n, "SELECT hex(zeroblob(1000))", level=level) for n in range(2, 50)])
    with pytest.raises(asyncio.CancelledError):
        await ended(call)
    assert not service.streams


async def test_no_status_is_sent_while_a_message_is_leaving(service: ClientService) -> None:
    """gRPC would send neither then, and the client would wait for ever."""
    wire: Any = Wire()
    call = asyncio.create_task(service.Connect(None, wire))
    wire.reads.clear()
    wire.send(frames.Hello(frames.PROTOCOL))
    wire.send_bytes(b"\xc1")
    for _ in range(200):
        await asyncio.sleep(0)
    assert not call.done()
    wire.reads.set()
    with pytest.raises(Aborted):
        await ended(call)
    assert isinstance(await wire.next(), frames.Welcome)


async def turned_away(service: ClientService) -> Aborted:
    """What a client is told that has said hello, and not before it has."""
    wire: Any = Wire()
    call = asyncio.create_task(service.Connect(None, wire))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not call.done()
    wire.send(frames.Hello(frames.PROTOCOL))
    with pytest.raises(Aborted) as aborted:
        await ended(call)
    return aborted.value


async def test_clients_of_a_node_are_bounded(
    service: ClientService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_service, "STREAMS_MAX", 0)
    told = await turned_away(service)
    assert told.code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_node_without_a_place_serves_nobody() -> None:
    told = await turned_away(ClientService())
    assert "belongs to no cluster yet" in str(told)


async def test_who_came_before_the_node_had_a_place_hears_that_although_it_has_one_now(
    node: Alone,
) -> None:
    service, wire = ClientService(), cast("Any", Wire())
    call = asyncio.create_task(service.Connect(None, wire))
    await asyncio.sleep(0)
    service.attach(node.runner)
    wire.send(frames.Hello(frames.PROTOCOL))
    with pytest.raises(Aborted, match="UNAVAILABLE: this node belongs to no cluster yet"):
        await ended(call)
    service.close()


async def test_who_never_says_hello_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_service, "GREETING_SECONDS_MAX", 0.01)
    wire: Any = Wire()
    with pytest.raises(Aborted):
        await ended(asyncio.create_task(ClientService().Connect(None, wire)))
