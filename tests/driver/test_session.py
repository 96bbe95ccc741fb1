"""Sequences and the floor."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raftsql_driver.session import Session


def test_sequences_count_up_from_one() -> None:
    session = Session()
    assert [session.take(), session.take(), session.take()] == [1, 2, 3]


def test_the_floor_waits_for_the_oldest_open_write() -> None:
    session = Session()
    first, second = session.take(), session.take()
    session.settle(second)
    assert session.floor == 0
    session.settle(first)
    assert session.floor == 2


def test_sessions_have_nonces_of_their_own() -> None:
    assert Session().nonce != Session().nonce


@given(st.permutations(range(1, 30)), st.integers(0, 29))
def test_everything_up_to_the_floor_is_settled_and_the_next_is_not(
    order: list[int], number: int
) -> None:
    session = Session()
    for _ in order:
        session.take()
    settled = set(order[:number])
    for sequence in order[:number]:
        session.settle(sequence)
    assert set(range(1, session.floor + 1)) <= settled
    assert session.floor + 1 not in settled
