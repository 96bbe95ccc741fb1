"""Who is let in, who is not, and in which words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from raftsql.raft import messages as m
from raftsql.raft.membership import Membership
from raftsql.rpc import channels, joining, peers
from raftsql.rpc.joining import JoinAsked
from raftsql.rpc.link import DELIVER
from raftsql_proto import peers_pb2 as wire
from tests.rpc.net import CLUSTER, Node, free_port, pair, pose, to_2


@pytest.fixture
async def nodes() -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes of a cluster; node 2 listens."""
    one, two = pair()
    await two.start()
    yield one, two
    await two.stop()


async def refusal(one: Node) -> tuple[str, bool]:
    """What node 1 is told by node 2."""
    links = one.links()
    await one.until_event("refused", 2)
    await links.close()
    (reason, removed), *more = [event[2:] for event in one.events if event[0] == "refused"]
    assert more == [], "the same refusal is reported once"
    return str(reason), bool(removed)


@pytest.mark.parametrize(
    ("pretends", "reason"),
    [
        pytest.param(
            {"cluster": 0xBAD},
            "node 1 belongs to cluster bad, node 2 to cluster c1: one of them was started with the"
            " wrong address or data directory",
            id="another cluster",
        ),
        pytest.param(
            {"identity": "new disk"},
            "node 1 is known with another data directory. If its disk was lost, remove the node"
            " and let it join with an empty data directory and a new id; else start it with the"
            " directory it had",
            id="an emptied disk under the old id",
        ),
        pytest.param(
            {"fingerprint": "sqlite-2"},
            "node 1 (0.1) runs SQL with 'sqlite-2', node 2 with 'sqlite-1': their data could come"
            " to differ. Install the same versions, or, for the time of an upgrade, allow it by"
            " allow_fingerprint on both",
            id="another SQLite",
        ),
    ],
)
async def test_a_sender_that_does_not_belong_is_refused(
    nodes: tuple[Node, Node], pretends: dict[str, object], reason: str
) -> None:
    one, _ = nodes
    pose(one, **pretends)
    assert await refusal(one) == (reason, False)


