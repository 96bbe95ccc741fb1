"""A wire that changes what it carries: a proxy before one node, for tests of what is in flight."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType

READ_BYTES_MAX = 1 << 16
ACCEPT_SECONDS = 0.2
"""How often it is looked whether it is over."""


class Spoiler:
    """Flips one bit of the first pieces, on the way to the node, that hold a text; as many as told.

    Lengths stay as they were, so that all beneath the text's own checksum is none the wiser.
    """

    def __init__(self, port: int, text: bytes, *, times: int) -> None:
        """`port` is the node's own; `address` is where others are to find it."""
        self._port = port
        self._text = text
        self.times = times
        """How many are still to come."""
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(ACCEPT_SECONDS)
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._over = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Spoiler:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._over.set()
        self._threads[0].join()
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        for one in (self._server, *self._sockets):
            one.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                caller, _ = self._server.accept()
            except TimeoutError:
                continue
            try:
                node = socket.create_connection(("127.0.0.1", self._port))
            except OSError:  # It is not up; callers find that out as they would without a proxy.
                caller.close()
                continue
            self._sockets += [caller, node]
            for source, target, spoils in ((caller, node, True), (node, caller, False)):
                thread = threading.Thread(target=self._carry, args=(source, target, spoils))
                thread.start()
                self._threads.append(thread)

    def _carry(self, source: socket.socket, target: socket.socket, spoils: bool) -> None:
        with suppress(OSError):
            while data := source.recv(READ_BYTES_MAX):
                target.sendall(self._spoilt(data) if spoils else data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _spoilt(self, data: bytes) -> bytes:
        at = data.find(self._text)
        if at < 0 or self.times <= 0:
            return data
        self.times -= 1
        changed = bytearray(data)
        changed[at] ^= 1
        return bytes(changed)
