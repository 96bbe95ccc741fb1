"""The streams of an event loop: shared, opened once, kept for a while."""

from __future__ import annotations

import asyncio

import pytest

from raftsql_driver import cluster as clusters
from raftsql_driver.address import Address, parse
from raftsql_driver.aio import AsyncConnection
from raftsql_driver.cluster import cluster_of, unreached
from raftsql_driver.flows import Ask, Lost, Pause, Send, Wait
from raftsql_proto.frames import Examine, Fetch, Leader, Release, Verdict
from tests.driver.fake import FakeServer


async def test_equal_addresses_share_a_cluster_and_others_do_not(server: FakeServer) -> None:
    loop = asyncio.get_running_loop()
    one = cluster_of(parse(server.url), loop)
    assert cluster_of(parse(server.url, {"timeout": 3}), loop) is one
    assert cluster_of(parse(server.url, {"user": "me"}), loop) is not one


async def test_many_openings_at_once_are_one(server: FakeServer) -> None:
    cluster = cluster_of(parse(server.url), asyncio.get_running_loop())
    node = server.nodes[0].address
    streams = await asyncio.gather(*[cluster.open(node) for _ in range(10)])
    assert len(set(map(id, streams))) == 1
    assert server.connections == 1
    await cluster.close()
    assert cluster.streams == {}


async def test_streams_that_nobody_uses_close_after_a_while(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "LINGER_S", 0.01)
    connection = await AsyncConnection.connect(server.url)
    cluster = connection._cluster
    again = await AsyncConnection.connect(server.url)
    await connection.close()
    await asyncio.sleep(0.05)
    assert cluster.streams
    await again.close()
    async with asyncio.timeout(5):
        while cluster.streams:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_request_bound_to_a_stream_goes_to_no_other(server: FakeServer) -> None:
    cluster = cluster_of(parse(server.url), asyncio.get_running_loop())
    node = server.nodes[0].address
    deadline = asyncio.get_running_loop().time() + 5
    await cluster.connect()
    ask = Ask(node, Examine(1, "SELECT 1"), deadline)
    assert isinstance(await cluster.ask(ask), Verdict)
    lost = await cluster.ask(Ask(node, Examine(2, "SELECT 1"), deadline, ask.serial + 1))
    assert (type(lost), lost.sent) == (Lost, False)
    lost = await cluster.send(Send(node, Fetch(3, 1), ask.serial + 1))
    assert (type(lost), lost.sent) == (Lost, False)
    nowhere = await cluster.ask(Ask("127.0.0.1:1", Examine(4, ""), deadline, 9))
    assert type(nowhere) is Lost
    await cluster.close()


async def test_a_ticket_is_waited_for_later(server: FakeServer) -> None:
    cluster = cluster_of(parse(server.url), asyncio.get_running_loop())
    await cluster.connect()
    node = server.nodes[0].address
    serial = cluster.streams[node].serial
    frame = Examine(1, "SELECT 1")
    ticket = cluster.send(Send(node, frame, serial))
    deadline = asyncio.get_running_loop().time() + 5
    assert isinstance(await cluster.wait(Wait(ticket, frame, node, serial, deadline)), Verdict)
    cluster.send(Send(node, Release(1), serial))
    await cluster.close()


async def test_the_members_that_a_welcome_names_become_known(three: FakeServer) -> None:
    first = three.nodes[0].address
    cluster = cluster_of(parse(f"raftsql://{first}/"), asyncio.get_running_loop())
    await cluster.connect()
    assert cluster.state.routes.nodes == [node.address for node in three.nodes]
    assert cluster.state.routes.leader == first
    await cluster.close()


def test_who_named_no_node_is_told_how_to_start_one() -> None:
    refused = ["127.0.0.1:4001: Connection refused"]
    assert str(unreached(Address(), refused)).endswith(
        "refused; `raftsql up` starts a cluster there, and RAFTSQL_URL names another"
    )
    for address, reason in [
        (parse("raftsql://db:1/"), "db:1: Connection refused"),
        (Address(), "127.0.0.1:4001: Tls handshake failed"),
    ]:
        assert str(unreached(address, [reason])) == f"no node can be reached: {reason}"


async def test_a_pause_ends_when_a_leader_is_heard_of_and_no_sooner(server: FakeServer) -> None:
    cluster = cluster_of(parse(server.url), asyncio.get_running_loop())
    await cluster.connect()
    pauses = [asyncio.ensure_future(cluster.pause(Pause(60))) for _ in range(3)]
    cluster.state.routes.leader = ""
    server.announce(Leader("", {}))
    deadline = asyncio.get_running_loop().time() + 5
    await cluster.ask(Ask(server.nodes[0].address, Examine(1, "SELECT 1"), deadline))
    assert len(cluster.pausing) == 3, "that nobody leads ends no pause"
    server.announce(Leader("elsewhere:1", {7: "elsewhere:1"}))
    await asyncio.wait_for(asyncio.gather(*pauses), 10)
    assert not cluster.pausing
    await cluster.close()


async def test_a_pause_that_nobody_ends_is_as_long_as_it_was_to_be(server: FakeServer) -> None:
    cluster = cluster_of(parse(server.url), asyncio.get_running_loop())
    began = asyncio.get_running_loop().time()
    await cluster.pause(Pause(0.05))
    assert asyncio.get_running_loop().time() - began >= 0.05
    assert not cluster.pausing
