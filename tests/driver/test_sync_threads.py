"""Blocking connections among threads, under Ctrl-C, and when nobody holds them any more."""

from __future__ import annotations

import random
import signal
import threading
import time
from typing import Any

import pytest

from raftsql_driver import errors, transaction
from raftsql_driver.flows import Flow, Pause
from raftsql_driver.sync import Connection, connect, run
from tests.driver.fake import FakeServer


def test_two_threads_do_not_meet_in_a_transaction(table: Connection) -> None:
    table.execute("INSERT INTO t(b) VALUES('x')")
    seen: list[BaseException] = []

    def other() -> None:
        try:
            table.execute("SELECT 1")
        except errors.ProgrammingError as error:
            seen.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert "transaction of another thread" in str(seen[0])


def test_threads_may_take_turns_when_they_say_so(server: FakeServer) -> None:
    connection = connect(server.url, check_same_thread=False)
    connection.execute("CREATE TABLE t(a)")

    def work() -> None:
        for _ in range(10):
            connection.execute("INSERT INTO t VALUES(1)")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    connection.commit()
    assert server.query("SELECT count(*) FROM t") == [(40,)]
    connection.close()


def test_threads_share_a_connection_and_a_stream_under_autocommit(server: FakeServer) -> None:
    connection = connect(server.url, autocommit=True)
    connection.execute("CREATE TABLE t(a)")

    def work() -> None:
        for _ in range(25):
            connection.execute("INSERT INTO t VALUES(1)")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.query("SELECT count(*) FROM t") == [(200,)]
    assert server.connections == 1
    connection.close()


def test_a_caller_who_gives_up_cancels(server: FakeServer) -> None:
    connection = connect(server.url, autocommit=True)
    server.faults.slow_s = 5.0
    with pytest.raises(errors.TimedOut):
        connection.execute("SELECT 1", timeout=0.2)
    server.faults.slow_s = 0.0
    connection.execute("SELECT 1")
    assert server.seen["Cancel"] == 1
    connection.close()


def test_an_interrupt_cancels_and_the_connection_goes_on(server: FakeServer) -> None:
    connection = connect(server.url, autocommit=True)
    server.faults.slow_s = 5.0
    signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(KeyboardInterrupt):
        connection.execute("SELECT 1")
    server.faults.slow_s = 0.0
    assert connection.execute("SELECT 2").fetchone() == (2,)
    assert server.seen["Cancel"] == 1
    connection.close()


def test_an_interrupt_at_any_moment_leaves_the_connection_usable(server: FakeServer) -> None:
    """Threads, locks and wake-ups: an exception may come between any two of them."""
    connection = connect(server.url, autocommit=True, timeout=10)
    connection.execute("CREATE TABLE t(a)")
    signal.signal(signal.SIGALRM, _interrupt)
    chance, interrupted = random.Random(5), 0
    for _ in range(150):
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00001, 0.004))
                with connection.transaction():
                    connection.execute("INSERT INTO t VALUES(1)")
                    connection.execute("SELECT count(*) FROM t")
                connection.execute("INSERT INTO t VALUES(2)")
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            interrupted += 1
        connection.rollback()
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert interrupted > 20
    assert server.database.writer is None
    connection.close()


class _InterruptedBetween:
    """A flow whose runner is interrupted when it has been handed the first step."""

    def __init__(self, flow: Any) -> None:
        self._flow = flow
        self.throw = flow.throw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flow, name)

    def send(self, given: Any) -> Any:
        self._flow.send(given)
        raise KeyboardInterrupt


def test_a_flow_is_told_of_an_interrupt_between_two_of_its_steps(connection: Connection) -> None:
    said: list[str] = []

    def flow() -> Flow[None]:
        try:
            yield Pause(0)
        except KeyboardInterrupt:
            said.append("told")
            yield Pause(0)
            said.append("the last word was carried out")
            raise

    interrupted: Any = _InterruptedBetween(flow())
    with pytest.raises(KeyboardInterrupt):
        run(connection._worker, connection._cluster, interrupted)
    assert said == ["told", "the last word was carried out"]


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_forgotten_connection_rolls_back(server: FakeServer) -> None:
    connection = connect(server.url)
    connection.execute("CREATE TABLE t(a)")
    del connection
    other = connect(server.url)
    with pytest.raises(errors.OperationalError, match="no such table"):
        other.execute("SELECT * FROM t")
    other.close()


def test_a_connection_closed_by_another_thread_leaves_no_transaction(server: FakeServer) -> None:
    connection = connect(server.url)
    thread = threading.Thread(target=connection.execute, args=("CREATE TABLE t(a)",))
    thread.start()
    thread.join()
    connection.close()
    other = connect(server.url, autocommit=True)
    assert other.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    other.close()


def test_a_connection_may_be_collected_in_the_thread_that_carries_all_streams(
    server: FakeServer,
) -> None:
    """The collector runs in any thread: to wait for an answer there would be to wait for ever."""
    connection = connect(server.url)
    connection.execute("CREATE TABLE t(a)")
    held = [connection]
    del connection
    loop = held[0]._cluster.loop
    began = time.monotonic()
    dropped = threading.Event()
    loop.call_soon_threadsafe(lambda: (held.clear(), dropped.set()))
    assert dropped.wait(20)
    assert time.monotonic() - began < transaction.ROLLBACK_S
    other = connect(server.url, autocommit=True)
    assert other.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    other.close()


def test_a_connection_that_could_not_be_made_is_collected_in_silence(server: FakeServer) -> None:
    half = Connection.__new__(Connection)
    with pytest.raises(TypeError):
        half.__init__(server.url, url=server.url)  # type: ignore[misc]
    half.__del__()
