"""A run as a picture: faults above, work below, and what went wrong as bars of single calls.

One HTML file without scripts: hovering a bar tells what it stands for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from typing import Final

from tests.faults.faults import FAULTS
from tests.faults.history import Operation, Violation
from tests.faults.run import Outcome, Struck

WIDTH: Final = 1100
LEFT: Final = 130
ROW: Final = 22
BUCKETS: Final = 220
GAP_S: Final = 0.3
"""A time without a write that is worth a mark."""
CALLS_MAX: Final = 60
COLOURS: Final = {
    "processes": "#c0392b", "links": "#2471a3", "loss": "#7d3c98", "delay": "#5dade2",
    "disks": "#b9770e", "clocks": "#148f77", "members": "#616a6b",
}  # fmt: skip
STYLE: Final = """
body { font: 14px system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }
pre { background: #f6f6f6; padding: 1em; overflow: auto; }
text { font: 12px system-ui, sans-serif; fill: #333; }
svg { background: #fafafa; border: 1px solid #ddd; }
"""


def page(outcome: Outcome, windows: Sequence[tuple[Struck, float]], text: str) -> str:
    """The whole page."""
    parts = [
        f"<!doctype html><meta charset=utf-8><title>seed {outcome.seed}</title>",
        f"<style>{STYLE}</style><h1>Seed {outcome.seed}</h1>",
        _run(outcome, windows),
    ]
    for violation in outcome.violations:
        parts.append(f"<h2>{escape(violation.what)}</h2>")
        if violation.story:
            parts.append(_story(violation))
    parts.append(f"<pre>{escape(text)}</pre>")
    return "\n".join(parts)


def _run(outcome: Outcome, windows: Sequence[tuple[Struck, float]]) -> str:
    end = max([outcome.seconds, *outcome.writes()[-1:], *(s.ended for s, _ in windows)])
    scale = (WIDTH - LEFT - 10) / end
    layers = list(COLOURS)
    rows = [*layers, "no write", *(one.name for one in outcome.workloads)]
    drawn = [_text(4, (at + 0.7) * ROW, name) for at, name in enumerate(rows)]
    for struck, gap in windows:
        layer = FAULTS[struck.fault].layer
        told = (
            f"{struck.fault}, {struck.begun:.2f} to {struck.ended:.2f} s; {struck.note}; "
            f"no write for {gap:.2f} s"
        )
        drawn.append(
            _bar(
                LEFT + struck.begun * scale,
                (struck.ended - struck.begun) * scale,
                layers.index(layer),
                COLOURS[layer],
                told,
            )
        )
    writes = [0.0, *outcome.writes(), end]
    for before, after in pairwise(writes):
        if after - before > GAP_S:
            told = f"{before:.2f} to {after:.2f} s: no write was acknowledged"
            width = (after - before) * scale
            drawn.append(_bar(LEFT + before * scale, width, len(layers), "#e74c3c", told))
    for row, workload in enumerate(outcome.workloads, len(layers) + 1):
        done = [one.end for one in workload.history.operations if one.done]
        drawn += _density(done, end, row)
    for second in range(0, int(end) + 1, 5):
        drawn.append(_text(LEFT + second * scale, (len(rows) + 0.7) * ROW, f"{second} s"))
    return _svg(drawn, len(rows) + 1)


def _density(ends: Iterable[float], last: float, row: int) -> list[str]:
    """How much was done when: the darker, the more."""
    counts = [0] * BUCKETS
    for end in ends:
        counts[min(BUCKETS - 1, int(end / last * BUCKETS))] += 1
    most, width = max([*counts, 1]), (WIDTH - LEFT - 10) / BUCKETS
    return [
        _bar(LEFT + at * width, width, row, "#1e8449", f"{count} done", 0.15 + 0.85 * count / most)
        for at, count in enumerate(counts)
        if count
    ]


def _story(violation: Violation) -> str:
    """One row a call, from its beginning to its end; what never ended goes on to the right."""
    story = sorted(violation.story, key=lambda one: one.start)[:CALLS_MAX]
    first = story[0].start
    ends = [one.end for one in story if one.end != float("inf")]
    last = max([*ends, *(one.start for one in story), first + 0.001])
    scale = (WIDTH - LEFT - 260) / (last - first)
    drawn = []
    for row, one in enumerate(story):
        end = min(one.end, last + (last - first) * 0.05)
        left = LEFT + (one.start - first) * scale
        colour = "#2471a3" if one.done else "#b9770e"
        drawn.append(_text(4, (row + 0.7) * ROW, f"client {one.client}"))
        drawn.append(_bar(left, max(3.0, (end - one.start) * scale), row, colour, str(one)))
        right = left + max(6.0, (end - one.start) * scale) + 4
        drawn.append(_text(right, (row + 0.7) * ROW, _called(one)))
    return _svg(drawn, len(story))


def _called(operation: Operation) -> str:
    told = f"→ {operation.answer!r}" if operation.done else operation.fate.value
    return f"{operation.name} {operation.argument!r} {told}"[:90]


def _svg(drawn: list[str], rows: int) -> str:
    return f'<svg width="{WIDTH}" height="{rows * ROW}">{"".join(drawn)}</svg>'


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _bar(x: float, width: float, row: int, colour: str, told: str, opacity: float = 0.85) -> str:
    return (
        f'<rect x="{x:.1f}" y="{row * ROW + 3}" width="{max(1.5, width):.1f}" height="{ROW - 6}" '
        f'fill="{colour}" fill-opacity="{opacity:.2f}"><title>{escape(told)}</title></rect>'
    )
