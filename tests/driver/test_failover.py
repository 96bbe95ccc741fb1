"""Nodes that fail, answers that are lost, leaders that move: what a program sees of it."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import pytest

from raftsql_driver import errors
from raftsql_driver.aio import AsyncConnection
from raftsql_driver.sync import Connection, connect
from raftsql_proto import frames as f
from raftsql_proto.frames import Why
from tests.driver.fake import FakeServer


@pytest.fixture
def counter(three: FakeServer) -> Iterator[Connection]:
    connection = connect(three.url, autocommit=True, timeout=10)
    connection.executescript("CREATE TABLE c(id INTEGER PRIMARY KEY, n); INSERT INTO c VALUES(1,0)")
    yield connection
    connection.close()


INCREMENT = "UPDATE c SET n = n + 1 WHERE id = 1"


def value(server: FakeServer) -> int:
    return int(server.query("SELECT n FROM c")[0][0])


@pytest.mark.parametrize("fault", ["break_before", "break_after"])
def test_a_write_is_applied_once_when_its_stream_breaks(
    three: FakeServer, counter: Connection, fault: str
) -> None:
    setattr(three.faults, fault, 2)
    assert counter.execute(INCREMENT).rowcount == 1
    assert value(three) == 1


def test_a_write_whose_answer_never_comes_is_an_unknown_outcome(
    three: FakeServer, counter: Connection
) -> None:
    three.faults.drop_answers = 1
    with pytest.raises(errors.OutcomeUnknown):
        counter.execute(INCREMENT, timeout=0.3)
    assert value(three) == 1
    counter.execute(INCREMENT)
    assert value(three) == 2


def test_a_write_that_nobody_takes_is_refused_without_doubt(
    three: FakeServer, counter: Connection
) -> None:
    three.faults.refuse = [f.Refused(0, Why.NOT_LEADER, "no leader yet")] * 1000
    with pytest.raises(errors.Unavailable, match="no leader yet"):
        counter.execute(INCREMENT, timeout=0.3)
    assert value(three) == 0


def test_a_write_follows_the_leader(three: FakeServer, counter: Connection) -> None:
    three.faults.follow = False
    three.leader = 3
    counter.execute(INCREMENT)
    assert value(three) == 1
    assert len(three.nodes[2].streams) == 1


def test_a_killed_node_is_replaced_by_another(three: FakeServer, counter: Connection) -> None:
    three.leader = 2
    three.kill(1)
    counter.execute(INCREMENT)
    three.revive(1)
    three.leader = 1
    three.kill(2)
    counter.execute(INCREMENT)
    assert value(three) == 2


def test_a_single_node_that_restarts_is_waited_for(server: FakeServer) -> None:
    connection = connect(server.url, autocommit=True, timeout=10)
    connection.execute("CREATE TABLE t(a)")
    server.kill(1)
    timer = threading.Timer(0.5, server.revive, [1])
    timer.start()
    connection.execute("INSERT INTO t VALUES(1)")
    timer.join()
    assert server.query("SELECT a FROM t") == [(1,)]
    connection.close()


def test_a_forgotten_session_is_replaced(three: FakeServer, counter: Connection) -> None:
    counter.execute(INCREMENT)
    three.forget_sessions()
    counter.execute(INCREMENT)
    assert value(three) == 2


def test_a_broken_stream_rolls_its_transaction_back(three: FakeServer, counter: Connection) -> None:
    counter.execute("BEGIN")
    counter.execute(INCREMENT)
    three.break_streams()
    with pytest.raises(errors.TransactionLost):
        counter.execute(INCREMENT)
    with pytest.raises(errors.SerializationFailure, match="roll back first"):
        counter.execute("SELECT 1")
    with pytest.raises(errors.SerializationFailure, match="roll back first"):
        counter.execute("COMMIT")
    counter.rollback()
    assert value(three) == 0
    with counter.transaction():
        counter.execute(INCREMENT)
    assert value(three) == 1


def test_a_commit_whose_answer_is_lost_happens_once(three: FakeServer, counter: Connection) -> None:
    counter.execute("BEGIN")
    counter.execute(INCREMENT)
    three.faults.break_after = 1
    counter.execute("COMMIT")
    assert value(three) == 1


def test_a_commit_that_did_not_arrive_is_a_lost_transaction(
    three: FakeServer, counter: Connection
) -> None:
    counter.execute("BEGIN")
    counter.execute(INCREMENT)
    three.faults.break_before = 1
    with pytest.raises(errors.SerializationFailure):
        counter.execute("COMMIT")
    counter.rollback()
    assert value(three) == 0


def test_a_read_survives_a_broken_stream(three: FakeServer, counter: Connection) -> None:
    three.break_streams()
    assert counter.execute("SELECT n FROM c").fetchone() == (0,)


def test_increments_under_random_faults_all_happen_once(
    three: FakeServer, counter: Connection
) -> None:
    """Single writes, batches and transactions, while answers are lost and streams break."""
    chance, wanted = random.Random(7), 0
    connection = connect(three.url, autocommit=True, timeout=20)
    for _ in range(150):
        fault = chance.choice(["break_before", "break_after", "", "", ""])
        if fault:
            setattr(three.faults, fault, 1)
        kind = chance.randrange(3)
        if kind == 0:
            connection.execute(INCREMENT)
            wanted += 1
        elif kind == 1:
            connection.executemany("UPDATE c SET n = n + ? WHERE id = 1", [(1,), (1,), (1,)])
            wanted += 3
        else:
            wanted += _in_transaction(connection)
    three.faults.break_before = three.faults.break_after = 0
    assert connection.execute("SELECT n FROM c").fetchone() == (wanted,)
    connection.close()


def _in_transaction(connection: Connection) -> int:
    while True:
        try:
            with connection.transaction():
                connection.execute(INCREMENT)
                connection.execute(INCREMENT)
            return 2
        except errors.SerializationFailure:
            continue


def test_threads_under_random_faults_lose_and_double_nothing(three: FakeServer) -> None:
    setup = connect(three.url, autocommit=True)
    setup.executescript("CREATE TABLE c(id INTEGER PRIMARY KEY, n); INSERT INTO c VALUES(1,0)")
    stop = threading.Event()

    def work() -> None:
        connection = connect(three.url, autocommit=True, timeout=30)
        for _ in range(40):
            connection.execute(INCREMENT)
        connection.close()

    def trouble() -> None:
        chance = random.Random(3)
        while not stop.wait(0.03):
            three.break_streams()
            three.leader = chance.randint(1, 3)

    threads = [threading.Thread(target=work) for _ in range(6)]
    breaker = threading.Thread(target=trouble)
    for thread in [*threads, breaker]:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    breaker.join()
    assert value(three) == 240
    setup.close()


async def test_tasks_survive_a_broken_stream_too(three: FakeServer) -> None:
    connection = await AsyncConnection.connect(three.url, autocommit=True, timeout=10)
    await connection.executescript(
        "CREATE TABLE c(id INTEGER PRIMARY KEY, n); INSERT INTO c VALUES(1,0)"
    )
    three.faults.break_after = 2
    await connection.execute(INCREMENT)
    assert value(three) == 1
    await connection.close()


def test_an_unreachable_cluster_names_every_node_and_why() -> None:
    with pytest.raises(errors.Unavailable) as caught:
        connect("raftsql://127.0.0.1:1,127.0.0.1:2/")
    assert "127.0.0.1:1" in str(caught.value)
    assert "127.0.0.1:2" in str(caught.value)
    assert "refused" in str(caught.value).lower()


def test_a_host_without_an_address_is_unavailable() -> None:
    with pytest.raises(errors.Unavailable, match="no-such-host"):
        connect("raftsql://no-such-host.invalid:4001/", connect_timeout=5)


def test_one_working_node_is_enough(server: FakeServer) -> None:
    address = server.nodes[0].address
    connection = connect(f"raftsql://127.0.0.1:1,{address}/", autocommit=True)
    assert connection.execute("SELECT 1").fetchone() == (1,)
    connection.close()


def test_a_wrong_password_is_told_and_kept_secret(server: FakeServer) -> None:
    server.faults.password = "right"
    address = server.nodes[0].address
    with pytest.raises(errors.AuthenticationFailed) as caught:
        connect(f"raftsql://tester:wrong@{address}/")
    assert "wrong user or password" in str(caught.value)
    connection = connect(f"raftsql://tester:right@{address}/")
    connection.close()


def test_a_server_of_a_newer_protocol_is_named(server: FakeServer) -> None:
    server.faults.protocol = 2
    with pytest.raises(errors.InterfaceError, match="upgrade the driver"):
        connect(server.url)


async def test_the_same_for_tasks(server: FakeServer) -> None:
    with pytest.raises(errors.Unavailable, match="refused"):
        await AsyncConnection.connect("raftsql://127.0.0.1:1/")
    server.faults.protocol = 0
    with pytest.raises(errors.InterfaceError, match="upgrade the server"):
        await AsyncConnection.connect(server.url)


def test_a_leader_that_has_stopped_without_a_word_is_left(
    three: FakeServer, counter: Connection
) -> None:
    three.faults.silent = {1}
    three.leader = 2
    counter.execute(INCREMENT, timeout=15)
    assert value(three) == 1
    assert counter.execute("SELECT n FROM c").fetchone() == (1,)


def test_a_slow_answer_is_waited_for_while_the_node_speaks(server: FakeServer) -> None:
    connection = connect(server.url, autocommit=True)
    server.faults.slow_s = 4.0
    assert connection.execute("SELECT 1").fetchone() == (1,)
    assert server.connections == 1
    connection.close()
