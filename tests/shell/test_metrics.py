"""Counters are read off whatever a node says of itself."""

from __future__ import annotations

from raftsql_shell.metrics import rows

PICTURE = {
    "node_id": 3,
    "version": "1.0",
    "term": 7,
    "first_index": 11,
    "last_index": 20,
    "applied_index": 18,
    "commit_index": 20,
    "lease": True,
    "failure": None,
    "verified": {"index": 15, "equal": True, "differences": []},
    "members": [{"voter": True}, {"voter": False}],
}


def values(pattern: str = "") -> dict[str, object]:
    return {name: value for name, value, _ in rows(PICTURE, pattern)}


def test_what_counts_nothing_is_left_out() -> None:
    assert not {"node_id", "version", "failure"} & set(values())


def test_switches_and_what_lies_deeper_are_numbers_too() -> None:
    found = values()
    assert found["lease"] == 1
    assert found["verified.index"] == 15
    assert found["verified.equal"] == 1


def test_what_follows_from_others_is_reckoned() -> None:
    found = values()
    assert found["unapplied_entries"] == 2
    assert found["log_entries"] == 10
    assert (found["members"], found["voters"]) == (2, 1)


def test_a_pattern_is_a_part_of_a_name() -> None:
    assert set(values("INDEX")) == {
        *("first_index", "last_index", "applied_index", "commit_index", "verified.index"),
    }


def test_a_counter_that_nobody_knows_is_shown_without_words() -> None:
    assert rows({"frobs": 4}, "frob") == [("frobs", 4, None)]
