"""What an operator can ask of a node. What only the leader can do is passed on to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeVar

import grpc

from raftsql.cluster.runner import Runner
from raftsql.raft.membership import Change, DemoteMember, PromoteMember, RemoveMember
from raftsql.raft.messages import NOBODY
from raftsql.raft.ready import Refused
from raftsql.rpc import status, verify_service
from raftsql.rpc.at_leader import MOVED, NoAnswer, at_leader
from raftsql.rpc.audit import Audit
from raftsql.rpc.backup_service import Backups, NoBackup
from raftsql.rpc.gate import Gate, credentials_of
from raftsql.rpc.handing_over import hand_over
from raftsql.rpc.proposing import NotProposed
from raftsql.rpc.restore_service import NotRestored, OutcomeUnknown, Restores
from raftsql.rpc.siblings import Siblings
from raftsql.sql.verdict import Mode
from raftsql_proto import admin_pb2
from raftsql_proto.admin_pb2_grpc import AdminServicer, AdminStub

log = logging.getLogger("raftsql.rpc")

Context = grpc.aio.ServicerContext[Any, Any]
Reply = TypeVar("Reply")

PASSED_ON = "raftsql-passed-on"
"""The metadata of a call that a node made for somebody else: not to be passed on again."""
CHANGE_SECONDS_MAX = 10.0
TRANSFER_SECONDS_MAX = 5.0


class AdminService(AdminServicer):
    """Serves before the node belongs to a cluster; `attach` says that it does."""

    def __init__(self, address: str, gate: Gate | None = None) -> None:
        """A node that belongs to no cluster yet."""
        self._gate = gate or Gate(Audit())
        self._address = address
        self._runner: Runner | None = None
        self._siblings: Siblings | None = None
        self.backups: Backups | None = None
        """Gives copies, once the node runs."""
        self._restores: Restores | None = None
        self.waits_for = "starting"
        self.metrics: Callable[[], str] | None = None
        """Says what the node counts, where somebody has set that up."""
        self.more: dict[str, Callable[[], Any]] = {}
        """What else the status says, by name."""

    def attach(self, runner: Runner, siblings: Siblings, mode: Mode) -> None:
        """The node belongs to a cluster."""
        self._runner = runner
        self._siblings = siblings
        self.backups = Backups(runner)
        self._restores = Restores(runner, siblings, mode)

    async def Status(self, _: admin_pb2.StatusRequest, context: Context) -> admin_pb2.StatusReply:
        """From this node's memory: needs no leader, no quorum and no disk."""
        if self._runner is None:
            picture = status.unformed(self._address, self.waits_for)
        else:
            picture = status.picture(self._runner, self._address)
        picture |= {name: tell() for name, tell in self.more.items()}
        return admin_pb2.StatusReply(json=status.as_json(picture))

    async def Metrics(
        self, _: admin_pb2.MetricsRequest, context: Context
    ) -> admin_pb2.MetricsReply:
        """What this node counts, from its memory, as /metrics gives it."""
        if self.metrics is None:
            await self._abort(context, "this node counts nothing")
        return admin_pb2.MetricsReply(text=self.metrics())

    async def AddMember(
        self, request: admin_pb2.AddMemberRequest, context: Context
    ) -> admin_pb2.MembersReply:
        """Let a node in, or give a learner its vote, or take one away."""

        async def here() -> admin_pb2.MembersReply:
            runner = await self._running(context)
            node, member = request.node, runner.node.membership.members.get(request.node)
            if member is None:
                await self._abort(
                    context,
                    f"node {node} is not a member: start it with --join and the address of a "
                    "member, and it asks for its place itself",
                )
            if member.voter != (not request.learner):
                change = DemoteMember(node) if request.learner else PromoteMember(node)
                await self._change(runner, change, context)
            return self._members(runner)

        return await self._led(context, here, lambda stub: stub.AddMember(request))

    async def RemoveMember(
        self, request: admin_pb2.RemoveMemberRequest, context: Context
    ) -> admin_pb2.MembersReply:
        """Take a node out of the cluster for good."""

        async def here() -> admin_pb2.MembersReply:
            runner = await self._running(context)
            await self._change(runner, RemoveMember(request.node), context)
            return self._members(runner)

        return await self._led(context, here, lambda stub: stub.RemoveMember(request))

    async def Transfer(
        self, request: admin_pb2.TransferRequest, context: Context
    ) -> admin_pb2.TransferReply:
        """Hand leadership over, and wait until somebody has it."""

        async def here() -> admin_pb2.TransferReply:
            runner = await self._running(context)
            target = request.node or most_level(runner)
            if target == NOBODY:
                await self._abort(context, "there is no other voter to lead")
            if target == runner.node.id:
                return admin_pb2.TransferReply(leader=target)
            try:
                done = await hand_over(runner, target, seconds=TRANSFER_SECONDS_MAX)
            except Refused as refused:
                await self._abort(context, f"node {target} can't lead: {refused}")
            if not done:
                await self._abort(context, f"node {target} did not take over; this one still leads")
            return admin_pb2.TransferReply(leader=runner.replica.known_leader)

        return await self._led(context, here, lambda stub: stub.Transfer(request))

    async def Compact(
        self, _: admin_pb2.CompactRequest, context: Context
    ) -> admin_pb2.CompactReply:
        """Checkpoint this node's database, and drop the log that it replaces."""
        runner = await self._running(context)
        future = runner.housekeeping.compact()
        if future is None:
            await self._abort(context, "that is under way already")
        compacted = await future
        if compacted is None:
            await self._abort(context, "the database is being replaced; try again in a moment")
        return admin_pb2.CompactReply(
            dropped_upto=runner.node.log.base.index, durable_upto=compacted.durable.index
        )

    async def Verify(
        self, request: admin_pb2.VerifyRequest, context: Context
    ) -> admin_pb2.VerifyReply:
        """Compare what all nodes hold at one index."""
        seconds = request.timeout_ms / 1000 or verify_service.VERIFY_SECONDS

        async def here() -> admin_pb2.VerifyReply:
            runner = await self._running(context)
            assert self._siblings is not None, "a running node has siblings"
            try:
                report = await verify_service.verify(runner, self._siblings, seconds)
            except NotProposed as error:
                await self._abort(context, str(error))
            names = ("index", "equal", "complete", "differences", "damaged")
            told = {name: report[name] for name in names}
            # An alarm for whoever watches, until somebody verifies again.
            self.more["verified"] = lambda: told
            return admin_pb2.VerifyReply(equal=report["equal"], json=status.as_json(report))

        return await self._led(context, here, lambda stub: stub.Verify(request), seconds)

    async def Backup(
        self, request: admin_pb2.BackupRequest, context: Context
    ) -> AsyncIterator[admin_pb2.BackupPart]:
        """Give a copy of the database, as it is on this node."""
        await self._running(context)
        assert self.backups is not None, "a running node gives backups"
        try:
            async for part in self.backups.stream(stale=request.stale):
                yield part
        except NoBackup as error:
            await self._abort(context, str(error))

    async def Restore(
        self, parts: AsyncIterator[admin_pb2.RestorePart], context: Context
    ) -> AsyncIterator[admin_pb2.RestoreProgress]:
        """Let a file take the database's place, on all nodes; the leader leads that."""
        runner = await self._running(context)
        assert self._restores is not None, "a running node can restore"
        if not runner.replica.leads:
            leader = runner.node.membership.members.get(runner.replica.known_leader)
            where = f"ask the leader at {leader.address}" if leader else "no leader is known"
            await self._abort(context, f"only the leader restores: {where}")
        try:
            async for progress in self._restores.run(parts):
                yield progress
        except NotRestored as error:
            await self._abort(context, f"nothing was restored: {error}")
        except OutcomeUnknown as error:
            await context.abort(grpc.StatusCode.UNKNOWN, f"it may have been restored: {error}")

    # How.

    async def _running(self, context: Context) -> Runner:
        if self._runner is None:
            await self._abort(context, f"this node belongs to no cluster yet: {self.waits_for}")
        return self._runner

    async def _change(self, runner: Runner, change: Change, context: Context) -> None:
        problem = await changed(runner, change)
        if problem:
            await self._abort(context, problem)

    def _members(self, runner: Runner) -> admin_pb2.MembersReply:
        found = runner.node.status()
        return admin_pb2.MembersReply(json=status.as_json(status.members(runner, found)))

    async def _led(
        self,
        context: Context,
        here: Callable[[], Awaitable[Reply]],
        there: Callable[[AdminStub], Awaitable[Reply]],
        seconds: float = CHANGE_SECONDS_MAX,
    ) -> Reply:
        runner = await self._running(context)
        passed_on = any(key == PASSED_ON for key, _ in context.invocation_metadata() or ())
        if passed_on and not runner.replica.leads:
            await context.abort(MOVED, "the leader has changed")

        async def pass_on(channel: grpc.aio.Channel, left: float) -> Reply:
            return await there(_Passing(channel, left, credentials_of(self._gate)))

        assert self._siblings is not None, "a running node has siblings"
        try:
            return await at_leader(runner, self._siblings.roads, here, pass_on, seconds)
        except NoAnswer as error:
            await self._abort(context, str(error))
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details() or "")

    async def _abort(self, context: Context, message: str) -> NoReturn:
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, message)
        raise AssertionError("abort raises")


