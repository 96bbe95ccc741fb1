"""A stream: what waits travels together, within bounds; what is lost is told apart."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from raftsql_driver.address import parse
from raftsql_driver.errors import InterfaceError, Unavailable
from raftsql_driver.flows import Lost
from raftsql_driver.stream import MESSAGE_BYTES_MAX, Stream, open_stream
from raftsql_proto import frames as f
from tests.driver.fake import FakeServer


async def opened(server: FakeServer) -> Stream:
    return await open_stream(server.nodes[0].address, parse(server.url))


def question(number: int, size_bytes: int = 0) -> f.Run:
    body = f.encode(f.Statement("SELECT length(?)", ["x" * size_bytes]))
    return f.Run(number, f.Work.EXECUTE, body)


def future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


async def test_answers_find_their_requests(server: FakeServer) -> None:
    stream = await opened(server)
    tickets = [future() for _ in range(50)]
    for number, ticket in enumerate(tickets):
        stream.submit(question(number, number), ticket)
    pages = await asyncio.gather(*tickets)
    assert [f.decode_rows(page.rows) for page in pages] == [[[number]] for number in range(50)]
    await stream.close()


async def test_rows_that_nobody_waits_for_any_more_are_let_go(server: FakeServer) -> None:
    stream = await opened(server)
    ticket = future()
    body = f.encode(f.Statement("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3", []))
    stream.submit(f.Run(1, f.Work.EXECUTE, body, page_rows=1), ticket)
    ticket.cancel()
    other = future()
    stream.submit(question(2), other)
    await other
    last = future()
    stream.submit(question(3), last)
    await last
    assert server.seen["Release"] == 1
    await stream.close()


async def test_a_message_is_closed_when_it_is_long_enough(server: FakeServer) -> None:
    stream = await opened(server)
    half = MESSAGE_BYTES_MAX // 2
    stream._waiting = [question(number, half) for number in range(5)]
    lengths = []
    while stream._waiting:
        lengths.append(len(stream._batch()))
    assert lengths == [2, 2, 1]
    stream._waiting = [question(number) for number in range(5000)]
    assert len(stream._batch()) == 5000
    await stream.close()


async def test_one_frame_may_be_longer_than_a_message(server: FakeServer) -> None:
    stream = await opened(server)
    ticket = future()
    stream.submit(question(1, 8 << 20), ticket)
    assert f.decode_rows((await ticket).rows) == [[8 << 20]]
    await stream.close()


async def test_what_was_never_sent_is_told_from_what_may_have_arrived(server: FakeServer) -> None:
    stream = await opened(server)
    server.faults.slow_s = 10.0
    sent, unsent, after = future(), future(), future()
    stream.submit(question(1), sent)
    await asyncio.sleep(0.05)
    stream.submit(question(2), unsent)
    await stream.close("on purpose")
    stream.submit(question(3), after)
    assert [ticket.result() for ticket in (sent, unsent, after)] == [
        Lost("on purpose", sent=True),
        Lost("on purpose", sent=False),
        Lost("on purpose", sent=False),
    ]


async def test_a_stream_that_the_node_ends_says_who_and_why(server: FakeServer) -> None:
    stream = await opened(server)
    closed = []
    stream.on_close = closed.append
    ticket = future()
    server.faults.slow_s = 10.0
    stream.submit(question(1), ticket)
    await asyncio.sleep(0.05)
    server.kill(1)
    lost = await ticket
    assert lost.sent
    assert server.nodes[0].address in lost.reason
    assert closed == [stream]
    server.revive(1)


async def test_news_about_the_leader_reaches_the_cluster(server: FakeServer) -> None:
    stream = await opened(server)
    news = future()
    stream.on_leader = news.set_result
    server.announce(f.Leader("elsewhere:1", {7: "elsewhere:1"}))
    assert (await news).address == "elsewhere:1"
    await stream.close()


async def test_a_silent_address_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = parse(f"127.0.0.1:{silent.getsockname()[1]}", {"connect_timeout": 0.3})
        with pytest.raises(Unavailable, match=r"within 0\.3 s"):
            await open_stream(address.nodes[0], address)


async def test_a_grpc_server_of_another_kind_is_named(unused_tcp_port: int) -> None:
    import grpc

    stranger = grpc.aio.server()
    stranger.add_insecure_port(f"127.0.0.1:{unused_tcp_port}")
    await stranger.start()
    with pytest.raises(InterfaceError, match="no raftsql node"):
        await open_stream(f"127.0.0.1:{unused_tcp_port}", parse(""))
    await stranger.stop(0)


async def test_a_certificate_that_is_not_there_is_named() -> None:
    with pytest.raises(InterfaceError, match="no-such-file"):
        await open_stream("127.0.0.1:1", parse("", {"sslrootcert": "/no-such-file"}))


async def test_those_who_were_answered_together_ask_together(server: FakeServer) -> None:
    """As threads do: each wakes, and asks, in a turn of the loop of its own."""
    stream = await opened(server)
    stream._woken = 4
    tickets = [future() for _ in range(5)]
    for number, ticket in enumerate(tickets[:4]):
        stream.submit(question(number), ticket)
        assert len(stream._waiting) == number + 1, "none of them left alone"
        await asyncio.sleep(0)
    await asyncio.gather(*tickets[:4])
    assert stream._woken == 4, "one message brought all their answers"
    stream.submit(question(4), tickets[4])
    await tickets[4]  # Nobody else came, and it was not kept waiting.
    await stream.close()
