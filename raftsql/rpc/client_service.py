"""The client service: streams for drivers, single calls for everybody else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import apsw
import grpc
import msgspec

import raftsql
from raftsql.cluster.runner import Runner
from raftsql.raft.messages import NOBODY
from raftsql.rpc.audit import Audit
from raftsql.rpc.channels import PLAIN, Roads
from raftsql.rpc.client_stream import ClientStream
from raftsql.rpc.door import Door
from raftsql.rpc.forwarding import Forwardable, Upstream
from raftsql.rpc.gate import CALLER, Caller, Denied, Gate
from raftsql.rpc.silence import LOOK_SECONDS, is_silent
from raftsql.rpc.tally import Tally, client_called
from raftsql.rpc.tokens import TOKEN_SECONDS
from raftsql.sql.classify import StatementKind
from raftsql.sql.commands import Done, Failed, Refusal, decode_answer
from raftsql.sql.plans import Plans
from raftsql.sql.values import BadValue
from raftsql.sql.verdict import Mode
from raftsql_proto import client_pb2, frames
from raftsql_proto.client_pb2_grpc import ClientServicer

if TYPE_CHECKING:
    from raftsql.rpc.tracing import Tracing

EXPIRE_SECONDS = 5.0
LAST_WRITE_SECONDS_MAX = 1.0
"""How long the message that is leaving may take when its stream is to end."""
GREETING_SECONDS_MAX = 5.0
"""How long somebody who is turned away may take to say hello."""
STREAMS_MAX = 20_000
"""Client processes that may be connected to one node."""

_NO_CLUSTER = (grpc.StatusCode.UNAVAILABLE, "this node belongs to no cluster yet: try another")

log = logging.getLogger("raftsql.rpc")

Context = grpc.aio.ServicerContext[Any, Any]


class ClientService(ClientServicer):
    """What clients can ask of a node."""

    def __init__(self, mode: str = "pinned", gate: Gate | None = None) -> None:
        """Serves nobody before `attach`; without a gate, everybody then."""
        self.gate = gate or Gate(Audit())
        self._runner: Runner | None = None
        self.door = Door(Plans(Mode(mode)))
        self.tally = Tally()
        self.tracing: Tracing | None = None
        """Set before anybody is served, where traces are recorded."""
        self.streams: set[ClientStream] = set()
        self._upstream: Upstream | None = None
        self._roads = PLAIN
        self._sweeper: asyncio.TimerHandle | None = None
        self._looker: asyncio.TimerHandle | None = None

    def attach(self, runner: Runner, roads: Roads = PLAIN) -> None:
        """The node belongs to a cluster: serve clients from its replica."""
        self._runner = runner
        self._roads = roads
        self._sweep()
        self._look()

    @property
    def runner(self) -> Runner:
        """The replica's runner; nothing asks for it before `attach`."""
        assert self._runner is not None, "clients are served once the node has its place"
        return self._runner

    def _refusal(self) -> tuple[grpc.StatusCode, str] | None:
        """Why a client may not have a stream now."""
        if self._runner is None:
            return _NO_CLUSTER
        if len(self.streams) >= STREAMS_MAX:
            status = grpc.StatusCode.RESOURCE_EXHAUSTED
            return status, "too many clients are connected to this node"
        return None

    async def _check_attached(self, context: Context) -> None:
        if self._runner is None:
            await context.abort(*_NO_CLUSTER)

    def _sweep(self) -> None:
        for stream in self.streams:
            stream.expire(self.runner.node.now)
        self._sweeper = self.runner.loop.call_later(EXPIRE_SECONDS, self._sweep)

    def _look(self) -> None:
        self.let_go_of_the_silent()
        self._looker = self.runner.loop.call_later(LOOK_SECONDS, self._look)

    def let_go_of_the_silent(self) -> None:
        """End the streams of nodes that were not heard, now and when last looked at."""
        for stream in self.streams:
            if stream.node and stream.watched.is_lost(
                silent=is_silent(self.runner.node, stream.node)
            ):
                stream.abandoned.set()

    # What streams ask.

    def members(self) -> dict[int, str]:
        """Where every member is."""
        return {n: m.address for n, m in self.runner.node.membership.members.items()}

    def leader_address(self) -> str:
        """Where the leader is, if known."""
        leader = self.runner.replica.known_leader
        member = self.runner.node.membership.members.get(leader)
        return "" if member is None or leader == NOBODY else member.address

    def welcome(self, caller: Caller | None) -> frames.Welcome:
        """The first frame back."""
        user = None if caller is None or caller.is_node else self.gate.user_of(caller)
        token = "" if user is None else self.gate.token_of(user)
        return frames.Welcome(
            frames.PROTOCOL,
            self.runner.node.id,
            f"{self.runner.config.cluster:016x}",
            self.leader_address(),
            self.members(),
            raftsql.__version__,
            apsw.sqlite_lib_version(),
            token,
            TOKEN_SECONDS if token else 0,
        )

    def forward(self, frame: Forwardable, client: ClientStream) -> bool:
        """Pass a request on to the leader; False when none is known, or it is this node."""
        address = self.leader_address()
        if not address or self.runner.replica.leads:
            return False
        if self._upstream is None or self._upstream.address != address:
            if self._upstream is not None:
                self._upstream.close()
            self._upstream = Upstream(
                address,
                self._upstream_lost,
                self._roads,
                self.gate.own_token,
                self.runner.node.id,
            )
        self._upstream.forward(client.standing.vouched(frame), client)
        return True

    def _upstream_lost(self, upstream: Upstream) -> None:
        if self._upstream is upstream:
            self._upstream = None

    def role_changed(self) -> None:
        """Tell every client where the leader is now."""
        if self._runner is None:
            return
        address = self.leader_address()
        if self._upstream is not None and address not in ("", self._upstream.address):
            # What the old leader still owes may never come: its clients can ask the new one.
            self._upstream.close()
            self._upstream = None
        elif self._upstream is not None and not address:
            self._upstream.doubt()
        frame = frames.Leader(address, self.members())
        for stream in self.streams:
            stream.outbox.put(frame)

    def close(self) -> None:
        """Serve no more."""
        for timer in (self._sweeper, self._looker):
            if timer is not None:
                timer.cancel()
        if self._upstream is not None:
            self._upstream.close()
        self.door.close()

    # Calls.

    async def Connect(self, _: object, context: Context) -> None:
        """One client process, until it goes."""
        peer = context.peer()  # Now: gRPC reads freed memory when the client has left.
        refusal = self._refusal()
        if refusal is not None:
            await _heard_out(context)
            await context.abort(*refusal)
        stream = ClientStream(self)
        writing = asyncio.create_task(stream.outbox.drain_to(context))
        tasks = [
            asyncio.create_task(self._read_from(stream, context, peer)),
            asyncio.create_task(stream.outbox.overflowed.wait()),
            asyncio.create_task(stream.abandoned.wait()),
            writing,
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.streams.discard(stream)
            stream.close()
            self.runner.wake()
            stream.outbox.finish()
            # gRPC can send no status while a message is leaving, and never again if that is
            # cancelled. Only a client that does not read makes this wait.
            await asyncio.wait([writing], timeout=LAST_WRITE_SECONDS_MAX)
            is_stuck = not writing.done()
            problem = await _ended(tasks)
        if is_stuck:
            log.warning("a client does not read its answers: it is cut off")
            raise asyncio.CancelledError
        if isinstance(problem, (msgspec.MsgspecError, ValueError, RecursionError)):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"unreadable frames: {problem}")
        if isinstance(problem, _Unwelcome | Denied):
            await context.abort(problem.status, str(problem))
        if problem is not None:
            raise problem
        if stream.outbox.overflowed.is_set():
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "the client does not read its answers"
            )

    async def _read_from(self, stream: ClientStream, context: Context, peer: str) -> None:
        """Take the client's messages, as fast as it reads its answers."""
        await self._greeted(stream, context, peer)
        self.streams.add(stream)  # From here on, after its Welcome, it hears of new leaders.
        while (message := await context.read()) is not grpc.aio.EOF:
            await stream.take(frames.decode_client_frames(message.batch))
            self.runner.replica.reading.run_ready()
            self.runner.wake()
            await stream.outbox.room()

    async def _greeted(self, stream: ClientStream, context: Context, peer: str) -> None:
        message = await context.read()
        if message is grpc.aio.EOF:
            return
        batch = frames.decode_client_frames(message.batch)
        if not batch or not isinstance(batch[0], frames.Hello):
            raise _Unwelcome(
                grpc.StatusCode.INVALID_ARGUMENT, "the first frame of a stream is Hello"
            )
        if batch[0].protocol != frames.PROTOCOL:
            raise _Unwelcome(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"protocol {batch[0].protocol} is not spoken here: this server speaks "
                f"{frames.PROTOCOL}. Use a client and a server of the same release",
            )
        try:
            caller = await self.gate.identify(batch[0].token, peer)
            if batch[0].forwarded and self.gate.is_closed and not _is_node(caller):
                raise Denied(grpc.StatusCode.PERMISSION_DENIED, "only nodes pass requests on")
        except Denied as denied:
            raise _Unwelcome(denied.status, str(denied)) from None
        stream.standing.caller = caller
        stream.client = client_called(batch[0].client, peer)
        await stream.take(batch)
        self.runner.wake()

    async def Execute(
        self, request: client_pb2.ExecuteRequest, context: Context
    ) -> client_pb2.ExecuteReply:
        """One statement, whatever it is."""
        await self._check_attached(context)
        body = _body(request.sql, request.parameters, request.named)
        run = frames.Run(
            1, frames.Work.EXECUTE, body, request.session, request.sequence, request.floor,
            timeout_ms=request.timeout_ms,
        )  # fmt: skip
        stream = ClientStream(self)
        stream.standing.caller = CALLER.get()
        stream.client = client_called("a single call", context.peer())
        try:
            frame = await self._ask(run, context, stream)
        finally:
            stream.close()
        if isinstance(frame, frames.Page):
            if frame.cursor:
                await context.abort(
                    grpc.StatusCode.OUT_OF_RANGE,
                    "the result is larger than one page: use Query, which streams them",
                )
            rows = [_row(values) for values in frames.decode_rows(frame.rows)]
            names = [column.name for column in frame.columns or ()]
            return client_pb2.ExecuteReply(changes=-1, columns=names, rows=rows, index=frame.index)
        answer = decode_answer(frame.answer)
        if isinstance(answer, Failed):
            await context.abort(_STATUS.get(answer.refusal, _BAD), answer.message)
        assert isinstance(answer, Done), "a statement is done, or failed"
        return client_pb2.ExecuteReply(
            changes=answer.changes,
            last_insert_rowid=answer.last_insert_rowid,
            columns=[column.name for column in answer.columns or ()],
            rows=[_row(values) for values in answer.rows or ()],
            index=frame.index,
        )

    async def Query(
        self, request: client_pb2.QueryRequest, context: Context
    ) -> AsyncIterator[client_pb2.QueryReply]:
        """One read, page by page."""
        await self._check_attached(context)
        body = _body(request.sql, request.parameters, request.named)
        await self._check_reads(request.sql, context)
        stream = ClientStream(self)
        stream.standing.caller = CALLER.get()
        stream.client = client_called("a single call", context.peer())
        run = frames.Run(
            1, frames.Work.EXECUTE, body, level=int(request.consistency), token=request.token,
            max_staleness_ms=request.max_staleness_ms, timeout_ms=request.timeout_ms,
        )  # fmt: skip
        try:
            frame = await self._ask(run, context, stream)
            while True:
                if not isinstance(frame, frames.Page):
                    answer = decode_answer(frame.answer)
                    message = answer.message if isinstance(answer, Failed) else "not a query"
                    await context.abort(_BAD, message)
                assert isinstance(frame, frames.Page), "a query gives pages"
                yield client_pb2.QueryReply(
                    columns=[column.name for column in frame.columns or ()],
                    rows=[_row(values) for values in frames.decode_rows(frame.rows)],
                    index=frame.index,
                )
                if not frame.cursor:
                    return
                frame = await self._ask(frames.Fetch(1, frame.cursor), context, stream)
        finally:
            stream.close()

    async def _check_reads(self, sql: str, context: Context) -> None:
        """A Query that would write is refused before it does."""
        try:
            plan = await self.door.beside(partial(self.door.plan, sql, self.door.plans.mode))
        except BadValue as error:
            await context.abort(_BAD, str(error))
        if plan.kind in (StatementKind.WRITE, StatementKind.TRANSACTION):
            await context.abort(_BAD, "not a query: use Execute for statements that write")

    async def _ask(
        self,
        frame: frames.Run | frames.Fetch,
        context: Context,
        stream: ClientStream,
    ) -> frames.Result | frames.Page:
        """Let a frame be answered as a stream's would, and wait for it."""
        if self.tracing is not None and isinstance(frame, frames.Run):
            frame.trace = self.tracing.named_by(context.invocation_metadata() or ())
        await stream.take([frame])
        self.runner.wake()
        answer = await stream.outbox.next()
        if isinstance(answer, frames.Refused):
            status = _WHY_STATUS.get(frames.Why(answer.why), _UNAVAILABLE)
            await context.abort(status, answer.message)
        assert isinstance(answer, frames.Result | frames.Page), "a request has an answer"
        return answer


_UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
_BAD = grpc.StatusCode.INVALID_ARGUMENT
_STATUS = {
    Refusal.FUEL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Refusal.ACCESS: grpc.StatusCode.PERMISSION_DENIED,
    Refusal.SESSION_UNKNOWN: grpc.StatusCode.FAILED_PRECONDITION,
}
_WHY_STATUS = {
    frames.Why.TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    frames.Why.UNKNOWN: grpc.StatusCode.UNKNOWN,
    frames.Why.BAD_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    frames.Why.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    frames.Why.TOO_STALE: grpc.StatusCode.FAILED_PRECONDITION,
    frames.Why.CANCELLED: grpc.StatusCode.CANCELLED,
    frames.Why.SERIALIZATION: grpc.StatusCode.ABORTED,
    frames.Why.TRANSACTION_GONE: grpc.StatusCode.ABORTED,
}


def _body(sql: str, parameters: Any, named: Any) -> bytes:
    values = {name: _value(v) for name, v in named.items()} or [_value(v) for v in parameters]
    return frames.encode(frames.Statement(sql, values))


def _value(value: client_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    return None if kind is None else getattr(value, kind)


def _row(values: list[Any]) -> client_pb2.Row:
    return client_pb2.Row(values=[_packed(value) for value in values])


def _packed(value: Any) -> client_pb2.Value:
    match value:
        case None:
            return client_pb2.Value()
        case int():
            return client_pb2.Value(integer=value)
        case float():
            return client_pb2.Value(real=value)
        case str():
            return client_pb2.Value(text=value)
        case _:
            return client_pb2.Value(blob=bytes(value))


def _is_node(caller: Caller | None) -> bool:
    return caller is not None and caller.is_node


class _Unwelcome(Exception):
    """The client can't be served; it is told why."""

    def __init__(self, status: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.status = status


async def _heard_out(context: Context) -> None:
    """Let the client say hello before it is turned away: gRPC tells one whose message is still
    leaving that this failed, and not what the server said."""
    with suppress(TimeoutError, grpc.RpcError):
        async with asyncio.timeout(GREETING_SECONDS_MAX):
            await context.read()


async def _ended(tasks: list[asyncio.Task[Any]]) -> BaseException | None:
    """End them all; what went wrong in one of them, if it was more than the stream's end."""
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    ends = (asyncio.CancelledError, grpc.RpcError, asyncio.InvalidStateError)
    problems = [r for r in results if isinstance(r, BaseException) and not isinstance(r, ends)]
    return problems[0] if problems else None
