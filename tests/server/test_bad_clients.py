"""Clients that do what no client should: they get a clear word or a closed stream, and every other
client goes on as if they were not there."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest

import raftsql as client
from raftsql_proto import client_pb2, frames
from raftsql_proto.client_pb2_grpc import ClientStub
from tests.server.processes import Cluster, Node

pytestmark = pytest.mark.e2e

LARGE = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One node for all of these tests: none of them may harm it for the next."""
    made = Cluster(tmp_path_factory.mktemp("bad"))
    first = made.founder()
    with client.connect(first.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (x INTEGER PRIMARY KEY, y)")
    yield first
    made.end()


@contextmanager
def others_unharmed(node: Node) -> Iterator[None]:
    """Another client works before, beside and after."""
    with client.connect(node.url, autocommit=True, timeout=10) as connection:
        connection.execute("INSERT INTO t (y) VALUES (1)")
        yield
        started = time.monotonic()
        connection.execute("INSERT INTO t (y) VALUES (2)")
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
        assert time.monotonic() - started < 5
    assert node.process is not None
    assert node.process.poll() is None, node.says()
    assert "Traceback" not in node.says(), node.says()


def hello() -> bytes:
    return frames.encode([frames.Hello(frames.PROTOCOL)])


def exchange(node: Node, *batches: bytes) -> list[Any]:
    """Send messages as they are; all frames that come back after the Welcome."""
    with grpc.insecure_channel(node.address, options=LARGE) as channel:
        call = ClientStub(channel).Connect(
            iter([client_pb2.Frames(batch=batch) for batch in batches]), timeout=20
        )
        found = [f for message in call for f in frames.decode_server_frames(message.batch)]
    return [f for f in found if not isinstance(f, frames.Welcome | frames.Leader)]


def closed(node: Node, *batches: bytes) -> grpc.RpcError:
    """Send messages that end the stream; with what."""
    with pytest.raises(grpc.RpcError) as error:
        exchange(node, *batches)
    return error.value


def test_garbage_on_the_port_is_hung_up_on(node: Node) -> None:
    host, port = node.address.split(":")
    with others_unharmed(node):
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100, os.urandom(100_000), b"PRI * "):
            peer = socket.create_connection((host, int(port)), timeout=10)
            with peer, suppress(OSError):
                peer.sendall(garbage)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(4096):
                    pass


def test_frames_that_can_not_be_read_end_the_stream(node: Node) -> None:
    bad = [b"", b"\xc1", os.urandom(1000), msgspec.msgpack.encode([[99, 1]]), b"\x91" * 5000]
    with others_unharmed(node):
        for batch in bad:
            error = closed(node, hello(), batch)
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error
            assert "unreadable" in error.details()


def test_a_stream_begins_with_hello(node: Node) -> None:
    error = closed(node, frames.encode([frames.Cancel(1)]))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "Hello" in error.details()


def test_another_protocol_is_named(node: Node) -> None:
    error = closed(node, frames.encode([frames.Hello(77)]))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "77" in error.details()


def test_a_negative_session_does_not_reach_the_log(node: Node) -> None:
    with others_unharmed(node):
        body = frames.encode(frames.Statement("INSERT INTO t (y) VALUES (1)"))
        for fields in ([-1, 1, 1], [1, -1, 1], [1, 1, -1], [2**64 - 1, 1, 1]):
            run = msgspec.msgpack.encode([[1, 1, 1, body, *fields]])
            assert closed(node, hello(), run).code() is grpc.StatusCode.INVALID_ARGUMENT
        keep_for_ever = msgspec.msgpack.encode([[5, 1, b"nonce", 2**63]])
        assert closed(node, hello(), keep_for_ever).code() is grpc.StatusCode.INVALID_ARGUMENT


def test_unknown_kinds_from_a_newer_client_are_refused_in_words(node: Node) -> None:
    body = frames.encode(frames.Statement("SELECT 1"))
    with others_unharmed(node):
        answers = exchange(
            node,
            hello(),
            frames.encode(
                [
                    frames.Run(1, 77, body),
                    frames.Run(2, 1, body, level=9),
                    frames.Run(3, 1, body, transaction=1, begin=9),
                    frames.Run(4, 1, body),
                ]
            ),
        )
        refused = {f.id: f for f in answers if isinstance(f, frames.Refused)}
        assert sorted(refused) == [1, 2, 3]
        assert all("not known to this server" in f.message for f in refused.values())


