"""The probe of a machine's arithmetic: the same here each time, another where a bit differs."""

from __future__ import annotations

import math

import apsw
import pytest

from raftsql.database.numbers import arguments, digest, probe


def test_one_machine_computes_alike_each_time() -> None:
    assert probe() == probe()


@pytest.mark.parametrize("name", ["sin", "exp", "ln", "log2", "tanh"])
def test_one_last_bit_of_one_function_makes_another_digest(name: str) -> None:
    plain = apsw.Connection(":memory:")
    other = apsw.Connection(":memory:")

    def one_off(value: apsw.SQLiteValue) -> float:
        found = float(plain.execute(f"SELECT {name}(?)", (value,)).fetchall()[0][0] or 0)
        return math.nextafter(found, math.inf) if value == 0.7 else found

    def exact(value: apsw.SQLiteValue) -> float:
        return float(plain.execute(f"SELECT {name}(?)", (value,)).fetchall()[0][0] or 0)

    other.create_scalar_function(name, exact, 1)
    before = digest(other)
    other.create_scalar_function(name, one_off, 1)
    assert digest(other) != before


def test_numbers_that_are_printed_otherwise_make_another_digest() -> None:
    other = apsw.Connection(":memory:")
    other.create_scalar_function("printf", lambda form, value: f"{value:.16g}", 2)
    assert digest(other) != probe()


def test_the_arguments_reach_from_the_smallest_to_the_largest() -> None:
    numbers = arguments()
    assert len(numbers) > 300
    assert min(abs(x) for x in numbers if x) < 1e-300
    assert max(numbers) > 1e300
    assert all(math.isfinite(x) for x in numbers)
