"""Bars, their labels and the axis of a timeline."""

from __future__ import annotations

import re

from tests.faults.drawing import LEFT, RIGHT, WIDTH, Rows, legend, table


def labels(drawn: str) -> list[tuple[str, str]]:
    return re.findall(r'<text class="(\w+)"[^>]*>([^<]*)</text>', drawn)


def test_a_label_is_in_its_bar_or_beside_it_or_not_there() -> None:
    rows = Rows(0.0, 100.0)
    rows.row("links")
    rows.bar(0.0, 50.0, "red", "all of it", label="isolate")
    rows.bar(60.0, 61.0, "red", "all of it", label="split", free=90.0)
    rows.bar(90.0, 91.0, "red", "all of it", label="bridged", free=92.0)
    found = labels(rows.svg())
    assert ("label", "isolate") in found
    assert ("row", "split") in found
    assert not [each for each in found if each[1] == "bridged"]


def test_moments_lie_between_the_edges() -> None:
    rows = Rows(10.0, 20.0)
    assert rows.at(10.0) == LEFT
    assert rows.at(20.0) == rows.at(99.0) == WIDTH - RIGHT
    assert ("tick", "15 s") in labels(rows.svg())


def test_columns_are_darker_where_there_was_more() -> None:
    rows = Rows(0.0, 4.0)
    rows.row("sets")
    rows.columns([1, 0, 4, 2], "blue", "done")
    told = re.findall(r'fill-opacity="([\d.]+)"><title>([^<]*)<', rows.svg())
    assert [text for _, text in told] == [
        "0.0 to 1.0 s: 1 done",
        "2.0 to 3.0 s: 4 done",
        "3.0 to 4.0 s: 2 done",
    ]
    assert [float(fill) for fill, _ in told] == [0.36, 1.0, 0.57]


def test_words_are_escaped() -> None:
    assert "&lt;1&gt;" in table(("<1>",), [("a",)])
    assert "&lt;b&gt;" in legend([("<b>", "red")])
