"""How frames name spans."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.trace import SpanContext, TraceFlags, TraceState

from raftsql_proto.traces import HEADER_MAX, context_of, header_of, joined


def span(state: dict[str, str] | None = None, *, sampled: bool = True) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return SpanContext(
        7,
        9,
        is_remote=False,
        trace_flags=flags,
        trace_state=TraceState(list((state or {}).items())),
    )


def named(header: str) -> SpanContext:
    return trace.get_current_span(context_of(header)).get_span_context()


def test_a_span_is_found_again_by_its_name() -> None:
    header = header_of(span({"vendor": "one"}))
    found = named(header)
    assert (found.trace_id, found.span_id, dict(found.trace_state)) == (7, 9, {"vendor": "one"})


def test_what_nobody_records_has_no_name() -> None:
    assert header_of(span(sampled=False)) == ""
    assert not named("").is_valid
    assert not named("no such thing").is_valid


def test_a_state_too_long_for_a_frame_is_dropped_and_the_span_kept() -> None:
    header = header_of(span({f"vendor{n}": "x" * 200 for n in range(9)}))
    assert len(header) <= HEADER_MAX
    assert named(header).span_id == 9
    assert joined("p" * 2 * HEADER_MAX, "") == "p" * HEADER_MAX
