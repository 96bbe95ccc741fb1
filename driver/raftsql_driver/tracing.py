"""OpenTelemetry spans of what a connection asks of the cluster.

A flow is followed from outside: whoever runs it is handed its steps through here, so what is sent
is what is recorded, in both colours, and no flow knows. A span begins with the first request of a
call and ends with the call, whatever that takes: tries, waits, another leader. The statements of a
transaction are children of one span for all of it, unless the program has a span of its own open
between. Each request carries its span to the node, which adds what it did.

Names and attributes are those of OpenTelemetry's conventions for databases. A parameter's value is
never looked at, and no error's text is taken: SQLite puts values into some.

This module needs the package opentelemetry-api, and is loaded where the option `tracing` asks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import msgspec

from raftsql_driver.captions import Caption, caption, shortened
from raftsql_driver.errors import InterfaceError, OutcomeUnknown
from raftsql_driver.flows import Ask, Lost, Send
from raftsql_proto.frames import Commit, OpenSession, Refused, Rollback, Run, Why, Work

try:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

    from raftsql_proto.traces import header_of
except ImportError as error:
    raise InterfaceError(
        f"the option tracing needs OpenTelemetry ({error}): pip install 'raftsql[opentelemetry]', "
        "or leave the option out"
    ) from error

if TYPE_CHECKING:
    from raftsql_driver.connection import BaseConnection
    from raftsql_driver.flows import Flow
    from raftsql_driver.transaction import Transaction

T = TypeVar("T")

LIBRARY: Final = "raftsql_driver"


class _Sql(msgspec.Struct, array_like=True):
    """A statement in a frame's body; what comes after its text is skipped, not read."""

    sql: str


class _Rows(msgspec.Struct, array_like=True):
    sql: str
    rows: list[msgspec.Raw]


_one: Final = msgspec.msgpack.Decoder(_Sql).decode
_many: Final = msgspec.msgpack.Decoder(_Rows).decode
_script: Final = msgspec.msgpack.Decoder(list[_Sql]).decode


class Sent(NamedTuple):
    """What a frame asks for, as a span may tell it."""

    captions: Sequence[Caption]
    text: str
    size: int
    """How many statements or rows."""


class TransactionSpan(NamedTuple):
    """The span of a whole transaction, kept by it."""

    span: Span
    outside: Span
    """The program's own span when it began; its statements belong to another one if that is another
    by then."""