async def test_another_protocol_is_refused(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = nodes
    hello = one.me.hello(2)
    hello.protocol = 99
    refused = peers.unwelcome(hello, two.me, two.members)
    assert refused is not None
    assert refused.reason == (
        "node 1 speaks protocol 99, node 2 speaks 1: run releases on both that speak the same"
    )


async def test_a_node_at_the_wrong_address_is_not_mistaken_for_another(
    nodes: tuple[Node, Node],
) -> None:
    one, two = nodes
    hello = one.me.hello(3)
    refused = peers.unwelcome(hello, two.me, two.members)
    assert refused is not None
    assert "node 3 was expected at this address, here is node 2" in refused.reason


async def test_a_node_without_a_cluster_hears_nobody() -> None:
    one, two = pair()
    pose(two, cluster=0)
    await two.start()
    assert await refusal(one) == (f"the node at {two.me.address} belongs to no cluster yet", False)
    await two.stop()


async def test_a_removed_node_is_told_so(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    two.members = Membership({2: two.members.members[2]}, removed=(1,))
    reason, removed = await refusal(one)
    assert removed
    assert reason.startswith("node 1 was removed from the cluster, and its id can't be used again")


async def test_a_node_that_is_removed_while_it_speaks_is_told_so(
    nodes: tuple[Node, Node],
) -> None:
    one, two = nodes
    links = one.links()
    links.send(to_2(m.Heartbeat(1, 0, 1)))
    await two.until(lambda: len(two.received) == 1)
    two.members = Membership({2: two.members.members[2]}, removed=(1,))
    links.send(to_2(m.VoteRequest(2, m.ORIGIN, pre=True, forced=False)))
    await one.until(lambda: any(e[0] == "refused" and e[3] for e in one.events))
    assert two.received == [m.Heartbeat(1, 0, 1)]
    await links.close()


async def test_a_node_that_is_not_known_yet_is_heard(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    two.members = Membership()
    links = one.links()
    links.send(to_2(m.Heartbeat(1, 0, 1)))
    await two.until(lambda: bool(two.received))
    await links.close()


async def test_a_receiver_on_another_disk_is_not_spoken_to() -> None:
    one, two = pair()
    pose(two, identity="new disk")
    await two.start()
    reason, removed = await refusal(one)
    assert reason.startswith("node 2 is known with another data directory")
    assert not removed
    assert two.received == []
    await two.stop()


async def test_a_fingerprint_that_is_allowed_is_let_in() -> None:
    one, two = pair()
    pose(one, fingerprint="sqlite-2")
    two.allow_fingerprint = "sqlite-2"
    await two.start()
    links = one.links()
    links.send(to_2(m.Heartbeat(1, 0, 1)))
    await two.until(lambda: bool(two.received))
    await links.close()
    await two.stop()


async def exchange(two: Node, *sent: bytes) -> list[Any]:
    """What node 2 answers to these messages on one stream."""
    channel = channels.PLAIN.to(two.me.address)
    stub: Any = channel.stream_stream(DELIVER, response_deserializer=wire.PeerVerdict.FromString)
    call = stub()
    for data in sent:
        await call.write(data)
    await call.done_writing()
    answers = [answer async for answer in call]
    await channel.close()
    return answers


async def test_a_stream_without_a_greeting_is_refused(nodes: tuple[Node, Node]) -> None:
    _, two = nodes
    for data in (b"", b"\xff\xff", wire.PeerBatch().SerializeToString()):
        (verdict,) = await exchange(two, data)
        assert not verdict.accepted
        assert verdict.reason == "the stream does not begin with a greeting"


async def test_a_stream_that_turns_to_garbage_is_closed_in_words(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    hello = wire.PeerBatch(hello=one.me.hello(2)).SerializeToString()
    accepted, verdict = await exchange(two, hello, b"\xff\xff")
    assert accepted.accepted
    assert not verdict.accepted
    assert verdict.reason.startswith("the batch is damaged")
    assert two.received == []


async def test_a_node_says_who_it_is(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    found = await joining.introduce(two.me.address, one.me)
    assert found == two.introduce()


async def test_nobody_says_nothing() -> None:
    one, _ = pair()
    nowhere = f"127.0.0.1:{free_port()}"
    assert await joining.introduce(nowhere, one.me) is None
    assert await joining.join(nowhere, one.me, seconds=1.0) is None


async def test_a_node_that_asks_for_a_place_is_told_which(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    pose(one, cluster=0, node=0)
    answer = await joining.join(two.me.address, one.me, seconds=5.0, learner=True, priority=-3)
    assert answer is not None
    assert (answer.accepted, answer.cluster, answer.node) == (True, CLUSTER, 9)
    asked = JoinAsked(
        cluster=0, node=0, identity="directory-1", address=one.me.address,
        fingerprint="sqlite-1", learner=True, priority=-3,
    )  # fmt: skip
    assert two.events == [("asked", asked)]


async def test_a_node_with_another_sqlite_gets_no_place(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    pose(one, cluster=0, node=0, fingerprint="sqlite-2")
    answer = await joining.join(two.me.address, one.me, seconds=5.0)
    assert answer is not None
    assert not answer.accepted
    assert "'sqlite-2'" in answer.reason
    assert "'sqlite-1'" in answer.reason
    assert two.events == []


async def test_a_second_server_on_the_port_is_refused(nodes: tuple[Node, Node]) -> None:
    _, two = nodes
    other = channels.server()
    with pytest.raises(OSError, match="can't listen on"):
        channels.listen(other, two.me.address)
    await other.stop(None)


@pytest.mark.parametrize(
    ("address", "parts"),
    [("h:1", ("h", 1)), ("[::1]:80", ("::1", 80)), ("127.0.0.1:4001", ("127.0.0.1", 4001))],
)
def test_an_address_has_two_parts(address: str, parts: tuple[str, int]) -> None:
    assert channels.host_and_port(address) == parts


@pytest.mark.parametrize("address", ["", "host", "host:", "host:x", "host:65536"])
def test_what_is_no_address_is_named(address: str) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        channels.host_and_port(address)


async def test_an_open_port_and_a_closed_one_are_told_apart(nodes: tuple[Node, Node]) -> None:
    _, two = nodes
    answers = await asyncio.gather(
        channels.reach(two.me.address),
        channels.reach(f"127.0.0.1:{free_port()}"),
        channels.reach(f"localhost:{free_port()}"),
        channels.reach("no-such-name.invalid:1"),
        channels.reach("no address"),
    )
    open_, refused, unknown = channels.Reach.OPEN, channels.Reach.REFUSED, channels.Reach.UNKNOWN
    assert answers == [open_, refused, refused, unknown, unknown]