class _Passing(AdminStub):
    """A stub whose calls say that they were passed on."""

    def __init__(
        self, channel: grpc.aio.Channel, seconds: float, credentials: list[tuple[str, str]]
    ) -> None:
        super().__init__(channel)
        for name in ("AddMember", "RemoveMember", "Transfer", "Verify"):
            setattr(self, name, _marked(getattr(self, name), seconds, credentials))


def _marked(call: Any, seconds: float, credentials: list[tuple[str, str]]) -> Any:
    metadata = [(PASSED_ON, "1"), *credentials]
    return lambda request: call(request, metadata=metadata, timeout=seconds)


def most_level(runner: Runner) -> int:
    """The voter that should lead next: of the highest priority, then the most level one."""
    found = runner.node.status()
    voters = [
        (found.membership.members[node].priority, found.peers[node].match, node)
        for node in found.membership.voters
        if node in found.peers and found.peers[node].heard_ms_ago < runner.config.election_ms
    ]
    return max(voters, default=(0, 0, NOBODY))[2]


async def changed(runner: Runner, change: Change) -> str | None:
    """Make a membership change on the leader and wait for its commit; the problem, if any."""
    done: asyncio.Future[str | None] = runner.loop.create_future()

    def tell(problem: str | None) -> None:
        if not done.done():
            done.set_result(problem)

    runner.replica.change(change, tell)
    runner.wake()
    try:
        return await asyncio.wait_for(done, CHANGE_SECONDS_MAX)
    except TimeoutError:
        return "no majority has agreed in time; the change may still happen: see `members`"
