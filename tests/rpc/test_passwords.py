"""What stands for a password."""

from __future__ import annotations

import pytest

from raftsql.rpc.passwords import Hashed, hashed, matches, problem_of


def test_a_hash_is_of_one_password_and_no_two_are_the_same() -> None:
    one, two = hashed("a word of some length"), hashed("a word of some length")
    assert one != two
    assert matches(one, "a word of some length")
    assert not matches(one, "A word of some length")
    assert b"some length" not in one


def test_a_hash_made_at_another_cost_is_still_checked() -> None:
    import hashlib

    import msgspec

    digest = hashlib.scrypt(b"old word", salt=b"salt", n=1 << 4, r=8, p=1, dklen=32)
    old = msgspec.msgpack.encode(Hashed(4, 8, b"salt", digest))
    assert matches(old, "old word")
    assert not matches(old, "new word")


@pytest.mark.parametrize("password", ["", "short", "x" * 1_025, "é" * 600])
def test_a_password_that_is_too_short_or_too_long_is_told_so(password: str) -> None:
    assert problem_of(password) is not None


def test_a_password_may_have_any_letters() -> None:
    word = "pässwörd: \N{PILE OF POO} \x00"
    assert problem_of(word) is None
    assert matches(hashed(word), word)
