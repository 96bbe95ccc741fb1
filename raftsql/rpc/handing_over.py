"""Handing the lead over between two transactions, so that nobody notices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from raftsql.cluster.runner import Runner
from raftsql.raft.leader import Leader
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
        await _until(lambda: _is_settled(runner), seconds)
        return _has_another_leader(runner)
    finally:
        replica.writer.reopen()
        runner.wake()


def _is_settled(runner: Runner) -> bool:
    """Whether somebody else leads, or the core has given the transfer up and admits writes again:
    a target that is gone must not keep clients waiting any longer."""
    role = runner.node.role
    still_leads = isinstance(role, Leader) and role.transferring_to == NOBODY
    return still_leads or _has_another_leader(runner)


def _has_another_leader(runner: Runner) -> bool:
    return runner.replica.known_leader not in (NOBODY, runner.node.id)


async def _until(done: Callable[[], bool], seconds: float) -> bool:
    give_up_at = asyncio.get_running_loop().time() + seconds
    while not done():
        if asyncio.get_running_loop().time() > give_up_at:
            return False
        await asyncio.sleep(PAUSE_SECONDS)
    return True
