"""One client process, seen from a node: its frames come in, its answers go out.

The stream holds what belongs to the client alone: open transactions, results half read, requests
not yet answered. When the stream ends, all of that ends too.
"""

from __future__ import annotations

import asyncio
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, assert_never

import msgspec

from raftsql.cluster.requests import Read, Write
from raftsql.cluster.transactions import Step, Transaction
from raftsql.database.reader import Mine
from raftsql.database.readers import Rest
from raftsql.raft.messages import NOBODY
from raftsql.rpc.door import LONG_BYTES, Ask, settings_of
from raftsql.rpc.replies import FAILED_TAG, Outbox, StreamReply
from raftsql.rpc.silence import Watched
from raftsql.rpc.standing import Standing
from raftsql.rpc.tally import READ, STEP, WRITE, Asked, Client, Kind, Outcome, Request
from raftsql.sql.classify import StatementKind, Verb
from raftsql.sql.commands import (
    Column,
    CommandKind,
    Done,
    Failed,
    Level,
    Refusal,
    Settings,
    Statement,
    Why,
    encode,
)
from raftsql.sql.plans import Plan
from raftsql.sql.values import BadValue
from raftsql.sql.verdict import Mode, Pinned, Pure, Refused
from raftsql_proto import frames
from raftsql_proto.frames import Begin, ClientFrame

if TYPE_CHECKING:
    from raftsql.rpc.client_service import ClientService
    from raftsql.rpc.forwarding import Forwardable, Upstream
    from raftsql.rpc.tracing import Followed

OPEN_REQUESTS_MAX = 16_384
"""Requests of one client that may be under way at once."""
TRANSACTIONS_MAX = 16_384
"""Transactions of one client that may be begun and not ended at once."""
CURSOR_MS_MAX = 60_000
"""A result half read is let go when its client has not asked for more for so long."""

NOTHING = encode(Done(0, 0))


