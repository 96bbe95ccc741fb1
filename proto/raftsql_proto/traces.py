"""How a frame names an OpenTelemetry span: W3C's `traceparent`, and after a space `tracestate`.

Clients and nodes say this to each other whatever propagator a program has chosen. The module needs
the package opentelemetry-api, and is loaded by those who trace.
"""

from __future__ import annotations

from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

HEADER_MAX: Final = 600
"""The longest that a frame takes."""

_w3c: Final = TraceContextTextMapPropagator()


def header_of(context: trace.SpanContext) -> str:
    """How a frame names a span: nothing where nobody records it."""
    if not context.is_valid or not context.trace_flags.sampled:
        return ""
    carrier: dict[str, str] = {}
    span = trace.NonRecordingSpan(context)
    _w3c.inject(carrier, trace.set_span_in_context(span, Context()))
    return joined(carrier["traceparent"], carrier.get("tracestate", ""))


def joined(parent: str, state: str) -> str:
    """W3C lets a `tracestate` be dropped that is too long to be handed on."""
    whole = f"{parent} {state}".rstrip()
    return whole if len(whole) <= HEADER_MAX else parent[:HEADER_MAX]


def context_of(header: str) -> Context:
    """The context with the span that a frame names; without one where it names none."""
    parent, _, state = header.partition(" ")
    return _w3c.extract({"traceparent": parent, "tracestate": state}, Context())
