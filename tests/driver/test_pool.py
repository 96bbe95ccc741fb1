"""Pools for threads: `raftsql_driver.pool`."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import pytest

from raftsql_driver import errors
from raftsql_driver.pool import ConnectionPool
from raftsql_driver.sync import Connection
from tests.driver.fake import FakeServer


def test_a_block_commits_and_gives_back(server: FakeServer) -> None:
    with ConnectionPool(server.url, min_size=1) as pool:
        with pool.connection() as connection:
            connection.execute("CREATE TABLE t(a)")
        with suppress(ZeroDivisionError), pool.connection() as connection:
            connection.execute("INSERT INTO t VALUES(1)")
            raise ZeroDivisionError
        with pool.connection() as again:
            assert again is connection
            assert again.execute("SELECT * FROM t").fetchall() == []
        assert pool.get_stats()["connections_num"] == 1


def test_connections_are_made_up_to_the_bound_and_then_waited_for(server: FakeServer) -> None:
    with ConnectionPool(server.url, min_size=0, max_size=2) as pool:
        one, two = pool.getconn(), pool.getconn()
        with pytest.raises(errors.PoolTimeout, match="all 2 are in use"):
            pool.getconn(timeout=0.05)
        got: list[Connection] = []
        thread = threading.Thread(target=lambda: got.append(pool.getconn(timeout=10)))
        thread.start()
        pool.putconn(one)
        thread.join()
        assert got == [one]
        pool.putconn(one)
        pool.putconn(two)
        stats = pool.pop_stats()
        assert (stats["pool_size"], stats["pool_available"], stats["requests_errors"]) == (2, 2, 1)
        assert pool.get_stats()["requests_num"] == 0


def test_many_threads_get_along_with_few_connections(server: FakeServer) -> None:
    with ConnectionPool(server.url, min_size=1, max_size=3) as pool:
        with pool.connection() as connection:
            connection.execute("CREATE TABLE t(a)")

        def work() -> None:
            for _ in range(5):
                with pool.connection() as connection:
                    connection.execute("INSERT INTO t VALUES(1)")

        threads = [threading.Thread(target=work) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.query("SELECT count(*) FROM t") == [(60,)]
        assert pool.get_stats()["pool_size"] <= 3


def test_too_many_waiters_are_turned_away(server: FakeServer) -> None:
    with ConnectionPool(server.url, min_size=0, max_size=1, max_waiting=1) as pool:
        one = pool.getconn()
        thread = threading.Thread(target=lambda: pool.putconn(pool.getconn()))
        thread.start()
        while not pool.get_stats()["requests_waiting"]:
            pass
        with pytest.raises(errors.TooManyRequests):
            pool.getconn()
        pool.putconn(one)
        thread.join()


def test_a_closed_pool_gives_out_nothing(server: FakeServer) -> None:
    pool = ConnectionPool(server.url, open=False)
    assert pool.closed
    with pytest.raises(errors.PoolClosed):
        pool.getconn()
    pool.open()
    connection = pool.getconn()
    pool.close()
    with pytest.raises(errors.PoolClosed):
        pool.getconn()
    pool.putconn(connection)
    assert connection.closed


def test_a_wrong_address_shows_when_opening_with_wait() -> None:
    pool = ConnectionPool("raftsql://127.0.0.1:1/", min_size=1, open=False)
    with pytest.raises(errors.Unavailable):
        pool.open(wait=True)
    assert pool.get_stats()["pool_size"] == 0
    pool.close()


def test_connections_are_configured_checked_and_reset(server: FakeServer) -> None:
    calls: list[str] = []

    def check(connection: Connection) -> None:
        calls.append("check")
        if calls.count("check") == 2:
            raise errors.OperationalError("broken")

    pool = ConnectionPool(
        server.url,
        min_size=1,
        configure=lambda connection: calls.append("configure"),
        check=check,
        reset=lambda connection: calls.append("reset"),
    )
    for _ in range(3):
        with pool.connection():
            pass
    wanted = ["configure", "reset", "check", "reset", "check", "configure", "reset"]
    assert calls == wanted
    pool.close()


def test_old_idle_and_surplus_connections_are_let_go(server: FakeServer) -> None:
    pool = ConnectionPool(server.url, min_size=1, max_size=3, max_idle=0.0)
    connections = [pool.getconn() for _ in range(3)]
    for connection in connections:
        pool.putconn(connection)
    assert pool.get_stats()["pool_size"] < 3
    pool.drain()
    assert pool.get_stats()["pool_size"] == 0
    kept = pool.getconn()
    pool.drain()
    pool.putconn(kept)
    assert kept.closed
    pool.resize(2, 2)
    pool.wait()
    assert pool.get_stats()["pool_size"] == 2
    pool.check()
    assert pool.get_stats()["pool_available"] == 2
    pool.close()


@pytest.mark.parametrize(("least", "most"), [(-1, 4), (5, 4), (0, 0)])
def test_sizes_that_can_not_be_are_refused(least: int, most: int) -> None:
    with pytest.raises(errors.ProgrammingError, match="can't be"):
        ConnectionPool("raftsql://127.0.0.1:1/", min_size=least, max_size=most)


def test_a_look_at_the_pool_that_is_interrupted_loses_no_connection(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(connection: Connection, *_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with ConnectionPool(server.url, min_size=3, max_size=3) as pool:
        pool.wait()
        with monkeypatch.context() as patch:
            patch.setattr(Connection, "execute", interrupted)
            with pytest.raises(KeyboardInterrupt):
                pool.check()
        assert pool.get_stats()["pool_available"] == 3
        borrowed = [pool.getconn(timeout=1) for _ in range(3)]
        for connection in borrowed:
            pool.putconn(connection)


def test_a_connection_that_can_not_be_given_back_keeps_no_other_from_it(
    server: FakeServer,
) -> None:
    def breaks(connection: Connection) -> None:
        raise ZeroDivisionError

    pool = ConnectionPool(server.url, min_size=3, max_size=3, reset=breaks)
    with pytest.raises(ZeroDivisionError):
        pool.wait()
    assert pool.get_stats()["pool_size"] == 0, "none is in nobody's hands"
    pool.close()


def test_a_strangers_connection_is_not_taken(server: FakeServer) -> None:
    pool = ConnectionPool(server.url, min_size=1)
    stranger = Connection(server.url)
    with pytest.raises(errors.ProgrammingError, match="not of this pool"):
        pool.putconn(stranger)
    stranger.close()
    pool.close()


def test_a_connection_that_comes_back_is_for_who_has_waited_longest(server: FakeServer) -> None:
    """Who takes, gives back and takes again would else never let anybody else have it."""
    with ConnectionPool(server.url, min_size=0, max_size=1) as pool:
        mine = pool.getconn()
        got: list[Connection] = []
        thread = threading.Thread(target=lambda: got.append(pool.getconn(timeout=20)))
        thread.start()
        while not pool.get_stats()["requests_waiting"]:
            pass
        pool.putconn(mine)
        with pytest.raises(errors.PoolTimeout):
            pool.getconn(timeout=0.01)
        thread.join()
        assert got == [mine]
        pool.putconn(mine)
        assert pool.get_stats()["requests_num"] == 3


@pytest.mark.parametrize("callback", ["check", "reset"])
def test_a_callback_that_breaks_takes_no_place_of_the_pool_along(
    server: FakeServer, callback: str
) -> None:
    calls: list[Connection] = []

    def breaks(connection: Connection) -> None:
        calls.append(connection)
        if len(calls) == 1:
            raise ZeroDivisionError

    options = {callback: breaks}
    pool = ConnectionPool(server.url, min_size=1, max_size=1, **options)  # type: ignore[arg-type]

    def borrow() -> None:
        for _ in range(2):
            pool.putconn(pool.getconn(timeout=1))

    with pytest.raises(ZeroDivisionError):
        borrow()
    assert pool.get_stats()["pool_size"] == 0
    with pool.connection(timeout=1) as connection:
        assert connection is not calls[0]
    pool.close()


def test_a_connection_is_given_back_once(server: FakeServer) -> None:
    with ConnectionPool(server.url, min_size=1) as pool:
        connection = pool.getconn()
        pool.putconn(connection)
        with pytest.raises(errors.ProgrammingError, match="given back already"):
            pool.putconn(connection)


def test_a_larger_pool_serves_who_waits(server: FakeServer) -> None:
    with ConnectionPool(server.url, min_size=0, max_size=1) as pool:
        one = pool.getconn()
        got: list[Connection] = []
        thread = threading.Thread(target=lambda: got.append(pool.getconn(timeout=20)))
        thread.start()
        while not pool.get_stats()["requests_waiting"]:
            pass
        pool.resize(0, 2)
        thread.join()
        assert got[0] is not one
        pool.putconn(one)
        pool.putconn(got[0])


def test_a_closed_pool_tells_who_waits(server: FakeServer) -> None:
    pool = ConnectionPool(server.url, min_size=0, max_size=1)
    one = pool.getconn()
    told: list[BaseException] = []

    def wait() -> None:
        try:
            pool.getconn(timeout=20)
        except errors.PoolClosed as error:
            told.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while not pool.get_stats()["requests_waiting"]:
        pass
    pool.close()
    thread.join()
    assert len(told) == 1
    pool.putconn(one)


def test_a_pool_says_how_full_it_is(server: FakeServer) -> None:
    pool = ConnectionPool(server.url, min_size=1, max_size=3, name="web")
    with pool.connection():
        assert repr(pool) == "<raftsql.ConnectionPool 'web' open, 1 of 3 in use>"
    pool.close()
    assert repr(pool) == "<raftsql.ConnectionPool 'web' closed, 0 of 3 in use>"