class ClientStream:
    """The state of one stream, and what each frame does."""

    def __init__(self, service: ClientService) -> None:
        """A stream that has said nothing yet."""
        self.service = service
        self.runner = service.runner
        self.replica = service.runner.replica
        self.outbox = Outbox(service.tally.settle)
        self.standing = Standing(service.gate, service.runner)
        self.forwarded = False
        self.node = NOBODY
        """The node that speaks for clients of its own, where one does."""
        self.watched = Watched()
        self.abandoned = asyncio.Event()
        """Set when that node is not heard any more: what it holds is let go."""
        self._open: dict[int, Asked] = {}
        self.client = Client()
        """Who greeted."""
        self._note = service.tally.answered.append
        self._tracing = service.tracing
        self._trace = ""
        """The trace that the frame handled now is a part of, if this node records any."""
        self._followed: dict[int, Followed] = {}
        """The open requests that are part of one."""
        self._came = 0.0
        """When the message came whose frames are handled now."""
        self._transactions: dict[int, Transaction] = {}
        self._elsewhere: set[int] = set()
        """Transactions that the leader holds for this client."""
        self._cursors: dict[int, tuple[Rest, int]] = {}
        self._far_cursors: dict[int, tuple[Upstream, int]] = {}
        """Results that a leader holds for this client, by the number this client knows."""
        self._next_cursor = 0
        self._closed = False

    # Kept for the client.

    def keep(self, rest: Rest) -> int:
        """Keep the rest of a result; its number. 0 when nobody is there to ask for it."""
        if self._closed:
            rest.close()
            return 0
        self._next_cursor += 1
        self._cursors[self._next_cursor] = (rest, self.runner.node.now)
        return self._next_cursor

    def _opens(self, number: int, request: Request, kind: Kind) -> None:
        self._open[number] = (request, kind, self._came)
        if self._trace:
            self._follow(number, request, kind)

    def _follow(self, number: int, request: Request, kind: Kind) -> None:
        assert self._tracing is not None, "no trace is taken up where none is recorded"
        followed = self._tracing.follow(self._trace, kind, self._came)
        if followed is not None:
            self._followed[number] = followed
            if request is not None:
                request.watcher = followed

    def done(self, request: int, outcome: Outcome) -> None:
        """The request is answered."""
        asked = self._open.pop(request, None)
        if asked is not None:
            trace = self._told(request, outcome) if self._followed else ""
            self._note((asked, outcome, request, self.client, trace))

    def _told(self, request: int, outcome: Outcome | None) -> str:
        followed = self._followed.pop(request, None)
        if followed is None:
            return ""
        followed.end(outcome)
        return followed.trace_id

    def leader_address(self) -> str:
        """Where the leader is, if known."""
        return self.service.leader_address()

    def close(self) -> None:
        """The client is gone: roll back, let go, stop reading for it."""
        self._closed = True
        for transaction in self._transactions.values():
            transaction.rollback()
        for rest, _ in self._cursors.values():
            rest.close()
        for number, (request, kind, _) in self._open.items():
            self._give_up(number, request, kind)
            self._told(number, None)
        for upstream, cursor in self._far_cursors.values():
            upstream.release(cursor)
        for number in self._elsewhere:
            self.service.forward(frames.Rollback(0, number), self)
        self._transactions.clear()
        self._cursors.clear()
        self._far_cursors.clear()

    def expire(self, now_ms: int) -> None:
        """Let go of results that nobody has asked about for long, and of what is over."""
        over = [number for number, held in self._transactions.items() if held.is_over]
        for number in over:
            del self._transactions[number]
        for number, (rest, touched) in list(self._cursors.items()):
            if now_ms - touched > CURSOR_MS_MAX:
                del self._cursors[number]
                rest.close()

    # Frames.

    async def take(self, batch: list[ClientFrame]) -> None:
        """Handle the frames of one message, in order; a long one beside the event loop."""
        self.standing.check()
        start = 0
        for place, frame in enumerate(batch):
            if type(frame) is frames.Run and len(frame.body) > LONG_BYTES:
                self.receive(batch[start:place])
                await self._take_long(frame)
                start = place + 1
            elif type(frame) is frames.Examine and len(frame.sql) > LONG_BYTES:
                self.receive(batch[start:place])
                await self._examine_long(frame)
                start = place + 1
        self.receive(batch[start:] if start else batch)

    async def _take_long(self, run: frames.Run) -> None:
        door, came = self.service.door, perf_counter()
        self.runner.wake()  # What came before it need not wait.
        try:
            self._check_open(run)
            ask = await door.beside(partial(door.admit, run))
            if not self._closed:
                self._came = came
                self._trace = run.trace if self._tracing is not None else ""
                self._run(run, ask)
        except (BadValue, Crowded) as error:
            self._refuse_for(run, error)
        finally:
            self._trace = ""

    async def _examine_long(self, frame: frames.Examine) -> None:
        try:
            self._say_verdict(frame, await self.service.door.beside(partial(self._plan, frame)))
        except BadValue as error:
            self._refuse_for(frame, error)

    def receive(self, batch: list[ClientFrame]) -> None:
        """Handle frames at once, however long they are."""
        self._came = perf_counter()
        handle = self._handle if self._tracing is None else self._handle_traced
        for frame in batch:
            try:
                handle(frame)
            except (BadValue, Crowded) as error:
                self._refuse_for(frame, error)

    def _refuse_for(self, frame: ClientFrame, error: BadValue | Crowded) -> None:
        why = Why.BAD_REQUEST if isinstance(error, BadValue) else Why.OVERLOADED
        refused = frames.Refused(getattr(frame, "id", 0), why, str(error), self.leader_address())
        self.outbox.put(refused)

    def _handle_traced(self, frame: ClientFrame) -> None:
        self._trace = frame.trace if isinstance(frame, frames.Run | frames.Commit) else ""
        try:
            self._handle(frame)
        finally:
            self._trace = ""

    def _handle(self, frame: ClientFrame) -> None:
        match frame:
            case frames.Run():
                self._check_open(frame)
                self._run(frame, self.service.door.admit(frame))
            case frames.Commit():
                self._commit(frame)
            case frames.Rollback():
                self._rollback(frame)
            case frames.Fetch():
                self._fetch(frame)
            case frames.Release():
                self._release(frame.cursor)
            case frames.Cancel():
                self._cancel(frame)
            case frames.OpenSession():
                self._open_session(frame)
            case frames.Examine():
                self._say_verdict(frame, self._plan(frame))
            case frames.Hello():
                self._greet(frame)
            case _:
                assert_never(frame)

    def _greet(self, hello: frames.Hello) -> None:
        self.forwarded = hello.forwarded
        self.node = hello.node if hello.forwarded else NOBODY
        self.outbox.put(self.service.welcome(self.standing.caller))

    def _check_open(self, frame: _Asking) -> None:
        if frame.id in self._open:
            raise BadValue(f"request {frame.id} is still open")
        if len(self._open) >= OPEN_REQUESTS_MAX:
            raise Crowded("too many requests of this client are open")

    def _run(self, run: frames.Run, ask: Ask | Failed) -> None:
        if isinstance(ask, Failed):
            self.service.tally.turned_away += 1
            self._answer(run.id, encode(ask))
        elif run.transaction:
            self._in_transaction(run, ask)
        elif ask.kind is StatementKind.READ:
            read = self._read_of(run, ask)
            self._opens(run.id, read, READ)
            self.replica.read(read)
        elif ask.kind is StatementKind.TRANSACTION:
            self._outside(run, ask)
        elif ask.kind is StatementKind.SETTING:
            self._setting(run, ask)
        elif ask.kind is StatementKind.EMPTY or not ask.statements:
            self._answer(run.id, NOTHING)
        else:
            self._write(run, ask)

    def _write(self, run: frames.Run, ask: Ask) -> None:
        if not self.replica.leads and self._pass_on(run):
            return
        self.standing.check_session(run)
        settings = self.standing.mark(settings_of(run), run)
        write = Write(
            ask.command, ask.body, StreamReply(self, run.id), settings,
            run.session, run.sequence, run.floor, deadline_ms=self._deadline(run.timeout_ms),
        )  # fmt: skip
        self._opens(run.id, write, WRITE)
        self.replica.write(write)

    def _read_of(self, run: frames.Run, ask: Ask) -> Read:
        statement = ask.statements[0]
        assert isinstance(statement, Statement), "rows of parameters are for writes"
        try:
            level = Level(run.level)
        except ValueError:
            raise BadValue(
                f"consistency level {run.level} is not known to this server; it may be older"
            ) from None
        return Read(
            statement.sql,
            statement.parameters,
            StreamReply(self, run.id),
            level,
            Mine(run.last_insert_rowid, run.changes, run.total_changes, self.standing.user(run)),
            run.token,
            run.max_staleness_ms,
            run.page_rows,
            self._deadline(run.timeout_ms),
        )

    def _deadline(self, timeout_ms: int) -> int:
        return self.runner.now_ms() + timeout_ms if timeout_ms else 0

    def _pass_on(self, frame: Forwardable) -> bool:
        """Let the leader answer, unless another node already passed it on to this one."""
        if self.forwarded:
            return False
        self._opens(frame.id, None, Kind.FORWARDED)  # It may be refused before this returns.
        followed = self._followed.get(frame.id)
        if followed is not None:
            frame = msgspec.structs.replace(frame, trace=followed.header)
        if self.service.forward(frame, self):
            return True
        self._open.pop(frame.id, None)
        self._told(frame.id, None)
        return False

    def _setting(self, run: frames.Run, ask: Ask) -> None:
        """Settings belong to the connection, which is the client's: only say what holds."""
        change = ask.plan.setting
        assert change is not None, "a setting has a name"
        if change.value is not None:
            self._answer(run.id, NOTHING)
            return
        value = int(bool(settings_of(run) & change.setting))
        name = (change.setting.name or "").lower()
        self._answer(run.id, encode(Done(-1, 0, [Column(name, None)], [[value]])))

    def _outside(self, run: frames.Run, ask: Ask) -> None:
        """COMMIT and the like where no transaction is."""
        control = ask.plan.control
        assert control is not None, "transaction control has a verb"
        match control.verb:
            case Verb.BEGIN_DEFERRED | Verb.BEGIN_IMMEDIATE | Verb.BEGIN_EXCLUSIVE:
                message = "BEGIN needs a transaction number: set `transaction` and `begin`"
            case Verb.COMMIT:
                message = "cannot commit - no transaction is active"
            case Verb.ROLLBACK:
                message = "cannot rollback - no transaction is active"
            case _:
                message = f"{control.verb.value.upper()} works inside a transaction: BEGIN first"
        self._answer(run.id, encode(Failed(Refusal.SQL, 1, message)))

    # Transactions.

    def _in_transaction(self, run: frames.Run, ask: Ask) -> None:
        number = run.transaction
        if number in self._elsewhere:
            if not self._pass_on(run):
                self.refuse(run.id, Why.TRANSACTION_GONE, "the leader that held it is gone")
            return
        transaction = self._transactions.get(number)
        if transaction is None:
            transaction = self._begin(run)
            if transaction is None:
                return
        control = ask.plan.control
        if control is not None and control.verb in _ENDS_OR_BEGINS:
            self._control(run, transaction, control.verb)
            return
        if ask.kind is StatementKind.SETTING:
            self._setting(run, ask)
            return
        if ask.kind is StatementKind.EMPTY or not ask.statements:
            self._answer(run.id, NOTHING)
            return
        read = self._read_of(run, ask) if ask.kind is StatementKind.READ else None
        step = Step(
            ask.statements, len(run.body), StreamReply(self, run.id), self._deadline(run.timeout_ms)
        )
        self._opens(run.id, read or step, STEP)
        if read is not None:
            step.watcher = read.watcher
        transaction.execute(step, read)

    def _begin(self, run: frames.Run) -> Transaction | None:
        if run.begin == Begin.NO:
            self.refuse(run.id, Why.TRANSACTION_GONE, "there is no such transaction (any more)")
            return None
        if run.begin not in (Begin.DEFERRED, Begin.IMMEDIATE):
            raise BadValue(f"begin of kind {run.begin} is not known to this server")
        if len(self._transactions) + len(self._elsewhere) >= TRANSACTIONS_MAX:
            raise Crowded("too many transactions of this client are open")
        if not self.replica.leads:
            if self._pass_on(run):
                self._elsewhere.add(run.transaction)
            else:
                self.refuse(run.id, Why.NOT_LEADER, "transactions run on the leader")
            return None
        transaction = self.replica.writer.begin(
            self.standing.mark(settings_of(run), run), immediate=run.begin == Begin.IMMEDIATE
        )
        self._transactions[run.transaction] = transaction
        return transaction

    def _control(self, run: frames.Run, transaction: Transaction, verb: Verb) -> None:
        match verb:
            case Verb.COMMIT:
                commit = frames.Commit(
                    run.id, run.transaction, run.session, run.sequence, run.floor, run.timeout_ms
                )
                self._commit(commit)
            case Verb.ROLLBACK:
                self._rollback(frames.Rollback(run.id, run.transaction))
            case _ if run.begin != Begin.NO:
                self._answer(run.id, NOTHING)
            case _:
                message = "cannot start a transaction within a transaction"
                self._answer(run.id, encode(Failed(Refusal.SQL, 1, message)))

    def _commit(self, commit: frames.Commit) -> None:
        self._check_open(commit)
        number = commit.transaction
        if number in self._elsewhere:
            self._elsewhere.discard(number)
            if not self._pass_on(commit):
                self.refuse(commit.id, Why.NOT_LEADER, "the leader that held it is gone")
            return
        self.standing.check_session(commit)
        write = Write(
            CommandKind.TRANSACTION, b"", StreamReply(self, commit.id), Settings(0),
            commit.session, commit.sequence, commit.floor,
            deadline_ms=self._deadline(commit.timeout_ms),
        )  # fmt: skip
        transaction = self._transactions.get(number)
        if transaction is not None:
            self._opens(commit.id, write, Kind.COMMIT)
            transaction.commit(write)
            if transaction.is_over:
                self._transactions.pop(number, None)
        elif not commit.session:
            self.refuse(commit.id, Why.TRANSACTION_GONE, "there is no such transaction (any more)")
        elif self.replica.leads or not self._pass_on(commit):
            # Perhaps it committed and the answer was lost: the log knows.
            write.kind, write.body = CommandKind.ASK, b""
            self._opens(commit.id, write, Kind.COMMIT)
            self.replica.write(write)

    def _rollback(self, rollback: frames.Rollback) -> None:
        if rollback.transaction in self._elsewhere:
            self._elsewhere.discard(rollback.transaction)
            self.service.forward(rollback, self)
        transaction = self._transactions.pop(rollback.transaction, None)
        if transaction is not None:
            transaction.rollback()
        self._answer(rollback.id, NOTHING)

    # The rest.

    def _fetch(self, fetch: frames.Fetch) -> None:
        self._check_open(fetch)
        upstream, cursor = self._far_cursors.pop(fetch.cursor, (None, 0))
        if upstream is not None and upstream.lives:
            self._opens(fetch.id, None, Kind.FORWARDED)
            upstream.forward(msgspec.structs.replace(fetch, cursor=cursor), self)
            return
        found = self._cursors.pop(fetch.cursor, None)
        if found is None:
            self.refuse(fetch.id, Why.CURSOR_GONE, "the result was closed, or held for too long")
            return
        read = Read(
            "", None, StreamReply(self, fetch.id), page_rows=fetch.page_rows,
            deadline_ms=self._deadline(fetch.timeout_ms),
        )  # fmt: skip
        self._opens(fetch.id, read, Kind.PAGE)
        self.runner.querying.next_page(found[0], read)

    def _release(self, cursor: int) -> None:
        rest, _ = self._cursors.pop(cursor, (None, 0))
        if rest is not None:
            rest.close()
        upstream, far = self._far_cursors.pop(cursor, (None, 0))
        if upstream is not None:
            upstream.release(far)

    def _cancel(self, cancel: frames.Cancel) -> None:
        if cancel.id in self._open:
            request, kind, _ = self._open[cancel.id]
            self._give_up(cancel.id, request, kind)

    def _give_up(self, number: int, request: Request, kind: Kind) -> None:
        """Nobody waits for it any more; where it was passed on, the leader is told."""
        if request is not None:
            request.cancelled = True
            request.deadline_ms = 1
        elif kind is Kind.FORWARDED:
            self.service.forward(frames.Cancel(number), self)

    def _open_session(self, frame: frames.OpenSession) -> None:
        self._check_open(frame)
        if not self.replica.leads and self._pass_on(frame):
            return
        body = self.standing.opening(frame)
        write = Write(
            CommandKind.OPEN_SESSION, body, StreamReply(self, frame.id),
            deadline_ms=self._deadline(frame.timeout_ms),
        )  # fmt: skip
        self._opens(frame.id, write, Kind.SESSION)
        self.replica.write(write)

    def _plan(self, frame: frames.Examine) -> Plan:
        return self.service.door.plan(frame.sql, Mode.STRICT if frame.strict else Mode.PINNED)

    def _say_verdict(self, frame: frames.Examine, plan: Plan) -> None:
        kind = plan.kind.value
        match plan.verdict:
            case Pure():
                answer = frames.Verdict(frame.id, kind, "pure")
            case Pinned(calls):
                names = ", ".join(sorted({call.name for call in calls}))
                first = calls[0]
                answer = frames.Verdict(
                    frame.id, kind, "pinned", names, first.position, len(first.name)
                )
            case Refused(what, position, length, why, instead):
                detail = f"{what}: {why}. Instead, {instead}"
                answer = frames.Verdict(frame.id, kind, "refused", detail, position, length)
        self.outbox.put(answer)

    def _answer(self, request: int, answer: bytes) -> None:
        StreamReply(self, request).result(answer, 0)

    def refuse(self, request: int, why: Why, message: str) -> None:
        """The request is not carried out."""
        StreamReply(self, request).refused(why, message)

    def pass_back(self, request: int, frame: frames.ServerFrame, upstream: Upstream) -> None:
        """The leader's answer to a request that was passed on."""
        self.done(request, _outcome(frame))
        if isinstance(frame, frames.Page) and frame.cursor:
            if self._closed:
                upstream.release(frame.cursor)
                return
            self._next_cursor += 1
            self._far_cursors[self._next_cursor] = (upstream, frame.cursor)
            frame = msgspec.structs.replace(frame, cursor=self._next_cursor)
        self.outbox.put(frame, _size(frame))


class Crowded(Exception):
    """The client has too much open."""


_Asking = frames.Run | frames.Commit | frames.OpenSession | frames.Fetch


def _outcome(frame: frames.ServerFrame) -> Outcome:
    match frame:
        case frames.Refused():
            return Outcome.REFUSED
        case frames.Result() if memoryview(frame.answer)[1] == FAILED_TAG:
            return Outcome.FAILED
        case _:
            return Outcome.DONE


def _size(frame: frames.ServerFrame) -> int:
    match frame:
        case frames.Page():
            return len(memoryview(frame.rows))
        case frames.Result():
            return len(memoryview(frame.answer))
        case _:
            return 64


_ENDS_OR_BEGINS = frozenset(
    {
        Verb.BEGIN_DEFERRED,
        Verb.BEGIN_IMMEDIATE,
        Verb.BEGIN_EXCLUSIVE,
        Verb.COMMIT,
        Verb.ROLLBACK,
    }
)
