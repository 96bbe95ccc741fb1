from __future__ import annotations

import contextvars

import apsw
import pytest

from raftsql.database import text

BAD = b"\xffA\xc3\xa9\xed\xa0\x80\x00\xc3"


@pytest.fixture
def connection() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t (a TEXT)")
    connection.execute("INSERT INTO t VALUES (CAST(? AS TEXT))", (BAD,))
    return connection


def test_undecodable_text_comes_back_as_replacement_characters(
    connection: apsw.Connection,
) -> None:
    with text.replacing():
        ((value,),) = connection.execute("SELECT a FROM t").fetchall()
    assert value == BAD.decode("utf-8", "replace")


def test_returning_gives_undecodable_text_and_the_row_is_there_once(
    connection: apsw.Connection,
) -> None:
    with text.replacing():
        rows = connection.execute(
            "INSERT INTO t VALUES ('good'), (CAST(x'fe' AS TEXT)), ('too') RETURNING a"
        ).fetchall()
    assert rows == [("good",), ("\ufffd",), ("too",)]
    assert connection.execute("SELECT count(*) FROM t").fetchall() == [(4,)]


def test_a_function_can_be_given_undecodable_text(connection: apsw.Connection) -> None:
    connection.create_scalar_function("size", len, 1)
    with text.replacing():
        assert connection.execute("SELECT size(CAST(x'ff41' AS TEXT))").fetchall() == [(2,)]


def test_exact_text_gives_the_stored_bytes_back(connection: apsw.Connection) -> None:
    with text.exact():
        ((value,),) = connection.execute("SELECT a FROM t").fetchall()
    assert text.text_bytes(value) == BAD
    assert text.is_damaged(value)
    assert not text.is_damaged("plain")
    assert not text.is_damaged("é\U0001f600")


def test_what_is_stored_is_not_changed_by_reading_it(connection: apsw.Connection) -> None:
    with text.replacing():
        connection.execute("SELECT a FROM t").fetchall()
    assert connection.execute("SELECT CAST(a AS BLOB) FROM t").fetchall() == [(BAD,)]


def test_outside_the_rule_a_bad_byte_raises_as_it_always_did(connection: apsw.Connection) -> None:
    with text.replacing():
        pass
    with pytest.raises(UnicodeDecodeError):
        connection.execute("SELECT a FROM t").fetchall()
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode()
    with text.replacing(), pytest.raises(UnicodeEncodeError):
        "\udcff".encode()


def test_the_rule_holds_in_its_own_context_alone() -> None:
    with text.replacing():
        outside = contextvars.Context()
        with pytest.raises(UnicodeDecodeError):
            outside.run(b"\xff".decode)
        assert b"\xff".decode() == "\ufffd"


def test_the_older_rule_holds_again_after_an_inner_one() -> None:
    token = text.begin_replacing()
    with text.exact():
        assert b"\xff".decode() == "\udcff"
    assert b"\xff".decode() == "\ufffd"
    text.end(token)
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode()
