"""A soak as a picture: a panel for each measure, a line for each node, time from left to right."""

from __future__ import annotations

from html import escape
from typing import Final

from tests.faults.soak.flat import WARM_UP, Points

WIDTH: Final = 470
HEIGHT: Final = 170
COLUMNS: Final = 2
LEFT: Final = 52
TOP: Final = 26
BOTTOM: Final = 22
COLOURS: Final = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df")

Panel = tuple[str, dict[str, Points]]
"""Its title, and its lines by name."""


def picture(title: str, panels: list[Panel]) -> str:
    """All panels, in two columns."""
    rows = -(-len(panels) // COLUMNS)
    width, height = COLUMNS * WIDTH, rows * HEIGHT + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="10" y="20" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    for at, (name, lines) in enumerate(panels):
        x, y = at % COLUMNS * WIDTH, at // COLUMNS * HEIGHT + 30
        parts.append(f'<g transform="translate({x},{y})">{_panel(name, lines)}</g>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(name: str, lines: dict[str, Points]) -> str:
    points = [point for line in lines.values() for point in line]
    last = max((at for at, _ in points), default=1.0)
    most = max((value for _, value in points), default=1.0) * 1.15 or 1.0
    right, floor = WIDTH - 14, HEIGHT - BOTTOM

    def place(at: float, value: float) -> tuple[float, float]:
        x = LEFT + at / last * (right - LEFT)
        return round(x, 1), round(floor - value / most * (floor - TOP), 1)

    warm, _ = place(last * WARM_UP, 0)
    drawn = [
        f'<text x="{LEFT}" y="16" font-weight="bold">{escape(name)}</text>',
        f'<rect x="{LEFT}" y="{TOP}" width="{warm - LEFT:.1f}" height="{floor - TOP}"'
        ' fill="#f3f3f3"/>',
    ]
    for share in (0.0, 0.5, 1.0):
        value = most / 1.15 * share
        _, y = place(0, value)
        drawn.append(f'<path d="M{LEFT} {y}H{right}" stroke="#ddd"/>')
        drawn.append(f'<text x="{LEFT - 5}" y="{y + 4}" text-anchor="end">{value:.4g}</text>')
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, _ = place(last * share, 0)
        told = f"{last * share / 60:.3g} min"
        drawn.append(f'<text x="{x}" y="{floor + 15}" text-anchor="middle">{told}</text>')
    for number, (line, values) in enumerate(lines.items()):
        way = "L".join("{} {}".format(*place(*point)) for point in values)
        colour = COLOURS[number % len(COLOURS)]
        drawn.append(f'<path d="M{way}" fill="none" stroke="{colour}" stroke-width="1.3"/>')
        x = right - 62 * (len(lines) - number)
        drawn.append(f'<text x="{x}" y="16" fill="{colour}">{escape(line)}</text>')
    return "".join(drawn)
