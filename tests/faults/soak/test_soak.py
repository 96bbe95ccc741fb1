"""What a soak calls flat, what it calls growing, and what it draws and tells of it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.faults.soak.__main__ import told, verdicts
from tests.faults.soak.flat import Bound, judge
from tests.faults.soak.leaks import LEAKS
from tests.faults.soak.load import KINDS, READS, WEIGHTS, Load
from tests.faults.soak.picture import picture
from tests.faults.soak.samples import COUNTED

BOUND = Bound(0.06, 4)


def series(value: Any, seconds: int = 1800) -> list[tuple[float, float]]:
    return [(float(at), value(at)) for at in range(0, seconds, 5)]


def test_noise_and_saw_teeth_are_flat() -> None:
    chance = random.Random(1)
    assert judge(series(lambda at: 100 + chance.gauss(0, 10)), BOUND).is_flat
    assert judge(series(lambda at: 80 + at % 50), Bound(0.1, 8)).is_flat


def test_a_slow_leak_under_noise_grows() -> None:
    chance = random.Random(1)
    verdict = judge(series(lambda at: 100 + at * 0.01 + chance.gauss(0, 3)), BOUND)
    assert not verdict.is_flat
    assert verdict.hourly == pytest.approx(36, rel=0.1)
    assert verdict.growth == pytest.approx(13.5, rel=0.1)


def test_what_grows_only_while_it_warms_up_is_flat() -> None:
    assert judge(series(lambda at: min(at, 400) / 4), BOUND).is_flat


def test_a_few_outliers_do_not_make_a_slope_and_falling_is_no_problem() -> None:
    assert judge(series(lambda at: 1000.0 if at > 1700 else 10.0), Bound(0.3, 1)).is_flat
    assert judge(series(lambda at: 100 - at / 100), BOUND).is_flat


def kept(leak: float) -> dict[str, Any]:
    node = {"memory_mb": 70.0, "handles": 30.0, "compactions": 12.0}
    samples = [
        {
            "at": float(at),
            "client": {"writes_p50_ms": 2.0},
            "nodes": [node, node | {"memory_mb": 70.0 + at * leak}],
        }
        for at in range(0, 600, 5)
    ]
    return {
        "minutes": 10, "rate": 300, "operations": {"update": 7}, "errors": {"TimedOut": 1},
        "machine": "here", "commit": "abc", "samples": samples,
    }  # fmt: skip


def test_the_node_that_leaks_is_named() -> None:
    assert all(one.is_flat for one in verdicts(kept(0.0)).values())
    leaky = kept(0.1)
    assert [key for key, one in verdicts(leaky).items() if not one.is_flat] == [
        ("memory_mb", "node 2")
    ]
    table = told(leaky)
    assert "7 operations, 1 TimedOut; logs shortened 12, 12 times" in table
    assert "| memory, MB | node 2 |" in table
    assert table.count("GROWS") == 1


def test_a_picture_has_a_panel_for_each_measure_and_a_line_for_each_node() -> None:
    lines = {"node 1": [(0.0, 1.0), (60.0, 2.0)], "node 2": [(0.0, 0.0), (60.0, 0.0)]}
    drawn = picture("a soak", [("memory, <MB>", lines), ("threads", lines)])
    assert drawn.count("<g ") == 2
    assert drawn.count('fill="none"') == 4
    assert "memory, &lt;MB&gt;" in drawn


def test_latencies_are_asked_for_once() -> None:
    load = Load("raftsql://nowhere/", 100)
    load._took = {"writes": [3.0, 1.0, 2.0]}
    assert load.latencies() == {"writes_p50_ms": 2.0, "writes_p99_ms": 3.0}
    assert load.latencies() == {}


def test_every_operation_has_a_weight() -> None:
    assert len(KINDS) == len(WEIGHTS)
    assert set(KINDS) >= READS
    assert LEAKS
    assert COUNTED
