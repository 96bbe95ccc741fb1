"""Messages are plain values, and the union of them is closed."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from raftsql.raft import messages
from raftsql.raft.messages import ORIGIN, Entry, EntryKind, Heartbeat, Message, Position


def test_every_kind_of_message_is_in_the_union_and_carries_its_term() -> None:
    values = {"Entry", "HardState", "Position", "SnapshotMeta", "Envelope"}
    classes = {
        name
        for name, it in vars(messages).items()
        if isinstance(it, type) and dataclasses.is_dataclass(it)
    } - values
    assert {kind.__name__ for kind in get_args(Message)} == classes
    for kind in get_args(Message):
        assert "term" in {field.name for field in dataclasses.fields(kind)}


def test_a_message_can_not_be_changed_after_it_was_made() -> None:
    heartbeat = Heartbeat(1, 0, 0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        heartbeat.term = 2  # type: ignore[misc]


def test_entries_are_equal_by_what_they_hold() -> None:
    assert Entry(1, 2, EntryKind.COMMAND, b"x") == Entry(1, 2, EntryKind.COMMAND, b"x")
    assert Entry(1, 2, EntryKind.COMMAND, b"x") != Entry(2, 2, EntryKind.COMMAND, b"x")


def test_the_kinds_of_entries_keep_their_numbers() -> None:
    """They are on disk and on the wire."""
    assert {kind.name: int(kind) for kind in EntryKind} == {
        "NOOP": 0,
        "COMMAND": 1,
        "MEMBERSHIP": 2,
    }


def test_the_origin_is_before_the_first_entry() -> None:
    assert Position(0, 0) == ORIGIN
