"""What one connection of a pool has seen, the others see too."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

pytest.importorskip("sqlalchemy")

from raftsql_driver.sqlalchemy.bookmark import Bookmark


class Seen:
    """A connection's bookmark, which never goes back."""

    def __init__(self, index: int) -> None:
        self.index = index

    @property
    def bookmark(self) -> str:
        return f"seen {self.index}"

    @bookmark.setter
    def bookmark(self, bookmark: str) -> None:
        self.index = max(self.index, int(bookmark.removeprefix("seen ")))


@dataclass
class Record:
    driver_connection: Seen


def test_a_connection_gets_what_others_brought_back() -> None:
    bookmark = Bookmark()
    first, second = Record(Seen(5)), Record(Seen(3))
    bookmark.given(object(), second, None)
    assert second.driver_connection.index == 3
    bookmark.taken(object(), first)
    bookmark.given(object(), second, None)
    assert second.driver_connection.index == 5


def test_whoever_comes_back_last_does_not_set_it_back() -> None:
    bookmark = Bookmark()
    for index in (5, 9, 7):
        bookmark.taken(object(), Record(Seen(index)))
    fresh = Record(Seen(0))
    bookmark.given(object(), fresh, None)
    assert fresh.driver_connection.index == 9


def test_a_connection_that_was_lost_brings_nothing() -> None:
    bookmark = Bookmark()
    bookmark.taken(None, Record(Seen(9)))
    fresh = Record(Seen(0))
    bookmark.given(object(), fresh, None)
    assert fresh.driver_connection.index == 0
