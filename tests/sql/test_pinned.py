"""The seeded generator keeps its numbers for ever."""

from __future__ import annotations

import hashlib

import pytest

from raftsql.sql.pinned import Chance


def test_the_generator_gives_the_published_numbers_of_splitmix64() -> None:
    chance = Chance(1234567)
    assert [chance.word() for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert Chance(0).word() == 0xE220A8397B1DCDAF


def test_the_same_seed_gives_the_same_numbers_and_another_others() -> None:
    first, again, other = Chance(7), Chance(7), Chance(8)
    drawn = [first.random() for _ in range(100)]
    assert drawn == [again.random() for _ in range(100)]
    assert drawn != [other.random() for _ in range(100)]


def test_random_has_both_signs_and_an_absolute_value() -> None:
    chance = Chance(1)
    drawn = [chance.random() for _ in range(1000)]
    assert 300 < sum(number < 0 for number in drawn) < 700
    assert all(-(1 << 63) < number < 1 << 63 for number in drawn)


def test_the_lowest_word_is_not_the_lowest_integer() -> None:
    class Lowest(Chance):
        def word(self) -> int:
            return 1 << 63

    assert Lowest(0).random() == 0


def test_a_blob_is_made_of_words_low_byte_first() -> None:
    assert Chance(0).blob(4).hex() == "afcd1d7b"
    assert Chance(0).blob(20)[:8] == (0xE220A8397B1DCDAF).to_bytes(8, "little")


def test_a_long_blob_is_shake_of_two_words() -> None:
    expected = hashlib.shake_128(Chance(5).blob(16)).digest(5_000)
    assert Chance(5).blob(5_000) == expected


@pytest.mark.parametrize("size", [0, -5, 1])
def test_a_blob_has_at_least_one_byte(size: int) -> None:
    assert len(Chance(3).blob(size)) == 1
