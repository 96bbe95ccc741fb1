"""A run as a page: what was done to the nodes, what became of them, and what clients got done.

What went wrong comes first, one row for each call of the shortest story that shows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import pairwise, zip_longest
from typing import Final

from tests.faults.drawing import Rows, legend, table
from tests.faults.faults import FAULTS
from tests.faults.history import NEVER_ENDED, Operation, Violation
from tests.faults.lives import Phase, State, states, stretches
from tests.faults.results import Result
from tests.faults.run import Outcome

BUCKETS: Final = 200
GAP_S: Final = 0.15
"""A time without a write that is worth a mark."""
CALLS_MAX: Final = 60
HEADING_MAX: Final = 160
LAYERS: Final = {
    "processes": "#c0392b", "links": "#2471a3", "loss": "#7d3c98", "delay": "#5dade2",
    "everything": "#1b2631", "disks": "#b9770e", "clocks": "#148f77", "members": "#616a6b",
}  # fmt: skip
NODE: Final = {
    State.LEADS: "#1e8449", State.FOLLOWS: "#a9dfbf", State.STARTING: "#f5b041",
    State.ASLEEP: "#af7ac5", State.GONE: "#34495e",
}  # fmt: skip
PHASES: Final = {
    Phase.DOWN: ("#aab7b8", "no majority of the nodes runs"),
    Phase.CUT: ("#d5d8dc", "no majority sees each other"),
    Phase.STARTING: ("#f5b041", "processes start"),
    Phase.ELECTING: ("#e67e22", "an election"),
    Phase.LED: ("#e74c3c", "a leader is there"),
}
STYLE: Final = """
body { font: 14px system-ui, sans-serif; margin: 2em auto; max-width: 1240px; color: #222; }
h1 { margin-bottom: .2em } h2 { margin: 1.4em 0 .4em; font-size: 17px }
svg { background: #fcfcfc; border: 1px solid #ddd; }
text { font: 12px system-ui, sans-serif; fill: #333; }
text.title { font-weight: 600 } text.tick { fill: #888; text-anchor: middle }
text.label { fill: #fff; font-size: 11px; pointer-events: none }
table { border-collapse: collapse; } td, th { padding: 3px 10px; border-bottom: 1px solid #e5e5e5;
text-align: left; vertical-align: top } th { font-weight: 600 }
.verdict { font-size: 17px; padding: .5em .8em; border-left: 5px solid; background: #f7f7f7 }
.good { border-color: #1e8449 } .bad { border-color: #c0392b }
.legend span { margin-right: 1.3em; white-space: nowrap }
.legend i { display: inline-block; width: 12px; height: 12px; margin-right: 5px }
pre { background: #f6f6f6; padding: 1em; overflow: auto; }
"""


def page(outcome: Outcome, result: Result, told: str) -> str:
    """The whole page."""
    parts = [
        f"<!doctype html><meta charset=utf-8><title>seed {outcome.seed}</title>",
        f"<style>{STYLE}</style><h1>Seed {outcome.seed}</h1>",
        f"<p>{result.nodes} nodes, {escape(outcome.network)}, {outcome.seconds:.0f} s, "
        f"{result.operations} operations, {result.writes} writes done</p>",
        _verdict(outcome, result),
    ]
    for violation in outcome.violations:
        parts.append(f"<h2>{escape(violation.what[:HEADING_MAX])}</h2>")
        if len(violation.what) > HEADING_MAX:
            parts.append(f"<pre>{escape(violation.what)}</pre>")
        if violation.story:
            parts.append(_story(violation))
    parts += ["<h2>What happened when</h2>", _run(outcome, result)]
    parts.append(legend((state.value, colour) for state, colour in NODE.items()))
    parts += ["<h2>What each fault cost</h2>", _faults(result)]
    parts += ["<h2>What was checked</h2>", _work(outcome)]
    parts.append(f"<details><summary>As text</summary><pre>{escape(told)}</pre></details>")
    return "\n".join(parts)


def _verdict(outcome: Outcome, result: Result) -> str:
    count = len(outcome.violations)
    said = f"Violations: {count}" if count else "No promise was broken"
    kind = "bad" if count else "good"
    return (
        f'<p class="verdict {kind}">{said}. The longest time without an acknowledged write was '
        f"{escape(str(result.longest))}.</p>"
    )


def _run(outcome: Outcome, result: Result) -> str:
    last = max([outcome.seconds, *outcome.writes()[-1:], *(one.ended for one in result.faults)])
    rows = Rows(0.0, last)
    rows.space("faults")
    _draw_faults(rows, result)
    rows.space("nodes")
    for node, lived in states(outcome.events, last).items():
        rows.row(f"node {node}")
        for begin, end, state in lived:
            rows.bar(begin, end, NODE[state], f"{state.value}, {begin:.2f} to {end:.2f} s")
    rows.space("clients")
    _draw_gaps(rows, outcome, last)
    for workload in outcome.workloads:
        if not workload.history.operations:
            continue  # It keeps a ledger, without times.
        rows.row(f"{workload.name} ({workload.level[:6]})")
        counts = [0] * BUCKETS
        for one in workload.history.operations:
            if one.done:
                counts[min(BUCKETS - 1, int(one.end / last * BUCKETS))] += 1
        rows.columns(counts, "#2e86c1", "done")
    return rows.svg()


def _draw_faults(rows: Rows, result: Result) -> None:
    for layer, colour in LAYERS.items():
        own = [one for one in result.faults if FAULTS[one.fault].layer == layer]
        if not own:
            continue
        rows.row(layer)
        for one, follower in zip_longest(own, own[1:]):
            told = f"{one.fault}, {one.begun:.2f} to {one.ended:.2f} s; {one.note}; no write for "
            free = follower.begun if follower else rows.last
            rows.bar(one.begun, one.ended, colour, f"{told}{one.gap}", label=one.fault, free=free)


def _draw_gaps(rows: Rows, outcome: Outcome, last: float) -> None:
    """Times without a write, in the colours of what the cluster was meanwhile."""
    rows.row("no write")
    phases = stretches(outcome.events)
    for before, after in pairwise([0.0, *outcome.writes(), last]):
        if after - before < GAP_S:
            continue
        for begin, end, phase in phases:
            first, until = max(begin, before), min(end, after)
            if until > first:
                colour, why = PHASES[phase]
                told = f"no write from {before:.2f} to {after:.2f} s; {first:.2f} to {until:.2f} s"
                rows.bar(first, until, colour, f"{told}: {why}")


def _faults(result: Result) -> str:
    colours = legend((why, colour) for colour, why in PHASES.values())
    head = ("from", "to", "fault", "to whom", "no write for", "beyond the inevitable")
    rows = (
        (
            f"{one.begun:.2f}",
            f"{one.ended:.2f}",
            one.fault,
            one.note,
            str(one.gap),
            f"{one.beyond:.2f} s",
        )
        for one in result.faults
    )
    return table(head, rows) + colours


def _work(outcome: Outcome) -> str:
    head = ("workload", "level", "promise", "operations", "what became of them")
    rows = (
        (one.name, one.level, one.promise, str(one.operations), one.told())
        for one in outcome.workloads
    )
    return table(head, rows)


def _story(violation: Violation) -> str:
    """One row a call, from its beginning to its end; what never ended goes on to the right."""
    story = sorted(violation.story, key=lambda one: one.start)[:CALLS_MAX]
    rows = Rows(story[0].start, _end(story))
    for one in story:
        rows.row(f"client {one.client}")
        end = min(one.end, rows.last)
        colour = "#2e86c1" if one.done else "#b9770e"
        rows.bar(one.start, end, colour, str(one))
        rows.word(end, _called(one))
    return rows.svg()


def _end(story: Iterable[Operation]) -> float:
    """Where a story's picture ends: room for words is left behind its last call."""
    starts = [one.start for one in story]
    ends = [one.end for one in story if one.end != NEVER_ENDED]
    last = max([*starts, *ends])
    return last + max(0.001, last - min(starts)) * 0.5


def _called(operation: Operation) -> str:
    told = f"→ {operation.answer!r}" if operation.done else operation.fate.value
    place = f" at {operation.place}" if operation.place else ""
    return f"{operation.name} {operation.key!r} {operation.argument!r} {told}{place}"[:90]
