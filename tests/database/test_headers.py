"""What can be told of a command by its first bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftsql.database.errors import MachineStopped
from raftsql.database.headers import HEADER_BYTES, SETTINGS_AT, Shape, decode_pair, header_of
from raftsql.database.machine import Machine
from raftsql.raft.messages import Entry, EntryKind
from raftsql.sql.commands import CommandKind, Settings, Statement, encode, seal

DECIDED = {
    "settings": Settings.FOREIGN_KEYS,
    "fuel": 9,
    "clock_ms": 8,
    "seed": 2**64 - 1,
    "session": 6,
    "sequence": 5,
    "floor": 4,
}


def sealed(sql: str, parameters: list[object]) -> bytes:
    return seal(CommandKind.EXECUTE, encode(Statement(sql, parameters)), **DECIDED)  # type: ignore[arg-type]


def test_a_header_gives_back_what_the_leader_decided() -> None:
    payload = sealed("SELECT 1", [])
    header = header_of(payload)
    assert header.kind == CommandKind.EXECUTE
    assert {name: getattr(header, name) for name in DECIDED} == DECIDED
    assert payload[SETTINGS_AT] == Settings.FOREIGN_KEYS
    assert decode_pair(payload[HEADER_BYTES:]) == ("SELECT 1", [])


def test_a_command_of_another_version_is_not_guessed_at() -> None:
    payload = sealed("SELECT 1", [])
    with pytest.raises(MachineStopped, match=f"a command of version {payload[0] + 1}"):
        header_of(bytes([payload[0] + 1]) + payload[1:])


def test_a_command_of_a_kind_that_came_later_is_not_guessed_at(tmp_path: Path) -> None:
    machine = Machine.open(tmp_path / "a.db")
    newest = max(CommandKind)
    payload = sealed("SELECT 1", [])
    later = payload[:1] + bytes([newest + 1]) + payload[2:]
    with pytest.raises(MachineStopped, match=rf"kind {newest + 1} .* the release that the others"):
        machine.apply([Entry(1, 1, EntryKind.COMMAND, later)])


def test_a_shape_knows_the_next_command_of_its_text_by_its_bytes() -> None:
    shape = Shape("INSERT INTO t VALUES (?)")
    payload = sealed("INSERT INTO t VALUES (?)", [1, "two"])
    assert shape.fits(payload)
    assert payload[shape.end :] == encode([1, "two"])
    _, clock_ms, seed, session, sequence, floor, head = shape.unpack(payload)
    assert (clock_ms, seed, session, sequence, floor) == (8, 2**64 - 1, 6, 5, 4)
    assert head == shape.head


def test_a_shape_takes_no_other_text_for_its_own() -> None:
    shape = Shape("INSERT INTO t VALUES (?)")
    for other in ("INSERT INTO t VALUES (? )", "INSERT INTO u VALUES (?)", ""):
        assert not shape.fits(sealed(other, [1]))


def test_what_two_commands_share_is_one_number() -> None:
    shape = Shape("SELECT ?")
    first, second = sealed("SELECT ?", [1]), sealed("SELECT ?", [2])
    assert shape.unpack(first)[0] == shape.unpack(second)[0]
    body = encode(Statement("SELECT ?", [2]))
    other = seal(CommandKind.EXECUTE, body, settings=Settings(0), fuel=9, clock_ms=8, seed=1)
    assert shape.unpack(first)[0] != shape.unpack(other)[0]
