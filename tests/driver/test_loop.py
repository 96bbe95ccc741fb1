"""The background thread: what it does for sleeping threads, and what a fork leaves of it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from typing import Any

import pytest

from raftsql_driver.flows import Pause
from raftsql_driver.loop import LockTicket, background
from raftsql_driver.sync import connect
from raftsql_proto.frames import Leader
from tests.driver.fake import FakeServer


def script(server: FakeServer, text: str, *, code: int = 0) -> str:
    """Run a program of its own against the server."""
    program = "import os, sys, raftsql\nurl = sys.argv[1]\n" + textwrap.dedent(text)
    command = [sys.executable, "-X", "faulthandler", "-c", program, server.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_there_is_one_background_a_process() -> None:
    assert background() is background()


def test_a_ticket_wakes_its_thread_and_remembers() -> None:
    ticket = LockTicket()
    assert not ticket.done()
    assert not ticket.wait(0.0)
    ticket.set_result("answer")
    assert ticket.wait(0.0)
    assert ticket.wait(0.0)
    assert ticket.outcome == "answer"


def test_the_pause_of_a_thread_ends_when_a_leader_is_heard_of(server: FakeServer) -> None:
    worker = background()
    with connect(server.url) as connection:
        cluster = connection._cluster
        pausing = threading.Thread(target=worker.pause, args=(cluster, Pause(600)))
        pausing.start()
        while not cluster.pausing:
            assert pausing.is_alive()
        server.announce(Leader("elsewhere:1", {7: "elsewhere:1"}))
        pausing.join(10)
        assert not pausing.is_alive()
        assert not cluster.pausing


def test_the_pause_of_a_thread_leaves_nothing_behind(server: FakeServer) -> None:
    with connect(server.url) as connection:
        background().pause(connection._cluster, Pause(0.001))
        assert not connection._cluster.pausing


def test_connections_of_all_threads_share_the_stream(server: FakeServer) -> None:
    connections = [connect(server.url) for _ in range(5)]
    assert server.connections == 1
    for connection in connections:
        connection.close()


def test_a_forked_child_makes_streams_of_its_own(server: FakeServer) -> None:
    out = script(
        server,
        """
        parent = raftsql.connect(url, autocommit=True)
        parent.execute("CREATE TABLE t(a)")
        children = []
        for number in range(5):
            child = os.fork()
            if child == 0:
                parent.execute("INSERT INTO t VALUES(?)", (number,))
                fresh = raftsql.connect(url, autocommit=True)
                fresh.execute("INSERT INTO t VALUES(?)", (number,))
                os._exit(0)
            children.append(child)
            parent.execute("INSERT INTO t VALUES(?)", (number,))
        assert all(os.waitpid(child, 0)[1] == 0 for child in children)
        print(parent.execute("SELECT count(*) FROM t").fetchone())
        """,
    )
    assert out == "(15,)\n"


def test_a_fork_inside_a_transaction_leaves_it_lost_in_both(server: FakeServer) -> None:
    out = script(
        server,
        """
        connection = raftsql.connect(url)
        connection.execute("CREATE TABLE t(a)")
        child = os.fork()
        try:
            connection.commit()
        except raftsql.SerializationFailure as error:
            print(type(error).__name__, flush=True)
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        """,
    )
    assert out == "TransactionLost\nTransactionLost\n"


@pytest.mark.parametrize("end", ["connection.close()", "pass", "sys.exit(3)"])
def test_a_program_ends_quietly_whether_it_closes_or_not(server: FakeServer, end: str) -> None:
    text = "connection = raftsql.connect(url)\nconnection.execute('SELECT 1')\n" + end
    script(server, text, code=3 if "exit" in end else 0)


def test_importing_loads_neither_grpc_nor_a_server(server: FakeServer) -> None:
    out = script(
        server,
        """
        assert raftsql.OperationalError and raftsql.paramstyle
        rooms = ("raft", "sql", "storage", "database", "cluster", "rpc", "server")
        heavy = {"grpc", "msgspec", "asyncio", *(f"raftsql.{room}" for room in rooms)}
        print(sorted(heavy & set(sys.modules)))
        raftsql.connect(url).close()
        print(sorted(heavy & set(sys.modules)))
        """,
    )
    assert out == "[]\n['asyncio', 'grpc', 'msgspec']\n"


def test_a_child_of_multiprocessing_works(server: FakeServer, tmp_path: Any) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            import multiprocessing, sys, raftsql

            def work(number):
                with raftsql.connect(sys.argv[1]) as connection:
                    connection.execute("INSERT INTO t VALUES(?)", (number,))
                return number

            if __name__ == "__main__":
                connection = raftsql.connect(sys.argv[1], autocommit=True)
                connection.execute("CREATE TABLE t(a)")
                with multiprocessing.get_context("fork").Pool(3) as pool:
                    pool.map(work, range(12))
                print(connection.execute("SELECT count(*) FROM t").fetchone())
            """
        )
    )
    done = subprocess.run(
        [sys.executable, program, server.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("(12,)\n", "")
