"""What a program may do wrong: the class that tells whose fault it is, and words that help."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import raftsql_driver.connection as connections
from raftsql.rpc.door import BODY_BYTES_MAX
from raftsql_driver import errors
from raftsql_driver.aio import AsyncConnection
from raftsql_driver.sync import Connection, connect
from tests.driver.fake import FakeServer

INSERT = "INSERT INTO t(a, b) VALUES(?, ?)"
NAMED = "INSERT INTO t(a, b) VALUES(:a, :b)"

PARAMETERS: list[tuple[str, Any, type[errors.Error], str]] = [
    (INSERT, (1, 2, 3), errors.ProgrammingError, "Incorrect number of bindings"),
    (INSERT, (1,), errors.ProgrammingError, "Incorrect number of bindings"),
    (INSERT, None, errors.ProgrammingError, "Incorrect number of bindings"),
    (NAMED, {"a": 1}, errors.ProgrammingError, "b"),
    (INSERT, "ab", errors.ProgrammingError, r"for a single value write \(value,\)"),
    (INSERT, 5, errors.ProgrammingError, r"for a single value write \(value,\)"),
    (INSERT, {1, 2}, errors.ProgrammingError, "a tuple, a list or a mapping"),
    (NAMED, {1: 1}, errors.ProgrammingError, "a parameter's name is a str"),
    (INSERT, (1, object()), errors.ProgrammingError, "parameter 2.*register an adapter"),
    (INSERT, (1, [1]), errors.ProgrammingError, "parameter 2: a list.*register an adapter"),
    (INSERT, (1, 1j), errors.ProgrammingError, "parameter 2: a complex.*register_adapter"),
    (INSERT, (1, 1 << 63), errors.DataError, "parameter 2.*pass it as text or as a float"),
    (INSERT, (1, -(1 << 63) - 1), errors.DataError, "parameter 2.*64-bit integer"),
    (INSERT, (1, 1 << 200), errors.DataError, "parameter 2.*64-bit integer"),
    (NAMED, {"a": 1, "b": 1 << 63}, errors.DataError, "parameter b.*pass it as text"),
    (INSERT, (1, "\ud800"), errors.DataError, "lone surrogate.*pass bytes, or decode"),
    ("SELECT '\udfff'", None, errors.DataError, "lone surrogate"),
]


@pytest.mark.parametrize(("sql", "given", "kind", "words"), PARAMETERS, ids=range(len(PARAMETERS)))
def test_a_wrong_parameter_is_told_by_its_place_and_what_to_do(
    table: Connection, sql: str, given: Any, kind: type[errors.Error], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        table.execute(sql, given)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("rows", "kind", "words"),
    [
        ([(1, 2), (1, 1 << 63)], errors.DataError, "row 1: parameter 2"),
        ([(1, 2), (1, 1 << 200)], errors.DataError, "row 1: parameter 2"),
        ([(k, 2) for k in range(9000)] + [(0, b"", 1j)], errors.ProgrammingError, "row 9000: "),
        ([(k, 2) for k in range(9000)] + [(0, 1 << 63)], errors.DataError, "row 9000: "),
        ([(1, 2), (1, object())], errors.ProgrammingError, "row 1: parameter 2"),
        ([(1, 2), "ab"], errors.ProgrammingError, "row 1: parameters are given"),
        ([(1, "\ud800")], errors.DataError, "lone surrogate"),
        (7, errors.ProgrammingError, "takes an iterable of rows"),
        ("rows", errors.ProgrammingError, "takes an iterable of rows"),
    ],
)
def test_a_wrong_row_of_many_is_told_by_its_number(
    server: FakeServer, table: Connection, rows: Any, kind: type[errors.Error], words: str
) -> None:
    with pytest.raises(kind, match=words):
        table.executemany(INSERT, rows)
    table.rollback()
    assert server.query("SELECT * FROM t") == []


@pytest.mark.parametrize("value", ["x", b"x"])
def test_a_request_too_large_for_any_node_is_not_sent(
    server: FakeServer, table: Connection, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BODY_BYTES_MAX", 1 << 20)
    seen = len(server.frames)
    with pytest.raises(errors.DataError, match="at most 1048576 at once: split the value"):
        table.execute(INSERT, (1, value * (1 << 20)))
    with pytest.raises(errors.DataError, match="at most 1048576 at once"):
        table.executemany(INSERT, [(1, value * (1 << 20))])
    with pytest.raises(errors.DataError, match="at most 1048576 at once"):
        table.executescript(f"SELECT '{'x' * (1 << 20)}'")
    assert len(server.frames) == seen
    table.execute(INSERT, (1, value))


def test_the_bound_is_the_one_that_nodes_have() -> None:
    assert connections.BODY_BYTES_MAX == BODY_BYTES_MAX


CLOSED: list[Callable[[Any], Any]] = [
    lambda c: c.execute("SELECT 1"),
    lambda c: c.executemany(INSERT, []),
    lambda c: c.executescript("SELECT 1"),
    lambda c: c.cursor(),
    lambda c: c.commit(),
    lambda c: c.rollback(),
    lambda c: c.examine("SELECT 1"),
    lambda c: c.transaction().__enter__(),
    lambda c: c.__enter__(),
]


@pytest.mark.parametrize("use", CLOSED, ids=range(len(CLOSED)))
def test_a_closed_connection_says_to_connect_again(server: FakeServer, use: Any) -> None:
    connection = connect(server.url)
    connection.close()
    with pytest.raises(errors.ProgrammingError, match="closed database; connect again"):
        use(connection)


@pytest.mark.parametrize("name", ["execute", "fetchone", "fetchmany", "fetchall", "executescript"])
def test_a_closed_cursor_says_to_ask_for_another(table: Connection, name: str) -> None:
    cursor = table.execute("SELECT 1")
    cursor.close()
    arguments = ("SELECT 1",) if name.startswith("execute") else ()
    with pytest.raises(errors.ProgrammingError, match="closed cursor; ask the connection for one"):
        getattr(cursor, name)(*arguments)


def test_a_second_thread_in_a_transaction_is_told_three_ways_out(table: Connection) -> None:
    table.execute(INSERT, (1, "x"))
    caught: list[BaseException] = []

    def intrude() -> None:
        try:
            table.execute(INSERT, (2, "y"))
        except errors.Error as error:
            caught.append(error)

    thread = threading.Thread(target=intrude)
    thread.start()
    thread.join()
    (error,) = caught
    assert type(error) is errors.ProgrammingError
    for way in ("a connection of its own", "autocommit=True", "check_same_thread=False"):
        assert way in str(error)
    table.commit()


URLS: list[tuple[str, type[errors.Error], str]] = [
    ("raftsq://127.0.0.1:1/", errors.ProgrammingError, "raftsql://"),
    ("http://127.0.0.1:1/", errors.ProgrammingError, "raftsql://"),
    ("raftsql://127.0.0.1:1/?timeot=5", errors.ProgrammingError, "did you mean timeout"),
    ("raftsql://127.0.0.1:1/?timeout=soon", errors.ProgrammingError, "timeout"),
    ("raftsql://127.0.0.1:1/?consistency=strong", errors.ProgrammingError, "linearizable"),
    ("raftsql://127.0.0.1:port/", errors.ProgrammingError, "port"),
    ("raftsql://127.0.0.1:99999/", errors.ProgrammingError, "99999"),
    ("raftsql://127.0.0.1:1/?autocommit=perhaps", errors.ProgrammingError, "autocommit"),
    ("raftsql://127.0.0.1:1/?sslmode=prefer", errors.ProgrammingError, "sslmode"),
    ("raftsql://127.0.0.1:1/", errors.Unavailable, "127.0.0.1:1.*refused"),
    ("raftsql://no-such-host.invalid:1/?connect_timeout=5", errors.Unavailable, "no-such-host"),
]


@pytest.mark.parametrize(("url", "kind", "words"), URLS, ids=[url for url, _, _ in URLS])
def test_a_wrong_url_is_told_in_both_colours(
    url: str, kind: type[errors.Error], words: str
) -> None:
    with pytest.raises(kind, match=f"(?s){words}"):
        connect(url)


@pytest.mark.parametrize(("url", "kind", "words"), URLS, ids=[url for url, _, _ in URLS])
async def test_the_same_for_asyncio(url: str, kind: type[errors.Error], words: str) -> None:
    with pytest.raises(kind, match=f"(?s){words}"):
        await AsyncConnection.connect(url)


def test_a_wrong_password_is_told_and_shown_nowhere(server: FakeServer) -> None:
    server.faults.password = "right"
    with pytest.raises(errors.AuthenticationFailed, match="wrong user or password") as caught:
        connect(server.url, user="ada", password="hunter2")
    assert "hunter2" not in str(caught.value) + repr(caught.value.__cause__)


@pytest.mark.parametrize(("protocol", "what"), [(9, "driver"), (0, "server")])
def test_a_server_of_another_protocol_says_what_to_upgrade(
    server: FakeServer, protocol: int, what: str
) -> None:
    server.faults.protocol = protocol
    with pytest.raises(errors.InterfaceError, match=f"protocol {protocol}.*upgrade the {what}"):
        connect(server.url)


def test_a_wrong_level_lists_the_right_ones(table: Connection) -> None:
    with pytest.raises(errors.ProgrammingError, match=r"linearizable, lease, session.*stale"):
        table.execute("SELECT 1", consistency="strong")