def test_an_unknown_level_in_a_single_call_is_refused(node: Node) -> None:
    with grpc.insecure_channel(node.address) as channel:
        request = client_pb2.QueryRequest(sql="SELECT 1")
        request.consistency = 9  # type: ignore[assignment]
        with pytest.raises(grpc.RpcError) as error:
            list(ClientStub(channel).Query(request))
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_an_oversized_message_ends_its_own_stream(node: Node) -> None:
    run = frames.Run(1, 1, frames.encode(frames.Statement("SELECT ?", [b"x" * (80 << 20)])))
    with others_unharmed(node):
        error = closed(node, hello(), frames.encode([run]))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_sql_of_100_mb_is_refused(node: Node) -> None:
    sql = "SELECT '" + "x" * (100 << 20) + "'"
    with others_unharmed(node):
        run = frames.Run(1, 1, frames.encode(frames.Statement(sql)))
        assert closed(node, hello(), frames.encode([run])).code() is (
            grpc.StatusCode.RESOURCE_EXHAUSTED
        )
        shorter = frames.Run(1, 1, frames.encode(frames.Statement(sql[: 50 << 20])))
        (refused,) = exchange(node, hello(), frames.encode([shorter]))
        assert "characters of SQL" in refused.message


def test_a_million_parameters_are_refused(node: Node) -> None:
    with (
        others_unharmed(node),
        client.connect(node.url, timeout=30) as connection,
        pytest.raises(client.Error, match="32766"),
    ):
        connection.execute("SELECT ?", [1] * 1_000_000)


def test_a_text_that_takes_long_to_look_at_holds_nobody_up(node: Node) -> None:
    long = "SELECT 1" + " + 1" * 400_000
    with others_unharmed(node):
        run = frames.Run(1, 1, frames.encode(frames.Statement(long)))
        with grpc.insecure_channel(node.address, options=LARGE) as channel:
            batches = [client_pb2.Frames(batch=b) for b in (hello(), frames.encode([run]))]
            call = ClientStub(channel).Connect(iter(batches), timeout=60)
            with client.connect(node.url, autocommit=True) as connection:
                worst = 0.0
                for _ in range(20):
                    started = time.monotonic()
                    connection.execute("SELECT 1").fetchall()
                    worst = max(worst, time.monotonic() - started)
            assert worst < 0.5, f"another client waited {worst:.2f} s"
            call.cancel()


def test_a_client_that_does_not_read_costs_bounded_memory(node: Node) -> None:
    """Each of its requests is answered with a page; it never reads one of them."""

    async def glutton() -> int:
        sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200)"
        body = frames.encode(frames.Statement(f"{sql} SELECT hex(zeroblob(500)) FROM n"))
        async with grpc.aio.insecure_channel(node.address) as channel:
            call = ClientStub(channel).Connect()
            await call.write(client_pb2.Frames(batch=hello()))
            sent = 0
            with suppress(TimeoutError, grpc.RpcError, asyncio.InvalidStateError):
                while sent < 4_000:
                    runs = [frames.Run(sent + k + 1, 1, body) for k in range(100)]
                    await asyncio.wait_for(
                        call.write(client_pb2.Frames(batch=frames.encode(runs))), 3
                    )
                    sent += 100
            return sent

    before = memory_bytes(node)
    with others_unharmed(node):
        asyncio.run(glutton())
        # All its answers would be 800 MB.
        assert memory_bytes(node) - before < 300 << 20


