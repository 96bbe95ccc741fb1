"""A network that lies: a TCP proxy before each node that loses answers and cuts connections.

Only clients' streams are hurt (told by their first request's path); peers pass untouched. A fault
falls on the first answer after its time, so the request has always reached the node already: the
case in which a driver is tempted to do a thing twice, or to say that it failed.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import Final

CLIENT_PATH: Final = b"Client/Connect"
"""gRPC's C core writes header values as they are, so a stream's path stands in its bytes."""
SNIFFED_BYTES_MAX: Final = 8192
READ_BYTES_MAX: Final = 1 << 16
FAULTS: Final = {"cut": 4, "deaf": 6, "mute": 3, "silent": 1}
"""How often each happens. cut: at once. deaf: answers are lost for a while, requests pass, then
cut. mute: the other way round. silent: answers are lost, and the connection is never ended."""
LOST_S_MAX: Final = 0.15
"""How long bytes are lost before the connection is cut."""


class Link:
    """One proxied connection."""

    def __init__(self, writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
        self._writers = writers
        self.is_clients = False
        self.deaf = self.mute = self.hurt = False

    def cut(self) -> None:
        """End it as a cable does that is pulled: both ends see a reset, soon."""
        for writer in self._writers:
            with suppress(RuntimeError):  # The loop is closing.
                writer.transport.abort()


class Proxies:
    """One proxy a node, all in a thread of their own, hurting links by one seed."""

    def __init__(self, seed: int, targets: dict[int, int], *, fault_every_s: float) -> None:
        self.happened: Counter[str] = Counter()
        self._targets = targets
        """From the port that is listened on to the node's own."""
        self._chance = random.Random(seed)
        self._every_s = fault_every_s
        self._next_at = float("inf")
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies")

    def start(self) -> None:
        """Listen; nothing is hurt yet."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    async def _listen(self) -> None:
        self._servers = [
            await asyncio.start_server(
                lambda reader, writer, port=target: self._accept(reader, writer, port),  # type: ignore[misc]
                "127.0.0.1",
                listened,
            )
            for listened, target in self._targets.items()
        ]

    def trouble(self) -> None:
        """From now on links are hurt."""
        self._next_at = time.monotonic()

    def heal(self) -> None:
        """Hurt no more links, and end those that are hurt already."""
        self._next_at = float("inf")
        self._loop.call_soon_threadsafe(self._cut_the_hurt)

    def _cut_the_hurt(self) -> None:
        for link in self._links:
            if link.hurt:
                link.cut()

    def stop(self) -> None:
        """End everything."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for link in list(self._links):
            link.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int
    ) -> None:
        task = self._loop.create_task(self._serve(reader, writer, port))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int
    ) -> None:
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:  # The node is down.
            writer.transport.abort()
            return
        link = Link((writer, to_writer))
        self._links.add(link)
        directions = [
            self._loop.create_task(self._requests(link, reader, to_writer)),
            self._loop.create_task(self._answers(link, to_reader, writer)),
        ]
        try:
            # One direction's end is the whole connection's.
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            link.cut()
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _requests(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        seen = b""
        with suppress(OSError):
            while data := await reader.read(READ_BYTES_MAX):
                if not link.is_clients and len(seen) < SNIFFED_BYTES_MAX:
                    seen += data
                    link.is_clients = CLIENT_PATH in seen
                if not link.mute:
                    writer.write(data)
                    await writer.drain()

    async def _answers(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(READ_BYTES_MAX):
                if link.is_clients and not link.hurt and time.monotonic() >= self._next_at:
                    self._hurt(link)
                if not link.deaf:
                    writer.write(data)
                    await writer.drain()

    def _hurt(self, link: Link) -> None:
        kind = self._chance.choices(list(FAULTS), list(FAULTS.values()))[0]
        self.happened[kind] += 1
        self._next_at = time.monotonic() + self._chance.expovariate(1 / self._every_s)
        link.hurt = True
        link.deaf, link.mute = kind != "mute", kind == "mute"
        if kind == "cut":
            link.cut()
        elif kind != "silent":
            self._loop.call_later(self._chance.uniform(0.005, LOST_S_MAX), link.cut)
