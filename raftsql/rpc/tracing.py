"""A node's spans: what became of a request that its client records, and where its time went.

A request that carries a trace gets a span here, with a child for each part of its way: waiting in
the queue, the quorum, the database. What carries none costs nothing and gets none: a node goes on
with the traces of others and begins no trace of its own. The parts are recorded when the request
has ended; until then they are only times.

This module needs the package opentelemetry-api, and is loaded where the setting `tracing` asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter, perf_counter_ns, time_ns
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode

from raftsql.cluster.requests import Stage
from raftsql.rpc.tally import Kind, Outcome
from raftsql_proto.traces import context_of, header_of, joined

LIBRARY: Final = "raftsql"

_PARTS: Final = {
    (Kind.WRITE, Stage.PROPOSED): "queue",
    (Kind.WRITE, Stage.COMMITTED): "replicate",
    (Kind.WRITE, None): "apply",
    (Kind.COMMIT, Stage.PROPOSED): "queue",
    (Kind.COMMIT, Stage.COMMITTED): "replicate",
    (Kind.COMMIT, None): "apply",
    (Kind.READ, Stage.GRANTED): "read index",
    (Kind.READ, Stage.RUNS): "wait",
    (Kind.READ, None): "query",
    (Kind.STEP, Stage.GRANTED): "read index",
    (Kind.STEP, Stage.RUNS): "wait",
    (Kind.STEP, None): "query",
}
"""What the time before a stage is called; None: before the end."""


class Tracing:
    """Makes the spans of a node."""

    def __init__(self, provider: trace.TracerProvider, version: str, node: Callable[[], int]):
        self._tracer = provider.get_tracer(LIBRARY, version)
        self._node = node

    def follow(self, header: str, kind: Kind, came: float) -> Followed | None:
        """A span for a request that came then, by `perf_counter`; None where nobody records it."""
        parent = _parent_of(header)
        if parent is None:
            return None
        began_ns = time_ns() - int((perf_counter() - came) * 1e9)
        attributes: dict[str, str | int] = {
            "db.system.name": "raftsql",
            "raftsql.node": self._node(),
        }
        span = self._tracer.start_span(
            f"raftsql {kind.name.lower()}", parent, SpanKind.SERVER, attributes,
            start_time=began_ns,
        )  # fmt: skip
        return Followed(self._tracer, span, kind, began_ns)

    def named_by(self, metadata: Iterable[tuple[str, str | bytes]]) -> str:
        """The trace that a single call's metadata names, as a frame would."""
        found = {name: value for name, value in metadata if isinstance(value, str)}
        return joined(found.get("traceparent", ""), found.get("tracestate", ""))


class Followed:
    """One request on its way, as cluster.requests.Watcher."""

    __slots__ = ("_began_ns", "_index", "_kind", "_reached", "_since_ns", "_span", "_tracer")

    def __init__(self, tracer: trace.Tracer, span: trace.Span, kind: Kind, began_ns: int) -> None:
        self._tracer = tracer
        self._span = span
        self._kind = kind
        self._began_ns = began_ns
        self._since_ns = perf_counter_ns() - (time_ns() - began_ns)
        """The same moment, by the clock that never jumps."""
        self._reached: list[tuple[Stage, int]] = []
        self._index = 0

    def _now_ns(self) -> int:
        return self._began_ns + perf_counter_ns() - self._since_ns

    def reached(self, stage: Stage, index: int = 0) -> None:
        """The request is there."""
        self._reached.append((stage, self._now_ns()))
        self._index = index or self._index

    @property
    def header(self) -> str:
        """What the next node is told, so that its span is a child of this one."""
        return header_of(self._span.get_span_context())

    @property
    def trace_id(self) -> str:
        """The trace, as people search for it."""
        return f"{self._span.get_span_context().trace_id:032x}"

    def end(self, outcome: Outcome | None) -> None:
        """The request is answered; None: nobody waits for that any more."""
        ended_ns = self._now_ns()
        if self._span.is_recording():
            self._record_parts(outcome, ended_ns)
            self._span.set_attribute("raftsql.outcome", _word(outcome))
            if self._index:
                self._span.set_attribute("raftsql.log_index", self._index)
            if outcome is Outcome.FAILED:
                self._span.set_status(Status(StatusCode.ERROR))
        self._span.end(ended_ns)

    def _record_parts(self, outcome: Outcome | None, ended_ns: int) -> None:
        if not self._reached and outcome is not Outcome.DONE:
            return  # It was turned away at the door.
        context = trace.set_span_in_context(self._span, Context())
        for name, from_ns, until_ns in self._parts(ended_ns):
            part = self._tracer.start_span(name, context, start_time=from_ns)
            part.end(until_ns)

    def _parts(self, ended_ns: int) -> Iterator[tuple[str, int, int]]:
        from_ns = self._began_ns
        for stage, until_ns in (*self._reached, (None, ended_ns)):
            name = _PARTS.get((self._kind, stage))
            if name is not None:
                yield name, from_ns, until_ns
            from_ns = until_ns


def _parent_of(header: str) -> Context | None:
    context = context_of(header)
    found = trace.get_current_span(context).get_span_context()
    return context if found.is_valid and found.trace_flags.sampled else None


def _word(outcome: Outcome | None) -> str:
    return "given up" if outcome is None else outcome.name.lower()
