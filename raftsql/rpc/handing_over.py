"""Handing the lead over between two transactions, so that nobody notices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from raftsql.cluster.runner import Runner
from raftsql.raft.messages import NOBODY, NodeId
from raftsql.raft.ready import Refused, Why

DRAIN_SECONDS_MAX = 2.0
"""How long transactions that are under way may take to end; one that takes longer is lost."""
PAUSE_SECONDS = 0.005


async def hand_over(runner: Runner, target: NodeId, *, seconds: float) -> bool:
    """Let the target lead; whether somebody else did within so many seconds. Raises Refused."""
    replica = runner.replica
    if not runner.node.membership.is_voter(target):
        raise Refused(Why.NOT_A_VOTER, runner.node.id)
    replica.writer.close()
    try:
        await _until(lambda: not (replica.leads and replica.writer.is_busy), DRAIN_SECONDS_MAX)
        runner.node.transfer(target)
        runner.wake()
        return await _until(lambda: replica.known_leader not in (NOBODY, runner.node.id), seconds)
    finally:
        replica.writer.reopen()
        runner.wake()


async def _until(done: Callable[[], bool], seconds: float) -> bool:
    give_up_at = asyncio.get_running_loop().time() + seconds
    while not done():
        if asyncio.get_running_loop().time() > give_up_at:
            return False
        await asyncio.sleep(PAUSE_SECONDS)
    return True
