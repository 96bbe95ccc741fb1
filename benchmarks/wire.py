"""Connections that send bytes made beforehand and find the end of each answer.

Three protocols are known: HTTP/1.1, PostgreSQL's and a unary gRPC call. Of an answer nothing is
looked at but where it ends and whether it is an error.
"""

from __future__ import annotations

import socket
import struct

RECEIVE_BYTES = 1 << 18
SILENCE_SECONDS_MAX = 30.0
"""A server that says nothing for so long has failed the run."""


class Failed(Exception):
    """The peer answered with an error, or not at all."""


class Wire:
    """One connection: what is sent first, and where an answer ends."""

    __slots__ = ("socket",)

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=SILENCE_SECONDS_MAX)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.open()
        # From here on epoll says when to read, and a socket without a timeout is one call cheaper.
        self.socket.settimeout(None)

    def open(self) -> None:
        """Greet the server."""

    def send(self, request: bytes) -> None:
        """Ask."""
        self.socket.sendall(request)

    def feed(self, received: bytes) -> bool:
        """Look at what has come; whether the answer is complete."""
        raise NotImplementedError

    def wait(self) -> None:
        """Until the answer is complete, with nothing else to do."""
        while True:
            received = self.socket.recv(RECEIVE_BYTES)
            if not received:
                raise Failed("the server closed the connection")
            if self.feed(received):
                return


class Http(Wire):
    """Keep-alive HTTP/1.1 with a Content-Length, or with chunks for larger answers."""

    __slots__ = ("_missing", "_seen")

    def open(self) -> None:
        """Nothing to say."""
        self._missing = 0
        self._seen = b""

    def feed(self, received: bytes) -> bool:
        """Count down to the end of the body."""
        if self._missing > 0:
            self._missing -= len(received)
            return self._missing <= 0
        if self._missing < 0:
            self._seen = (self._seen + received)[-7:]
            self._missing = 0 if self._seen.endswith(b"\r\n0\r\n\r\n") else -1
            done = self._missing == 0
            self._seen = b"" if done else self._seen
            return done
        whole = self._seen + received
        end = whole.find(b"\r\n\r\n")
        if end < 0:
            self._seen = whole
            return False
        self._seen = b""
        return self._headed(whole, end)

    def _headed(self, whole: bytes, end: int) -> bool:
        if not whole.startswith(b"HTTP/1.1 200") or b'"error"' in whole:
            raise Failed(whole[:400].decode(errors="replace"))
        at = whole.find(b"Content-Length: ", 0, end)
        if at < 0:
            if whole.endswith(b"\r\n0\r\n\r\n"):
                return True
            self._missing, self._seen = -1, whole[-7:]
            return False
        length = int(whole[at + 16 : whole.index(b"\r", at)])
        self._missing = end + 4 + length - len(whole)
        return self._missing == 0


def post(path: str, body: bytes) -> bytes:
    """A request with a JSON body."""
    head = f"POST {path} HTTP/1.1\r\nHost: local\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Postgres(Wire):
    """PostgreSQL's protocol 3 without a password; an answer ends when the server is ready again."""

    __slots__ = ("_tail",)

    def open(self) -> None:
        """Log in."""
        self._tail = b""
        words = b"user\0bench\0database\0postgres\0\0"
        self.socket.sendall(struct.pack("!II", 8 + len(words), 196608) + words)
        self.wait()

    def feed(self, received: bytes) -> bool:
        """The last message says `Z`, its length and a state."""
        if b"SERROR\0" in received or b"SFATAL\0" in received:
            raise Failed(received[:400].decode(errors="replace"))
        if len(received) < 6:
            received = self._tail + received
        self._tail = received[-6:]
        return self._tail[:5] == b"Z\0\0\0\5"


def message(kind: bytes, body: bytes) -> bytes:
    """One message of PostgreSQL's protocol."""
    return kind + struct.pack("!I", 4 + len(body)) + body


def prepared(name: str, sql: str) -> bytes:
    """Prepare a statement."""
    return message(b"P", f"{name}\0{sql}\0".encode() + b"\0\0")


def executed(name: str, *values: bytes) -> bytes:
    """Bind and execute a prepared statement."""
    bound = b"".join(struct.pack("!I", len(value)) + value for value in values)
    body = b"\0" + name.encode() + b"\0\0\0" + struct.pack("!H", len(values)) + bound + b"\0\0"
    return message(b"B", body) + message(b"E", b"\0\0\0\0\0")


SYNC = message(b"S", b"")

_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return struct.pack("!IBI", (len(body) << 8) | kind, flags, stream) + body


class Grpc(Wire):
    """A unary call at a time over HTTP/2, with headers that are the same each time.

    A request is the path, a zero byte and the message. An answer with no message is an error.
    """

    __slots__ = ("_answered", "_buffer", "_stream")

    def open(self) -> None:
        """The preface, with windows so wide that we never have to widen them again soon."""
        self._stream, self._buffer, self._answered = 1, b"", False
        wide = struct.pack("!HI", 4, 2**31 - 1)
        self.socket.sendall(
            _GREETING + _frame(_SETTINGS, 0, 0, wide)
            + _frame(_WINDOW, 0, 0, struct.pack("!I", 2**31 - 1 - 65535))
        )  # fmt: skip

    def send(self, request: bytes) -> None:
        """One stream for each call; literal headers that touch no table."""
        path, _, body = request.partition(b"\0")
        headers = (
            b"\x83\x86\x04" + bytes([len(path)]) + path + b"\x01\x05local"
            b"\x0f\x10\x10application/grpc\x00\x02te\x08trailers"
        )
        self.socket.sendall(
            _frame(_HEADERS, _END_HEADERS, self._stream, headers)
            + _frame(_DATA, _END_STREAM, self._stream, struct.pack("!BI", 0, len(body)) + body)
        )
        self._stream += 2

    def feed(self, received: bytes) -> bool:
        """Until the trailers."""
        buffer, at, done = self._buffer + received, 0, False
        while len(buffer) >= at + 9:
            length = int.from_bytes(buffer[at : at + 3], "big")
            if len(buffer) < at + 9 + length:
                break
            kind, flags = buffer[at + 3], buffer[at + 4]
            body = buffer[at + 9 : at + 9 + length]
            at += 9 + length
            if kind == _DATA:
                self._answered = True
            elif kind == _HEADERS and flags & _END_STREAM:
                done = True
            else:
                self._other(kind, flags, body)
        self._buffer = buffer[at:]
        if done:
            if not self._answered:
                raise Failed("the call was answered with an error")
            self._answered = False
        return done

    def _other(self, kind: int, flags: int, body: bytes) -> None:
        if kind == _SETTINGS and not flags & _ACK:
            self.socket.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self.socket.sendall(_frame(_PING, _ACK, 0, body))
        elif kind in (_RESET, _GOAWAY):
            raise Failed(f"the server ended the call: {body!r}")
