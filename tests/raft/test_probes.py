"""Probes and the lease: what an answer proves, and for how long."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftsql.raft.probes import Probes


def test_probes_are_numbered_from_one() -> None:
    probes = Probes()
    assert [probes.send(now) for now in (5, 5, 9)] == [1, 2, 3]


def test_there_is_no_lease_before_an_answer() -> None:
    probes = Probes()
    probes.send(0)
    assert not probes.lease_valid(0, 100)


def test_a_lease_runs_from_the_sending() -> None:
    probes = Probes()
    probes.send(10)
    probes.send(50)
    assert probes.confirm(1)
    assert probes.lease_valid(109, 100)
    assert not probes.lease_valid(110, 100)
    assert probes.confirm(2)
    assert probes.lease_valid(149, 100)
    assert not probes.lease_valid(150, 100)


def test_an_old_or_repeated_answer_is_no_news() -> None:
    probes = Probes()
    probes.send(10)
    probes.send(50)
    assert probes.confirm(2)
    assert not probes.confirm(1)
    assert not probes.confirm(2)
    assert probes.confirmed_at == 50


def test_nobody_answers_what_was_not_sent() -> None:
    with pytest.raises(AssertionError, match="was not sent"):
        Probes().confirm(1)


@settings(deadline=None, derandomize=True)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("wait"), st.integers(0, 50)),
            st.tuples(st.just("send"), st.just(0)),
            st.tuples(st.just("confirm"), st.integers(0, 12)),
        ),
        max_size=40,
    )
)
def test_the_lease_is_that_of_the_newest_confirmed_probe(steps: list[tuple[str, int]]) -> None:
    """Beside a dictionary of when each probe was sent."""
    probes, sent, newest, now = Probes(), {0: -1000}, 0, 0
    for what, value in steps:
        match what:
            case "wait":
                now += value
            case "send":
                sent[probes.send(now)] = now
            case "confirm":
                probe = value % len(sent)
                assert probes.confirm(probe) is (probe > newest)
                newest = max(newest, probe)
        assert probes.confirmed == newest
        assert probes.lease_valid(now, 60) is (now < sent[newest] + 60)
