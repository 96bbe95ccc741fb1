"""Histograms of latencies."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.histogram import SUB_BITS, Histogram, bucket, highest

NANOSECONDS = st.integers(min_value=0, max_value=10**13)


@given(NANOSECONDS)
def test_a_value_lies_in_its_bucket_and_not_in_the_one_before(value: int) -> None:
    assert value <= highest(bucket(value))
    assert bucket(value) == 0 or value > highest(bucket(value) - 1)


@given(NANOSECONDS)
def test_a_bucket_is_off_by_less_than_one_part_in_128(value: int) -> None:
    assert highest(bucket(value)) - value <= value >> SUB_BITS


def test_quantiles_are_those_of_a_sorted_list_within_the_error() -> None:
    chance = random.Random(7)
    seconds = [chance.expovariate(1000) for _ in range(5000)]
    found = Histogram(seconds)
    seconds.sort()
    for share in (0.5, 0.95, 0.99, 0.999):
        exact = seconds[int(share * len(seconds)) - 1]
        assert found.quantile(share) == pytest.approx(exact, rel=0.02)


def test_the_last_quantile_is_the_worst_latency() -> None:
    assert Histogram([0.001, 0.002, 1.2345]).quantile(1.0) == 1.2345


def test_a_histogram_of_nothing_answers_nothing() -> None:
    assert Histogram().quantile(0.99) == 0.0


def test_a_share_beyond_the_whole_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Histogram([1.0]).quantile(99)


def test_two_histograms_added_are_one_of_all_values() -> None:
    one, other = Histogram([0.001] * 90), Histogram([0.5] * 10)
    one.add(other)
    assert one.count == 100
    assert one.quantile(0.9) == pytest.approx(0.001, rel=0.01)
    assert one.quantile(0.91) == pytest.approx(0.5, rel=0.01)


def test_a_histogram_survives_json() -> None:
    before = Histogram([0.001, 0.02, 0.3])
    after = Histogram.unpacked(json.loads(json.dumps(before.packed())))
    assert (after.count, after.worst) == (3, 0.3)
    assert [after.quantile(q) for q in (0.1, 0.5, 1)] == [before.quantile(q) for q in (0.1, 0.5, 1)]
