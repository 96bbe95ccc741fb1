"""Managing users: what an operator asks for becomes a command in the log.

The password ends here, on the leader: the log, and with it every disk, gets what stands for it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from typing import Any, Final

import grpc
import grpc.aio

from raftsql.cluster.runner import Runner
from raftsql.rpc import passwords
from raftsql.rpc.at_leader import MOVED, NoAnswer, at_leader
from raftsql.rpc.channels import PLAIN, Roads
from raftsql.rpc.gate import Caller, Denied, Gate, credentials_of, is_local
from raftsql.rpc.proposing import NotProposed, let_through, proposed
from raftsql.rpc.tokens import TOKEN_SECONDS
from raftsql.rpc.wards import shown_in
from raftsql.sql.access import AddKey, AddUser, Grant, RemoveUser, Revoke, Role, SetSecret
from raftsql.sql.access import Change as AnyChange
from raftsql.sql.access import encode as encode_change
from raftsql.sql.commands import CommandKind, Failed, Settings, decode_answer, of_user
from raftsql_proto import users_pb2
from raftsql_proto.users_pb2_grpc import UsersServicer, UsersStub

log = logging.getLogger("raftsql.rpc")

Context = grpc.aio.ServicerContext[Any, Any]

CHANGE_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 2.0
"""How long a change waits for an open transaction, which may be of the user that is to be kept
out: then it is rolled back, or whoever goes on writing could not be removed."""
KEY_HOURS: Final = 12
"""How long tokens are signed with the same key."""
LOOK_SECONDS: Final = 60.0
"""How often the leader looks whether the key is too old."""
FOR_USER: Final = "raftsql-for-user"
"""The metadata by which a node says for whom it asks."""
KEY_BYTES: Final = 32


class UsersService(UsersServicer):
    """Serves once the node belongs to a cluster."""

    def __init__(self, gate: Gate) -> None:
        """Not yet."""
        self._gate = gate
        self._runner: Runner | None = None
        self._roads = PLAIN
        self._looking: asyncio.Task[None] | None = None

    def attach(self, runner: Runner, roads: Roads) -> None:
        """The node belongs to a cluster."""
        self._runner, self._roads = runner, roads
        self._looking = asyncio.get_running_loop().create_task(self._look())

    def close(self) -> None:
        """Look after the keys no more."""
        if self._looking is not None:
            self._looking.cancel()

    # Calls.

    async def Login(
        self, request: users_pb2.LoginRequest, context: Context
    ) -> users_pb2.LoginReply:
        """A token for a password."""
        peer = context.peer()  # Now: gRPC reads freed memory when the caller has left.
        if not self._gate.access.on:
            await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION, "this cluster has no users (yet)"
            )
        try:
            user = await self._gate.login(request.user, request.password, peer)
        except Denied as denied:
            await context.abort(denied.status, str(denied))
        token = self._gate.token_of(user)
        if not token:
            await context.abort(
                grpc.StatusCode.UNAVAILABLE, "the cluster has no key yet: try again"
            )
        return users_pb2.LoginReply(token=token, seconds=TOKEN_SECONDS)

    async def Change(
        self, request: users_pb2.ChangeRequest, context: Context
    ) -> users_pb2.ChangeReply:
        """Change one user, or make one."""
        peer, claimed = context.peer(), _claimed(context)
        caller = await self._may_change(request, context, peer)
        runner = await self._running(context)
        said = _noted(request)

        def by() -> int:
            return 0 if caller is None else self._gate.number_of(caller, claimed)

        try:
            self._check_place(runner, caller)
            reply = await at_leader(
                runner, self._roads,
                lambda: self._change(runner, request, by()),
                lambda channel, left: self._pass_on(channel, request, by(), left),
                CHANGE_SECONDS,
            )  # fmt: skip
        except (_Refused, Denied, NotProposed, NoAnswer) as error:
            self._note(caller, peer, f"refused: {error}", said)
            await context.abort(getattr(error, "status", _PRECONDITION), str(error))
        except grpc.aio.AioRpcError as error:
            self._note(caller, peer, f"refused: {error.details()}", said)
            await context.abort(error.code(), error.details() or "")
        self._note(caller, peer, "done", said)
        return reply

    async def List(self, _: users_pb2.ListRequest, context: Context) -> users_pb2.ListReply:
        """Who there is, without what stands for their passwords."""
        users = [
            {
                "user": user.name,
                "role": user.role.name.lower(),
                "tables": {table: right.name.lower() for table, right in user.tables.items()},
            }
            for _, user in sorted(self._gate.access.users.items())
        ]
        return users_pb2.ListReply(json=json.dumps(users))

    # How.

    async def _running(self, context: Context) -> Runner:
        if self._runner is None:
            await context.abort(_PRECONDITION, "this node belongs to no cluster yet")
        return self._runner

    async def _may_change(
        self, request: users_pb2.ChangeRequest, context: Context, peer: str
    ) -> Caller | None:
        gate = self._gate
        try:
            if not gate.access.on and (not gate.is_closed or is_local(peer)):
                return None  # The first user: while there is none, this machine is trusted.
            caller = await gate.identify(shown_in(context), peer)
            own = request.WhichOneof("what") == "password"
            if caller is None or not (own and caller.name == request.user):
                gate.check_role(caller, Role.ADMIN)
            return caller
        except Denied as denied:
            said = {"what": request.WhichOneof("what") or "nothing", "whom": request.user}
            self._note(None, peer, f"refused: {denied}", said)
            await context.abort(denied.status, str(denied))

    def _note(self, caller: Caller | None, peer: str, outcome: str, said: dict[str, str]) -> None:
        name = "" if caller is None else caller.name
        self._gate.audit.note("user", user=name, peer=peer, outcome=outcome, **said)

    async def _change(
        self, runner: Runner, request: users_pb2.ChangeRequest, by: int
    ) -> users_pb2.ChangeReply:
        change = await self._change_of(request)
        if not self._gate.access.keys:
            await self._propose(runner, AddKey(secrets.token_bytes(KEY_BYTES)), 0)
        loop = asyncio.get_running_loop()
        make_way = loop.call_later(
            PATIENCE_SECONDS, let_through, runner, "rights are being changed"
        )
        try:
            index = await self._propose(runner, change, by)
        finally:
            make_way.cancel()
        return users_pb2.ChangeReply(index=index)

    async def _change_of(self, request: users_pb2.ChangeRequest) -> AnyChange:
        name = request.user
        match request.WhichOneof("what"):
            case "add":
                role = _role(request.add.role) if request.add.role else Role.NONE
                return AddUser(name, await self._secret(request.add.password), role)
            case "password":
                return SetSecret(name, await self._secret(request.password))
            case "remove":
                return RemoveUser(name)
            case "grant":
                return Grant(name, _role(request.grant.right), request.grant.table)
            case "revoke":
                return Revoke(name, request.revoke.table)
            case _:
                raise _Refused("nothing is asked for: add, password, remove, grant or revoke")

    async def _secret(self, password: str) -> bytes:
        problem = passwords.problem_of(password)
        if problem is not None:
            raise _Refused(problem)
        return await self._gate.hashed(password)

    async def _propose(self, runner: Runner, change: AnyChange, by: int) -> int:
        settings = of_user(Settings.FOREIGN_KEYS, by)
        index, packed = await proposed(
            runner, CommandKind.ACCESS, encode_change(change), CHANGE_SECONDS, settings
        )
        answer = decode_answer(packed)
        if isinstance(answer, Failed):
            raise _Refused(answer.message)
        return index

    def _check_place(self, runner: Runner, caller: Caller | None) -> None:
        """Whether it may be asked here: only once passed on, and a first user not at all."""
        if runner.replica.leads:
            return
        if caller is not None and caller.is_node:
            raise _Moved
        if not self._gate.access.on and self._gate.is_closed:
            leader = runner.node.membership.members.get(runner.replica.known_leader)
            where = "which is not known now" if leader is None else leader.address
            raise _Refused(f"the first user is made on the leader's own machine, {where}")

    async def _pass_on(
        self, channel: grpc.aio.Channel, request: users_pb2.ChangeRequest, by: int, seconds: float
    ) -> users_pb2.ChangeReply:
        reply: users_pb2.ChangeReply = await UsersStub(channel).Change(
            request,
            metadata=[(FOR_USER, str(by)), *credentials_of(self._gate)],
            timeout=seconds,
        )
        return reply

    # Keys.

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.renew_key(int(time.time() * 1000))

    async def renew_key(self, now_ms: int) -> None:
        """Let the leader replace a key that has signed for long enough."""
        runner, access = self._runner, self._gate.access
        if runner is None or not runner.replica.leads or not access.on:
            return
        age_ms = now_ms - max((key.made_ms for key in access.keys), default=0)
        if age_ms <= KEY_HOURS * 3_600_000:
            return
        try:
            await self._propose(runner, AddKey(secrets.token_bytes(KEY_BYTES)), 0)
        except (NotProposed, _Refused) as error:
            log.warning("the key of tokens was not replaced: %s", error)


class _Refused(Exception):
    """It can't be done; why."""


class _Moved(_Refused):
    """Another node asked, and this one does not lead (any more)."""

    status = MOVED

    def __init__(self) -> None:
        super().__init__("the leader has changed")


_PRECONDITION: Final = grpc.StatusCode.FAILED_PRECONDITION


def _claimed(context: Context) -> int:
    """For whom a node says that it asks."""
    for name, value in context.invocation_metadata() or ():
        if name == FOR_USER and str(value).isdecimal():
            return int(value)
    return 0


def _role(word: str) -> Role:
    try:
        return Role[word.upper()]
    except KeyError:
        raise _Refused(f"{word!r} is no right: read, write or admin") from None


def _noted(request: users_pb2.ChangeRequest) -> dict[str, str]:
    """What the audit log tells of a change: all of it but a password."""
    what = request.WhichOneof("what") or "nothing"
    noted = {"what": what, "whom": request.user}
    match what:
        case "add":
            noted["right"] = request.add.role
        case "grant":
            noted |= {"right": request.grant.right, "table": request.grant.table}
        case "revoke":
            noted["table"] = request.revoke.table
    return {name: value for name, value in noted.items() if value}
