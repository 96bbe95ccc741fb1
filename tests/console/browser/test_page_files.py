"""The page's files themselves: small, of our own, with nothing that a policy would refuse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "raftsql" / "server" / "console" / "page"
SCRIPTS = sorted(PAGE.glob("*.js"))
LINES_MAX = 600
CONTRAST_MIN = 4.5
"""Of text, by WCAG 2 at level AA."""

GROUNDS = {
    "paper": ("ink", "soft", "live", "bad"),
    "sheet": (
        "ink", "soft", "live", "warn", "bad", "t-keyword", "t-function", "t-text", "t-number",
        "t-comment", "t-parameter",
    ),
    "sunk": ("ink", "soft"),
    "live": ("on-live",),
    "live-soft": ("ink", "soft", "live"),
    "warn-soft": ("warn",),
    "bad-soft": ("bad", "soft"),
}  # fmt: skip
PAIRS = [(front, back) for back, fronts in GROUNDS.items() for front in fronts]


def luminance(colour: str) -> float:
    """How bright a colour is, as WCAG 2 counts it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """How well one colour is seen on the other."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def themes() -> dict[str, dict[str, str]]:
    """The colours' names and values, of each theme."""
    text = (PAGE / "console.css").read_text()
    blocks = re.findall(r'^(:root(?:\[data-theme="dark"\])?) \{(.*?)^\}', text, re.S | re.M)
    return {
        "dark" if "dark" in head else "light": dict(
            re.findall(r"--([\w-]+): (#[0-9a-f]{6});", body)
        )
        for head, body in blocks
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("front", "back"), PAIRS)
def test_text_stands_out_from_what_is_behind_it(theme: str, front: str, back: str) -> None:
    colours = themes()[theme]
    assert contrast(colours[front], colours[back]) >= CONTRAST_MIN


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_white_stands_out_from_each_members_colour(theme: str) -> None:
    colours = themes()[theme]
    for number in range(5):
        assert contrast("#ffffff", colours[f"hue{number}"]) >= CONTRAST_MIN


def test_the_systems_dark_is_the_chosen_dark() -> None:
    text = (PAGE / "console.css").read_text()
    chosen = text.split('[data-theme="dark"] {')[1].split("}")[0]
    systems = text.split(':not([data-theme="light"]) {')[1].split("}")[0]
    assert chosen.split() == systems.split()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_short_typed_and_makes_no_markup(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("// @ts-check\n")
    assert text.count("\n") <= LINES_MAX
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "setAttribute('style'",
        "DOMParser",
    ):
        assert word not in text, f"{path.name} has {word}"
    for source in re.findall(r"from '(.*?)'", text):
        assert (PAGE / source).is_file(), source


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_inline() -> None:
    for path in PAGE.iterdir():
        addresses = set(re.findall(r"https?://[\w.]+", path.read_text()))
        assert addresses <= {"http://www.w3.org"}, path.name
    html = (PAGE / "index.html").read_text()
    assert " style=" not in html
    assert not re.search(r"\son\w+=", html)
    assert re.findall(r"<script[^>]*>[^<]", html) == []
    for name in re.findall(r'"static/([\w.]+)"', html):
        assert (PAGE / name).is_file()


def test_no_file_is_there_that_nothing_asks_for() -> None:
    texts = "".join(path.read_text() for path in PAGE.iterdir())
    assert [
        path.name for path in PAGE.iterdir() if path.name not in texts and path.name != "index.html"
    ] == []
