"""A cursor's memory, without a network: pages by a script."""

from __future__ import annotations

from typing import Any

import pytest

from raftsql_driver import errors
from raftsql_driver.cursor import BaseCursor
from raftsql_driver.flows import Answered
from raftsql_driver.rows import Row
from raftsql_driver.statements import look_at
from raftsql_proto import frames as f
from raftsql_proto.frames import Why
from tests.driver.scripted import LATE, LOST, Script, done, page, refused


def _nothing(flow: Any) -> None:
    """What a cursor that a test drops has to say."""


def reading(script: Script, *rows: Any, cursor: int) -> BaseCursor:
    base = BaseCursor(None, 0, _nothing)
    base._take(look_at("SELECT x"), Answered(None, page(*rows, cursor=cursor), 1, "a:1", 5))
    return base


def test_from_the_second_page_on_the_next_one_is_asked_for_ahead() -> None:
    script = Script()
    cursor = reading(script, [1], cursor=10)
    assert script.sent == []
    script.play(cursor._next_page(5.0, script.clock.now), page([2], cursor=11))
    assert [send.frame.cursor for send in script.sent] == [11]
    script.play(cursor._next_page(5.0, script.clock.now), page([3], cursor=12))
    assert [send.frame.cursor for send in script.sent] == [11, 12]
    script.play(cursor._next_page(5.0, script.clock.now), page([4]))
    assert (list(cursor._page), cursor._rest) == ([(4,)], 0)
    assert cursor.rownumber == 4
    assert len(script.asked) == 1, "later pages were asked for ahead"


@pytest.mark.parametrize("trouble", [KeyboardInterrupt(), LATE, LOST, refused(Why.CURSOR_GONE)])
def test_a_result_that_broke_off_does_not_look_like_one_that_has_ended(trouble: Any) -> None:
    script = Script()
    cursor = reading(script, [1], cursor=10)
    script.play(cursor._next_page(5.0, script.clock.now), page([2], cursor=11))
    for _ in range(2):
        with pytest.raises((KeyboardInterrupt, errors.OperationalError)):
            script.play(cursor._next_page(5.0, script.clock.now), trouble)
        assert cursor._rest == 11
    assert script.frames[-1].cursor == 11, "what was asked for ahead is asked for again"


def test_no_more_than_the_page_being_read_is_held() -> None:
    script = Script()
    cursor = reading(script, [1], [2], cursor=10)
    script.play(cursor._next_page(5.0, script.clock.now), page([3]))
    assert list(cursor._page) == [(3,)]


def test_letting_go_releases_the_rest_at_the_node() -> None:
    script = Script()
    cursor = reading(script, [1], cursor=10)
    script.play(cursor._let_go())
    assert script.sent[0].frame == f.Release(10)
    assert cursor._taken(1) == []
    assert cursor._rest == 0
    script.play(cursor._let_go())
    assert len(script.sent) == 1


def test_letting_go_of_what_was_asked_for_ahead_takes_its_answer_into_account() -> None:
    for answered, expected in ((None, f.Cancel), (page([3], cursor=12), f.Release)):
        script = Script()
        cursor = reading(script, [1], cursor=10)
        script.play(cursor._next_page(5.0, script.clock.now), page([2], cursor=11))
        assert cursor._unread is not None
        assert cursor._unread.ahead is not None
        cursor._unread.ahead.ticket = Ticket(answered)
        script.play(cursor._let_go(), *([] if answered is None else [answered]))
        last = script.sent[-1].frame
        assert type(last) is expected
        assert answered is None or last == f.Release(12)


class Ticket:
    """Of an answer that is there, or not yet."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def done(self) -> bool:
        return self.answer is not None


def test_a_row_factory_sees_the_description() -> None:
    base = BaseCursor(Row, 0, _nothing)
    base._take(look_at("SELECT x"), Answered(None, page([1]), 1, "a:1", 5))
    assert [row["x"] for row in base._page] == [1]


def test_counts_are_for_changes_and_rowids_for_inserts() -> None:
    base = BaseCursor(None, 0, _nothing)
    for sql, rowcount, lastrowid in [
        ("CREATE TABLE t(a)", -1, None),
        ("UPDATE t SET a=1", 1, None),
        ("INSERT INTO t VALUES(1)", 1, 3),
        ("DELETE FROM t", 1, 3),
    ]:
        base._forget()
        answer = f.decode_answer(done().answer)
        assert isinstance(answer, f.Done)
        base._take(look_at(sql), Answered(answer, None, 1, "a:1", 5))
        assert (base.rowcount, base.lastrowid) == (rowcount, lastrowid)
