"""The rows that were not fetched yet, and their last word: `raftsql_driver.unread`."""

from __future__ import annotations

from typing import Any

import pytest

from raftsql_driver import errors
from raftsql_driver.unread import Unread
from raftsql_proto import frames as f
from tests.driver.scripted import LOST, Script, page


def unread(said: list[Any]) -> Unread:
    return Unread(10, "a:1", 5, said.append)


def test_rows_that_are_dropped_are_let_go_of_at_their_node() -> None:
    script, said = Script(), list[Any]()
    rows = unread(said)
    assert said == []
    del rows
    script.play(said.pop())
    (sent,) = script.sent
    assert (sent.node, sent.serial, sent.frame) == ("a:1", 5, f.Release(10))


def test_rows_that_were_read_to_their_end_or_let_go_of_have_no_last_word() -> None:
    script, said = Script(), list[Any]()
    rows = unread(said)
    script.play(rows.next_page(5.0, script.clock.now), page([1]))
    del rows
    rows = unread(said)
    script.play(rows.let_go())
    script.play(rows.let_go())
    del rows
    assert said == []
    assert [send.frame for send in script.sent] == [f.Release(10)]


def test_what_was_asked_for_ahead_is_given_up_when_it_is_dropped() -> None:
    script, said = Script(), list[Any]()
    rows = unread(said)
    script.play(rows.ask_ahead(5.0, script.clock.now))
    assert rows.ahead is not None
    rows.ahead.ticket = NotYet()
    del rows
    script.play(said.pop())
    assert [type(send.frame) for send in script.sent] == [f.Fetch, f.Cancel]


class NotYet:
    """A ticket for an answer that is on its way."""

    def done(self) -> bool:
        return False


def test_what_names_the_rows_stays_after_an_error() -> None:
    script, said = Script(), list[Any]()
    rows = unread(said)
    with pytest.raises(errors.OperationalError):
        script.play(rows.next_page(5.0, script.clock.now), LOST)
    assert rows.number == 10
    script.play(rows.next_page(5.0, script.clock.now), page([1], cursor=11))
    assert rows.number == 11


def test_a_last_word_that_can_not_be_said_is_no_error() -> None:
    def ended(flow: Any) -> None:
        raise RuntimeError("the event loop is closed")

    rows = Unread(10, "a:1", 5, ended)
    del rows
