"""Messages flow between two nodes in order, and a break is noticed for what it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from raftsql.raft import messages as m
from raftsql.raft.membership import Member, Membership
from raftsql.rpc import link
from raftsql.rpc.links import Links
from tests.rpc.net import Node, free_port, pair, to_2


@pytest.fixture
async def nodes() -> AsyncIterator[tuple[Node, Node, Links]]:
    """Node 1 with links, node 2 listening."""
    one, two = pair()
    await two.start()
    links = one.links()
    yield one, two, links
    await links.close()
    await two.stop()


async def connected(links: Links, two: Node) -> None:
    """When a message has come through; then nothing was received yet."""
    links.send(to_2(m.TimeoutNow(1)))
    await two.until(lambda: bool(two.received))
    two.received.clear()
    two.events.clear()


def heartbeats(first: int, last: int) -> list[m.Message]:
    return [m.Heartbeat(1, 0, probe) for probe in range(first, last + 1)]


async def test_messages_arrive_in_order(nodes: tuple[Node, Node, Links]) -> None:
    _, two, links = nodes
    await connected(links, two)
    sent = heartbeats(1, 300)
    for message in sent:
        links.send(to_2(message))
        if message.probe % 50 == 0:
            await asyncio.sleep(0)
    await two.until(lambda: len(two.received) == len(sent))
    assert two.received == sent


async def test_what_waits_together_arrives_together(nodes: tuple[Node, Node, Links]) -> None:
    _, two, links = nodes
    await connected(links, two)
    for message in heartbeats(1, 300):
        links.send(to_2(message))
    await two.until(lambda: len(two.received) == 300)
    batches = [event for event in two.events if event[0] == "delivered"]
    assert len(batches) <= 3


async def test_entries_arrive_as_they_were_sent(nodes: tuple[Node, Node, Links]) -> None:
    _, two, links = nodes
    entries = [m.Entry(1, 1 + n, m.EntryKind.COMMAND, bytes(1000)) for n in range(5000)]
    links.send(to_2(m.Append(1, m.ORIGIN, entries, 7, 3)))
    await two.until(lambda: bool(two.received))
    assert two.received == [m.Append(1, m.ORIGIN, entries, 7, 3)]


async def test_a_message_sent_before_the_peer_listens_arrives_when_it_does() -> None:
    one, two = pair()
    links = one.links()
    links.send(to_2(*heartbeats(1, 100)))
    await one.until_event("process ended", 2)
    await two.start()
    links.reconnect(2)
    await two.until(lambda: bool(two.received))
    assert two.received[-1] == m.Heartbeat(1, 0, 100)
    assert len(two.received) <= link.WAITING_DOWN_MAX
    await links.close()
    await two.stop()


async def test_messages_flow_again_after_the_peer_has_restarted(
    nodes: tuple[Node, Node, Links],
) -> None:
    one, two, links = nodes
    await connected(links, two)
    await two.stop()
    await one.until_event("unreachable", 2)
    await one.until_event("process ended", 2)
    two.events.clear()
    await two.start()
    await two.until_event("greeted", 1, "0.1")
    links.send(to_2(m.Heartbeat(2, 0, 1)))
    await two.until(lambda: two.received == [m.Heartbeat(2, 0, 1)])


async def test_the_end_of_a_process_is_reported_once_an_outage() -> None:
    one, _ = pair()
    links = one.links()
    await one.until_event("process ended", 2)
    # Two more attempts are refused within this time.
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(one.until(lambda: len(one.events) > 1), 0.15)
    await links.close()


async def test_an_address_that_does_not_answer_proves_nothing() -> None:
    one, two = pair()
    calls = 0
    called_often = asyncio.Event()

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        writer.close()
        if calls == 5:
            called_often.set()

    listener = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    one.members = Membership({**one.members.members, 2: Member(f"127.0.0.1:{port}", "x")})
    links = one.links()
    await asyncio.wait_for(called_often.wait(), 20)
    assert one.events == []
    listener.close()
    await listener.wait_closed()
    await one.until_event("process ended", 2)
    await links.close()
    assert two.events == []


async def test_a_member_that_moved_is_followed(nodes: tuple[Node, Node, Links]) -> None:
    one, two, links = nodes
    await connected(links, two)
    await two.stop()
    await one.until_event("unreachable", 2)
    address = f"127.0.0.1:{free_port()}"
    moved = msgspec.structs.replace(two.members.members[2], address=address)
    two.me = two.me.__class__(**{**{n: getattr(two.me, n) for n in two.me.__slots__},
                                 "address": address})  # fmt: skip
    two.events.clear()
    await two.start()
    links.membership_changed(Membership({**one.members.members, 2: moved}))
    await two.until_event("greeted", 1)


async def test_a_former_member_still_hears_what_was_said_last(
    nodes: tuple[Node, Node, Links],
) -> None:
    one, two, links = nodes
    await connected(links, two)
    links.send(to_2(*heartbeats(1, 200)))
    links.membership_changed(Membership({1: one.members.members[1]}, removed=(2,)))
    links.send(to_2(m.Heartbeat(1, 0, 201)))
    await two.until(lambda: len(two.received) == 200)
    assert two.received == heartbeats(1, 200)


async def test_messages_to_nobody_known_are_dropped(nodes: tuple[Node, Node, Links]) -> None:
    _, two, links = nodes
    await connected(links, two)
    links.send([m.Envelope(0xC1, 1, 77, m.Removed(1)), *to_2(m.Removed(1))])
    await two.until(lambda: two.received == [m.Removed(1)])
