"""Who is asked for what only the leader can do, while leaders come and go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import pytest

from raftsql.rpc.at_leader import MOVED, NoAnswer, at_leader
from raftsql.rpc.channels import PLAIN
from tests.rpc.net import free_port

SECONDS = 30.0


def follower(**leaders: str) -> Any:
    """A node that knows where these are, and believes in the first of them."""
    members = {int(name[1:]): SimpleNamespace(address=place) for name, place in leaders.items()}
    return SimpleNamespace(
        replica=SimpleNamespace(leads=False, rules=False, known_leader=next(iter(members), 0)),
        node=SimpleNamespace(membership=SimpleNamespace(members=members)),
    )


def ended(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "so it was")


class Leader:
    """What is asked of whoever is reached."""

    def __init__(self, *outcomes: Callable[[], str]) -> None:
        self._outcomes = list(outcomes)

    async def __call__(self, channel: grpc.aio.Channel, seconds: float) -> str:
        assert 0 < seconds <= SECONDS
        return self._outcomes.pop(0)()


async def here() -> str:
    return "done here"


@pytest.fixture
async def place() -> AsyncIterator[str]:
    """Where some node listens."""
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0)


async def test_a_leader_is_asked_where_it_is(place: str) -> None:
    node, leader = follower(n2=place), Leader(lambda: "done there")
    assert await at_leader(node, PLAIN, here, leader, SECONDS) == "done there"


async def test_one_that_leads_asks_nobody() -> None:
    node = follower()
    node.replica.leads = node.replica.rules = True
    assert await at_leader(node, PLAIN, here, Leader(), SECONDS) == "done here"


async def test_one_that_has_just_been_elected_is_given_the_time_to_commit() -> None:
    node = follower(n1="nowhere:1")

    class Elected:
        """A leader whose first entry is committed when it is looked at for the third time."""

        leads, known_leader, looks = True, 1, 0

        @property
        def rules(self) -> bool:
            self.looks += 1
            return self.looks >= 3

    node.replica = Elected()
    assert await at_leader(node, PLAIN, here, Leader(), SECONDS) == "done here"
    assert node.replica.looks == 3


async def test_a_leader_that_leads_no_more_is_asked_again_where_it_is_now(place: str) -> None:
    node = follower(n2=place)

    def moved() -> str:
        node.replica.leads = node.replica.rules = True
        raise ended(MOVED)

    assert await at_leader(node, PLAIN, here, Leader(moved), SECONDS) == "done here"


async def test_a_dead_leader_is_not_waited_for_once_another_is_known(place: str) -> None:
    node = follower(n2=f"127.0.0.1:{free_port()}", n3=place)
    looks = 0

    class Elects:
        """Another leader, after some looks at the dead one."""

        leads = rules = False

        @property
        def known_leader(self) -> int:
            nonlocal looks
            looks += 1
            return 2 if looks < 2 else 3

    node.replica = Elects()
    assert await at_leader(node, PLAIN, here, Leader(lambda: "by the next"), SECONDS) == (
        "by the next"
    )


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED])
async def test_what_a_lost_leader_may_have_done_is_not_asked_of_the_next(
    place: str, code: grpc.StatusCode
) -> None:
    def is_lost() -> str:
        raise ended(code)

    node = follower(n2=place)
    with pytest.raises(NoAnswer, match="may have done it"):
        await at_leader(node, PLAIN, here, Leader(is_lost), SECONDS)


async def test_what_a_leader_refuses_is_told_as_it_was_said(place: str) -> None:
    def refuses() -> str:
        raise ended(grpc.StatusCode.FAILED_PRECONDITION)

    node = follower(n2=place)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await at_leader(node, PLAIN, here, Leader(refuses), SECONDS)
    assert refused.value.details() == "so it was"


async def test_without_a_leader_it_is_said_what_is_missing() -> None:
    with pytest.raises(NoAnswer, match=r"no leader is known, for 0\.01 s: is a majority"):
        await at_leader(follower(), PLAIN, here, Leader(), 0.01)
