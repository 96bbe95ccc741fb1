"""What only the leader can do, whichever node is asked: done here if this one leads, else there.
Whoever asks during an election is answered after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import grpc

from raftsql.cluster.runner import Runner
from raftsql.rpc.channels import REACH_SECONDS, Roads

Reply = TypeVar("Reply")

LOOK_AGAIN_SECONDS: Final = 0.02
MOVED: Final = grpc.StatusCode.ABORTED
"""What a node answers that does not lead and was asked by one that thought so: nothing was done."""


class NoAnswer(Exception):
    """No leader has answered; says whether something may have been done."""


async def at_leader(
    runner: Runner,
    roads: Roads,
    here: Callable[[], Awaitable[Reply]],
    there: Callable[[grpc.aio.Channel, float], Awaitable[Reply]],
    seconds: float,
) -> Reply:
    """The leader's answer; `there` is given a way to it, and the seconds that are left.

    Raises NoAnswer, or what the leader raised. What was sent to a leader that was then lost is not
    sent to the next one: nobody knows whether it was done.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + seconds
    while not runner.replica.rules:
        problem = "no leader is known"
        leader = runner.node.membership.members.get(runner.replica.known_leader)
        if runner.replica.leads:
            problem = "this node leads, and no majority has confirmed it yet"
        elif leader is not None:
            problem = f"the leader at {leader.address} does not answer"
            async with roads.to(leader.address) as channel:
                is_reached = await _is_reached(channel)
                left = give_up_at - loop.time()
                if is_reached and left > 0:
                    try:
                        return await there(channel, left)
                    except grpc.aio.AioRpcError as error:
                        _check_nothing_was_done(error)
        if loop.time() > give_up_at:
            raise NoAnswer(
                f"{problem}, for {seconds:g} s: is a majority of the voters up? "
                "`raftsql status` tells what a node knows"
            )
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
    return await here()


async def _is_reached(channel: grpc.aio.Channel) -> bool:
    try:
        await asyncio.wait_for(channel.channel_ready(), REACH_SECONDS)
    except TimeoutError:
        return False
    return True


def _check_nothing_was_done(error: grpc.aio.AioRpcError) -> None:
    if error.code() is MOVED:
        return
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        raise NoAnswer(
            "the leader was lost while it was at work, and may have done it: look before you ask "
            f"again ({error.details() or error.code().name})"
        ) from error
    raise error
