"""Charts as SVG."""

from xml.etree import ElementTree

import pytest

from benchmarks.plots import Axis, chart, short


def test_a_chart_has_a_line_and_a_point_for_each_value() -> None:
    drawn = ElementTree.fromstring(
        chart("Inserts & more", "clients", "a second", {"a": [(1, 10), (64, 900)], "b": [(1, 5)]})
    )
    circles = drawn.findall(".//{http://www.w3.org/2000/svg}circle")
    texts = [one.text for one in drawn.findall(".//{http://www.w3.org/2000/svg}text")]
    assert len(circles) == 3
    assert {"Inserts & more", "a", "b", "clients", "a second"} <= set(texts)


def test_a_tenfold_value_is_a_decade_further() -> None:
    axis = Axis([1.0, 1000.0], 0.0, 300.0)
    assert [axis.at(value) for value in (1.0, 10.0, 100.0, 1000.0)] == [0.0, 100.0, 200.0, 300.0]
    assert axis.decades() == [1.0, 10.0, 100.0, 1000.0]


def test_a_single_value_has_a_decade_around_it() -> None:
    assert Axis([100.0], 0.0, 10.0).decades() == [100.0, 1000.0]


@pytest.mark.parametrize("series", [{}, {"a": []}, {"a": [(1.0, 0.0)]}])
def test_what_a_logarithm_cannot_show_is_refused(series: dict) -> None:
    with pytest.raises(ValueError, match="a title"):
        chart("a title", "x", "y", series)


def test_numbers_are_short() -> None:
    assert [short(value) for value in (0.1, 10, 1000, 1e6, 2.5e9)] == [
        "0.1", "10", "1k", "1M", "2.5G",
    ]  # fmt: skip
