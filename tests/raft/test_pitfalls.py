"""docs/pitfalls.md names tests that exist, for every one of the pitfalls."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
ROOMS = {"raft", "storage", "database", "cluster", "none"}


def rows() -> list[tuple[int, str, str]]:
    """Number, rooms and tests of each row."""
    table = (HERE.parents[1] / "docs" / "pitfalls.md").read_text()
    found = re.findall(r"^\| (\d+) \| .* \| ([a-z, ]+) \| (.*) \|$", table, re.MULTILINE)
    return [(int(number), rooms, tests) for number, rooms, tests in found]


def exists(name: str) -> bool:
    if name.startswith("scripts/"):
        return (HERE / f"{name}.txt").is_file()
    file, _, test = name.partition("::")
    source = (HERE.parents[1] / file if "/" in file else HERE / file).read_text()
    return re.search(rf"^(def {test}\(|{test} = )", source, re.MULTILINE) is not None


def test_every_pitfall_has_its_row() -> None:
    assert [number for number, _, _ in rows()] == list(range(1, 56))


def test_every_pitfall_belongs_to_a_room() -> None:
    assert {room for _, rooms, _ in rows() for room in rooms.split(", ")} <= ROOMS


def test_every_test_that_is_named_exists() -> None:
    named = [name for _, _, tests in rows() for name in re.findall(r"`([^`]+)`", tests)]
    assert len(named) > 90
    assert [name for name in named if not exists(name)] == []


def test_no_pitfall_is_without_a_test_or_a_reason() -> None:
    bare = [number for number, _, tests in rows() if tests.strip(" -") == ""]
    assert bare == []
