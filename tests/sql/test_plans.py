"""Plans are remembered, bounded, and the same as made anew."""

from __future__ import annotations

from raftsql.sql.plans import TEXT_CHARACTERS_MAX, Plans, plan
from raftsql.sql.verdict import Mode


def test_a_text_asked_for_again_is_the_same_plan() -> None:
    plans = Plans()
    first = plans.get("SELECT 1")
    assert plans.get("SELECT 1") is first
    assert first == plan("SELECT 1")


def test_the_memory_is_bounded_and_keeps_what_is_used() -> None:
    plans = Plans(texts_max=10)
    kept = plans.get("SELECT 'kept'")
    for number in range(1_000):
        plans.get(f"SELECT {number}")
        assert plans.get("SELECT 'kept'") is kept
        assert len(plans) <= 20


def test_what_is_no_longer_used_is_forgotten() -> None:
    plans = Plans(texts_max=10)
    first = plans.get("SELECT 'once'")
    for number in range(100):
        plans.get(f"SELECT {number}")
    assert plans.get("SELECT 'once'") is not first


def test_a_long_text_is_judged_but_not_kept() -> None:
    plans = Plans()
    text = "SELECT '" + "x" * TEXT_CHARACTERS_MAX + "'"
    assert plans.get(text) == plan(text)
    assert len(plans) == 0


def test_the_mode_is_that_of_the_cluster() -> None:
    text = "UPDATE t SET a = random()"
    assert Plans(Mode.STRICT).get(text) == plan(text, Mode.STRICT)
    assert Plans(Mode.STRICT).get(text) != plan(text)