class Tracing:
    """Makes the spans of connections that show as much of a statement."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.tracer = trace.get_tracer(LIBRARY)

    def follow(self, connection: BaseConnection, flow: Flow[T]) -> Flow[T]:
        """The same flow, step by step, with its span."""
        call = _Call(self, connection)
        try:
            step = next(flow)
            while True:
                call.asks(step)
                try:
                    outcome = yield step
                except BaseException as error:
                    step = flow.throw(error)
                else:
                    call.hears(outcome)
                    step = flow.send(outcome)
        except StopIteration as end:
            call.ends(None)
            result: T = end.value
            return result
        except BaseException as error:
            call.ends(error)
            raise


tracing_of: Final = lru_cache(Tracing)
"""One for all connections of a mode."""


class _Call:
    """One call of a program: from nothing to at most one span."""

    def __init__(self, tracing: Tracing, connection: BaseConnection) -> None:
        self._tracing = tracing
        self._connection = connection
        self._before = connection._transaction
        self._within: Transaction | None = None
        self._began_ns = time.time_ns()
        self._span: Span | None = None
        self._opens = False
        """It has asked for a session, which belongs to what is to follow."""
        self._header = ""
        self._frame: Any = None
        """What was sent last."""
        self._size = 0
        self._tries = 0
        self._reason = ""
        """Why the last try came to nothing."""
        self._node = ""

    def asks(self, step: Any) -> None:
        """A step is about to be carried out."""
        if type(step) is not Ask and type(step) is not Send:
            return
        frame = step.frame
        if type(frame) is Run:
            self._sends(step, frame)
            frame.trace = self._header
        elif type(frame) is Commit:
            self._sends(step, frame)
            step.frame = msgspec.structs.replace(frame, trace=self._header)
        elif type(frame) is Rollback:
            if self._span is None:
                self._sends(step, frame)
        else:
            self._opens |= type(frame) is OpenSession

    def _sends(self, step: Ask | Send, frame: Any) -> None:
        self._node = step.node
        again = frame is self._frame or (type(frame) is Commit and type(self._frame) is Commit)
        self._frame = frame
        if self._span is None:
            self._begin(frame)
        elif again:
            self._tries += 1
            self._span.add_event("retry", {"raftsql.reason": self._reason, "node": step.node})
        else:
            self._size += _sent(frame, self._tracing.mode).size

    def _begin(self, frame: Any) -> None:
        sent = _sent(frame, self._tracing.mode)
        self._size = sent.size
        context, links = self._parent()
        self._span = self._tracing.tracer.start_span(
            _summary(sent.captions), context, SpanKind.CLIENT,
            _attributes(frame, sent, self._tracing.mode), links, self._began_ns,
        )  # fmt: skip
        self._header = header_of(self._span.get_span_context())

    def _parent(self) -> tuple[Context | None, list[Link]]:
        """The transaction's span, or the program's own where it has opened one since."""
        within = self._within = self._connection._transaction
        if within is None:
            return None, []
        outside = trace.get_current_span()
        if within.span is None:
            span = self._tracing.tracer.start_span(
                "transaction", kind=SpanKind.INTERNAL, start_time=self._began_ns,
                attributes={"db.system.name": "raftsql"},
            )  # fmt: skip
            within.span = TransactionSpan(span, outside)
        if within.span.outside is outside:
            return trace.set_span_in_context(within.span.span), []
        return None, [Link(within.span.span.get_span_context())]

    def hears(self, outcome: Any) -> None:
        """What came of a step."""
        if type(outcome) is Lost:
            self._reason = "lost"
        elif type(outcome) is Refused:
            self._reason = Why(outcome.why).name.lower()

    def ends(self, error: BaseException | None) -> None:
        """The call is over."""
        if self._span is None and self._opens:
            self._span = self._tracing.tracer.start_span(
                "raftsql", kind=SpanKind.CLIENT, start_time=self._began_ns,
                attributes={"db.system.name": "raftsql"},
            )  # fmt: skip
        if self._span is not None:
            self._tell(self._span, error)
            self._span.end()
        for transaction in {self._before, self._within} - {None, self._connection._transaction}:
            assert transaction is not None, "it was taken out"
            self._end_transaction(transaction, error)

    def _tell(self, span: Span, error: BaseException | None) -> None:
        host, _, port = self._node.rpartition(":")
        if host:
            span.set_attribute("server.address", host.strip("[]"))
            span.set_attribute("server.port", int(port))
        if self._size > 1:
            span.set_attribute("db.operation.batch.size", self._size)
        if self._tries:
            span.set_attribute("raftsql.retries", self._tries)
        if error is not None:
            name = getattr(error, "sqlite_errorname", "")
            if name:
                span.set_attribute("db.response.status_code", name)
            span.set_attribute("error.type", name or type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR))

    def _end_transaction(self, transaction: Transaction, error: BaseException | None) -> None:
        if transaction.span is None:
            return
        span: Span = transaction.span.span
        if isinstance(error, OutcomeUnknown):
            word = "unknown"
        elif transaction.reads_only:
            word = "read only"
        else:
            word = "committed" if type(self._frame) is Commit and error is None else "rolled back"
        span.set_attribute("raftsql.outcome", word)
        span.end()
        transaction.span = None


def _sent(frame: Any, mode: str) -> Sent:
    if type(frame) is not Run:
        word = "COMMIT" if type(frame) is Commit else "ROLLBACK"
        return Sent([Caption(word, (), word)], word, 1)
    if frame.work == Work.SCRIPT:
        texts = [statement.sql for statement in _script(frame.body)]
        size = len(texts)
    elif frame.work == Work.MANY:
        many = _many(frame.body)
        texts, size = [many.sql], len(many.rows)
    else:
        texts, size = [_one(frame.body).sql], 1
    captions = [caption(text) for text in texts[:_SHOWN_MAX]]
    shown = texts[:_SHOWN_MAX] if mode == "text" else [one.masked for one in captions]
    return Sent(captions, shortened("; ".join(text.rstrip("; \t\n") for text in shown)), size)


_SHOWN_MAX: Final = 20
"""Statements of a script that are told; a longer one is cut."""


def _summary(captions: Sequence[Caption]) -> str:
    summary = "; ".join(dict.fromkeys(one.summary for one in captions))
    return summary if len(summary) <= 255 else summary[:254] + "…"


def _attributes(frame: Any, sent: Sent, mode: str) -> dict[str, str]:
    found = {"db.system.name": "raftsql", "db.query.summary": _summary(sent.captions)}
    operations = {one.operation for one in sent.captions}
    if len(operations) == 1:
        batch = "BATCH " if sent.size > 1 else ""
        found["db.operation.name"] = batch + operations.pop()
    targets = {target for one in sent.captions for target in one.targets}
    if len(targets) == 1:
        found["db.collection.name"] = targets.pop().strip('"`[]')
    if mode != "names" and type(frame) is Run:
        found["db.query.text"] = sent.text
    return found
