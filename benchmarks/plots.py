"""Line charts as SVG, with both axes logarithmic: throughput against whatever grows.

Written by hand, because a plotting library would be the largest dependency of the repository.
"""

from __future__ import annotations

import math
from html import escape

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 80, 230, 40, 50
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#bf3989", "#57606a", "#0a7ea4")

Points = list[tuple[float, float]]


def chart(title: str, across: str, up: str, series: dict[str, Points]) -> str:
    """One chart. Values have to be positive: the axes are logarithmic."""
    points = [point for line in series.values() for point in line]
    if not points:
        raise ValueError(f"nothing to draw in {title!r}")
    if min(min(point) for point in points) <= 0:
        raise ValueError(f"{title!r} has a value that is not positive")
    x_axis = Axis([x for x, _ in points], LEFT, WIDTH - RIGHT)
    y_axis = Axis([y for _, y in points], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="15" font-weight="bold">{escape(title)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) // 2}" y="{HEIGHT - 10}" text-anchor="middle">'
        f"{escape(across)}</text>",
        f'<text transform="translate(18,{(TOP + HEIGHT - BOTTOM) // 2}) rotate(-90)"'
        f' text-anchor="middle">{escape(up)}</text>',
    ]
    parts += _grid(x_axis, y_axis)
    for number, (name, line) in enumerate(series.items()):
        parts += _line(name, line, number, x_axis, y_axis)
    return "\n".join([*parts, "</svg>"]) + "\n"


class Axis:
    """A logarithmic scale over the decades that hold all values."""

    def __init__(self, values: list[float], begin: float, end: float) -> None:
        self._low = math.floor(math.log10(min(values)) + 1e-9)
        self._high = max(self._low + 1, math.ceil(math.log10(max(values)) - 1e-9))
        self._begin, self._end = begin, end

    def at(self, value: float) -> float:
        """The place of a value."""
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return round(self._begin + share * (self._end - self._begin), 1)

    def decades(self) -> list[float]:
        """Where the grid is."""
        return [10.0**power for power in range(self._low, self._high + 1)]


def _grid(x_axis: Axis, y_axis: Axis) -> list[str]:
    parts = []
    for value in x_axis.decades():
        x = x_axis.at(value)
        parts.append(f'<path d="M{x} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        parts.append(f'<text x="{x}" y="{HEIGHT - 32}" text-anchor="middle">{short(value)}</text>')
    for value in y_axis.decades():
        y = y_axis.at(value)
        parts.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{short(value)}</text>')
    return parts


def _line(name: str, points: Points, number: int, x_axis: Axis, y_axis: Axis) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    places = [(x_axis.at(x), y_axis.at(y)) for x, y in points]
    way = "L".join(f"{x} {y}" for x, y in places)
    label_y = TOP + 10 + 18 * number
    return [
        f'<path d="M{way}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>' for x, y in places),
        f'<text x="{WIDTH - RIGHT + 14}" y="{label_y}" fill="{colour}">{escape(name)}</text>',
    ]


def short(value: float) -> str:
    """A number with as few characters as it can have."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