def memory_bytes(node: Node) -> int:
    assert node.process is not None
    pages = int(Path(f"/proc/{node.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_thousands_of_connections_do_not_shut_others_out(node: Node) -> None:
    host, port = node.address.split(":")
    with others_unharmed(node), ExitStack() as stack:
        for _ in range(800):
            try:
                stack.enter_context(socket.create_connection((host, int(port)), timeout=5))
            except OSError:
                break
        with client.connect(node.url, autocommit=True) as connection:
            connection.execute("SELECT 1")


def test_thousands_of_streams_do_not_shut_others_out(node: Node) -> None:
    async def welcomed(call: Any) -> bool:
        try:
            await call.write(client_pb2.Frames(batch=hello()))
            return await call.read() is not grpc.aio.EOF
        except (grpc.RpcError, asyncio.InvalidStateError):
            return False  # gRPC closes streams that come faster than it can take them.

    async def many() -> int:
        async with grpc.aio.insecure_channel(node.address) as channel:
            calls = [ClientStub(channel).Connect() for _ in range(2_000)]
            count = sum(await asyncio.gather(*map(welcomed, calls)))
            with client.connect(node.url, autocommit=True) as connection:
                connection.execute("INSERT INTO t (y) VALUES (3)")
            for call in calls:
                call.cancel()
        return count

    with others_unharmed(node):
        assert asyncio.run(many()) >= 1_000


def test_a_client_that_vanishes_in_a_transaction_does_not_keep_the_writer(node: Node) -> None:
    inside = {"transaction": 1, "begin": frames.Begin.IMMEDIATE}
    body = frames.encode(frames.Statement("INSERT INTO t (y) VALUES ('never')"))
    with others_unharmed(node), grpc.insecure_channel(node.address) as channel:
        batches = [
            client_pb2.Frames(batch=b)
            for b in (hello(), frames.encode([frames.Run(1, 1, body, **inside)]))
        ]
        stream = ClientStub(channel).Connect(iter(batches), timeout=20)
        next(stream)
        stream.cancel()
    with client.connect(node.url, autocommit=True) as connection:
        found = connection.execute("SELECT count(*) FROM t WHERE y = 'never'").fetchone()
    assert found == (0,)


def test_single_calls_answer_and_refuse(node: Node) -> None:
    with grpc.insecure_channel(node.address) as channel:
        stub = ClientStub(channel)
        reply = stub.Execute(client_pb2.ExecuteRequest(sql="INSERT INTO t (y) VALUES ('call')"))
        assert reply.changes == 1
        rows = list(stub.Query(client_pb2.QueryRequest(sql="SELECT y FROM t WHERE y = 'call'")))
        assert rows[0].rows[0].values[0].text == "call"
        with pytest.raises(grpc.RpcError) as error:
            list(stub.Query(client_pb2.QueryRequest(sql="DELETE FROM t")))
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "Execute" in error.value.details()
        assert stub.Execute(client_pb2.ExecuteRequest(sql="SELECT count(*) FROM t")).rows
        large = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 25000)"
        for _ in range(30):
            with pytest.raises(grpc.RpcError) as error:
                stub.Execute(client_pb2.ExecuteRequest(sql=f"{large} SELECT i FROM n"))
            assert error.value.code() is grpc.StatusCode.OUT_OF_RANGE
        pages = list(stub.Query(client_pb2.QueryRequest(sql=f"{large} SELECT i FROM n")))
        assert sum(len(page.rows) for page in pages) == 25_000
        with pytest.raises(grpc.RpcError) as error:
            stub.Execute(client_pb2.ExecuteRequest(sql="NONSENSE"))
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_statement_that_runs_long_does_not_cost_the_lead(node: Node) -> None:
    """Thirty seconds' worth of work, or less if it burns its fuel before."""
    term = node.status()["term"]
    heavy = (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000000) "
        "INSERT INTO t (y) SELECT i FROM n WHERE i < 0"
    )
    with client.connect(node.url, autocommit=True, timeout=60) as writer:
        worst = [0.0]
        import threading

        thread = threading.Thread(target=lambda: writer.execute(heavy))
        thread.start()
        with client.connect(node.url, autocommit=True, timeout=60) as reader:
            while thread.is_alive():
                started = time.monotonic()
                reader.execute("SELECT 1", consistency="stale").fetchall()
                worst[0] = max(worst[0], time.monotonic() - started)
        thread.join()
    assert worst[0] < 1.0, f"another client waited {worst[0]:.2f} s"
    assert node.status()["term"] == term
