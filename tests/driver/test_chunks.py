"""Chunks of many rows."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftsql_driver.chunks import CHUNK_BYTES_MAX, CHUNK_ROWS_MAX, chunks
from raftsql_driver.errors import DataError

ROW = st.lists(st.one_of(st.integers(-5, 5), st.text(max_size=5), st.none()), max_size=3)


def decoded(bodies: list[bytes]) -> list[Any]:
    parts = [msgspec.msgpack.decode(body) for body in bodies]
    assert all(sql == "INSERT" for sql, _ in parts)
    return [row for _, rows in parts for row in rows]


@given(st.lists(ROW))
def test_chunks_hold_all_rows_in_order(rows: list[Any]) -> None:
    assert decoded([body for _, body in chunks("INSERT", iter(rows))]) == rows


@pytest.mark.parametrize("size", [1, 100, 5_000, 600_000])
def test_chunks_are_bounded_in_rows_and_bytes(size: int) -> None:
    number = 30_000 if size < 1000 else 1_000 if size < 10_000 else 12
    made = list(chunks("INSERT", iter([("x" * size,)] * number)))
    bodies = [body for _, body in made]
    counts = [len(decoded([body])) for body in bodies]
    assert [first for first, _ in made] == [sum(counts[:place]) for place in range(len(counts))]
    assert sum(counts) == number
    assert max(counts) <= CHUNK_ROWS_MAX
    assert max(map(len, bodies)) <= CHUNK_BYTES_MAX


def test_one_row_may_be_larger_than_a_chunk() -> None:
    assert len(list(chunks("INSERT", iter([(b"x" * (CHUNK_BYTES_MAX * 3),)] * 2)))) == 2


def test_rows_that_grow_are_halved() -> None:
    rows = [("x" * (10 if number < 500 else 2_000),) for number in range(5_000)]
    bodies = [body for _, body in chunks("INSERT", iter(rows))]
    assert decoded(bodies) == [list(row) for row in rows]
    assert max(map(len, bodies)) <= CHUNK_BYTES_MAX


def test_a_bad_row_stops_before_its_chunk_is_sent() -> None:
    rows = iter([(1,)] * 600 + [(2**70,)])
    made = chunks("INSERT", rows)
    assert len(decoded([next(made)[1]])) == 500
    with pytest.raises(DataError):
        next(made)


def test_many_rows_take_the_memory_of_a_chunk() -> None:
    tracemalloc.start()
    for _ in chunks("INSERT", ((number, "x" * 50) for number in range(200_000))):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20
