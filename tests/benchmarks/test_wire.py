"""Where an answer ends, in each of the three protocols."""

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from benchmarks.crowd import crowd
from benchmarks.wire import Failed, Grpc, Http, Postgres, Wire, executed, message, post

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"results":[]}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


class Quiet(Postgres):
    """A connection that needs no answer to begin."""

    __slots__ = ()

    def open(self) -> None:
        self._tail = b""


@pytest.fixture
def address() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def fed(wire: Wire, *pieces: bytes) -> list[bool]:
    try:
        return [wire.feed(piece) for piece in pieces]
    finally:
        wire.socket.close()


def test_an_http_answer_may_come_in_pieces(address: str) -> None:
    pieces = ANSWER[:20], ANSWER[20:50], ANSWER[50:], ANSWER
    assert fed(Http(address), *pieces) == [False, False, True, True]


def test_a_chunked_http_answer_ends_with_its_empty_chunk(address: str) -> None:
    pieces = CHUNKED[:-6], CHUNKED[-6:], CHUNKED, CHUNKED[:-2], CHUNKED[-2:]
    assert fed(Http(address), *pieces) == [False, True, True, False, True]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"error":1}',
    ],
)
def test_an_http_error_is_not_counted_as_an_answer(address: str, answer: bytes) -> None:
    with pytest.raises(Failed):
        fed(Http(address), answer)


def test_postgres_is_ready_again_also_when_that_comes_byte_by_byte(address: str) -> None:
    ready = b"Z\0\0\0\5I"
    wanted = [False, True, *[False] * 5, True]
    assert fed(Quiet(address), b"C\0\0\0\5x", ready, *(bytes([one]) for one in ready)) == wanted


def test_a_postgres_error_is_not_counted_as_an_answer(address: str) -> None:
    with pytest.raises(Failed):
        fed(Quiet(address), message(b"E", b"SERROR\0Mno such table\0\0") + b"Z\0\0\0\5I")


def test_a_bound_statement_carries_its_values() -> None:
    text = executed("insert", b"fiona")
    assert text.startswith(b"B" + struct.pack("!I", 4 + 1 + 7 + 2 + 2 + 4 + 5 + 2))
    assert b"\0insert\0\0\0\0\1\0\0\0\5fiona\0\0E\0\0\0\x09" in text


def frame(kind: int, flags: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + b"\0\0\0\1" + body


def test_a_grpc_answer_ends_with_its_trailers(address: str) -> None:
    whole = frame(1, 4, b"head") + frame(0, 0, b"\0\0\0\0\2ok") + frame(1, 5, b"status")
    assert fed(Grpc(address), whole[:10], whole[10:], whole) == [False, True, True]


def test_trailers_without_a_message_are_an_error(address: str) -> None:
    with pytest.raises(Failed):
        fed(Grpc(address), frame(1, 5, b"status"))


def test_a_crowd_asks_in_turn_and_counts_every_turn_once() -> None:
    asked: list[bytes] = []

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            while request := connection.recv(65536):
                asked.append(request)
                connection.sendall(ANSWER)

    first, second = post("/first", b"{}"), post("/second", b"{}")
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        port = server.getsockname()[1]
        measured = crowd(
            lambda: Http(f"127.0.0.1:{port}"), lambda: (first, second), clients=1, seconds=0.01
        )
        thread.join()
    assert measured.count == measured.latencies.count >= 1
    assert asked == [first, second] * (measured.count + 1)  # Once before it is timed.


def test_a_server_that_hangs_up_fails_the_run() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        port = server.getsockname()[1]
        with pytest.raises((Failed, ConnectionError)):
            crowd(lambda: Http(f"127.0.0.1:{port}"), lambda: (b"x",), clients=1, seconds=1.0)
        thread.join()
