"""Metrics are read off Prometheus' text, and the telling part is kept."""

from __future__ import annotations

import pytest

from raftsql_shell.metrics import Histogram, rows
from tests.shell.fake import METRICS


def test_what_a_person_wants_is_kept_under_short_names() -> None:
    found, about = rows(METRICS)
    assert [row[0] for row in found] == [
        "raft_term",
        "statement_seconds kind=read",
        "statement_seconds kind=write",
        "process_cpu_seconds_total",
    ]
    assert about["statement_seconds"] == "from a request to its answer"


def test_a_pattern_is_a_part_of_a_name() -> None:
    found, about = rows(METRICS, "TERM")
    assert found == [("raft_term", 3, None, None)]
    assert about == {"raft_term": "the term that the node is in"}


def test_a_histogram_is_a_count_and_two_percentiles() -> None:
    found, _ = rows(METRICS, "statement")
    assert found[0][1:] == (100, pytest.approx(0.556), pytest.approx(1.9))
    assert found[1][1:] == (0, None, None)


def test_a_label_may_hold_anything() -> None:
    found, _ = rows('raftsql_odd{a="x \\"} 5",b="}"} 7\n')
    assert [row[1] for row in found] == [7]


def test_what_lies_beyond_the_last_bound_is_that_bound() -> None:
    histogram = Histogram([(0.5, 1.0), (float("inf"), 10.0)], 10.0)
    assert histogram.quantile(0.99) == 0.5
