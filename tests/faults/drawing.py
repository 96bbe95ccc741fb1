"""Pictures in SVG, without scripts: bars and words in rows along one axis of time.

Hovering a bar tells what it stands for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

WIDTH: Final = 1200
LEFT: Final = 150
RIGHT: Final = 20
ROW: Final = 24
LETTER: Final = 6.4
"""How wide a letter is, about."""
TICKS_MAX: Final = 14
STEPS: Final = (0.001, 0.01, 0.1, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)


class Rows:
    """A picture that grows downwards, row by row."""

    def __init__(self, first: float, last: float) -> None:
        self.first, self.last = first, max(last, first + 0.001)
        self._drawn: list[str] = []
        self._count = 0

    def at(self, moment: float) -> float:
        """Where a moment is, from left to right."""
        share = (moment - self.first) / (self.last - self.first)
        return LEFT + min(1.0, max(0.0, share)) * (WIDTH - LEFT - RIGHT)

    def row(self, name: str) -> None:
        """Begin another row."""
        self._count += 1
        self._drawn.append(text(8, self._middle, name))

    def space(self, title: str = "") -> None:
        """Leave a row empty, but for a title."""
        self._count += 1
        if title:
            self._drawn.append(text(8, self._middle, title, kind="title"))

    @property
    def _top(self) -> float:
        return self._count * ROW

    @property
    def _middle(self) -> float:
        return self._top + ROW * 0.68

    def bar(
        self,
        begin: float,
        end: float,
        colour: str,
        told: str,
        *,
        label: str = "",
        free: float | None = None,
        fill: float = 1,
    ) -> None:
        """A bar in the newest row; its label only if it fits, or beside it if that is free."""
        left, right = self.at(begin), self.at(end)
        width = max(1.5, right - left)
        self._drawn.append(
            f'<rect x="{left:.1f}" y="{self._top + 3:.0f}" width="{width:.1f}" height="{ROW - 6}" '
            f'rx="2" fill="{colour}" fill-opacity="{fill:.2f}"><title>{escape(told)}</title></rect>'
        )
        room = len(label) * LETTER + 6
        if label and room < width:
            self._drawn.append(text(left + 4, self._middle, label, kind="label"))
        elif label and free is not None and right + room < self.at(free):
            self._drawn.append(text(right + 3, self._middle, label))

    def word(self, moment: float, told: str) -> None:
        """Words in the newest row, from a moment on."""
        self._drawn.append(text(self.at(moment) + 6, self._middle, told))

    def columns(self, counts: Sequence[int], colour: str, unit: str) -> None:
        """In the newest row, how much there was of something, from the first moment to the last."""
        width, most = (self.last - self.first) / len(counts), max([*counts, 1])
        for at, count in enumerate(counts):
            if count:
                begin = self.first + at * width
                told = f"{begin:.1f} to {begin + width:.1f} s: {count} {unit}"
                self.bar(begin, begin + width, colour, told, fill=0.15 + 0.85 * count / most)

    def svg(self) -> str:
        """The picture, with the axis above."""
        step = next((s for s in STEPS if (self.last - self.first) / s <= TICKS_MAX), STEPS[-1])
        height, axis = (self._count + 1) * ROW, []
        moment = -(-self.first // step) * step
        while moment <= self.last:
            x = self.at(moment)
            axis.append(f'<path d="M{x:.1f} {ROW - 4}V{height}" stroke="#e4e4e4"/>')
            axis.append(text(x, ROW * 0.6, f"{moment:g} s", kind="tick"))
            moment = round(moment + step, 6)
        body = "".join([*axis, *self._drawn])
        return f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">{body}</svg>'


def text(x: float, y: float, words: str, *, kind: str = "row") -> str:
    """Words at a place."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'


def legend(entries: Iterable[tuple[str, str]]) -> str:
    """What the colours stand for."""
    told = (f'<span><i style="background:{colour}"></i>{escape(n)}</span>' for n, colour in entries)
    return f'<p class="legend">{"".join(told)}</p>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of words."""
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"
