"""A network for machines that have no namespaces to give: a TCP proxy for each directed pair.

Each node dials every other node through a proxy of their own, whose address its entry point puts in
the place of the real one. What a node says to another one, on connections of either's making, is
held back while that way is cut, and comes later when it is slow; a lost packet is one that comes a
retransmission later. So a cut here is what TCP makes of a cut, without what the kernel knows of it.
"""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from typing import Final

from benchmarks.nodes import free_ports
from tests.driver.exactly_once import proxy
from tests.faults.network import LINKS_VARIABLE, Link

NODES_MAX: Final = 8
RESENT_S: Final = 0.2
"""What a lost packet costs: the kernel's shortest time until it sends again."""
READ_BYTES_MAX: Final = 1 << 14
LOOK_S: Final = 0.02
"""How often a way that is cut is looked at."""


class Proxies(proxy.Proxies):
    """The network of one cluster."""

    name = "proxies"

    def __init__(self) -> None:
        numbers = range(1, NODES_MAX + 1)
        self._pairs = [(a, b) for a in numbers for b in numbers if a != b]
        ports = free_ports(NODES_MAX + len(self._pairs))
        self._own = dict(zip(numbers, ports, strict=False))
        doors = ports[NODES_MAX:]
        self._doors = dict(zip(self._pairs, doors, strict=True))
        super().__init__(0, {}, fault_every_s=1.0)
        self._cut: set[Link] = set()
        self._slow: set[Link] = set()
        self._wait_s = 0.0
        self._lost = 0
        self._luck = random.Random(0)
        self.start()

    async def _listen(self) -> None:
        self._servers = [
            await asyncio.start_server(
                lambda reader, writer, pair=at: self._accept(reader, writer, pair),  # type: ignore[misc]
                "127.0.0.1",
                door,
            )
            for at, door in enumerate(self._doors.values())
        ]

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int
    ) -> None:
        """One connection; `port` is the place of its pair among all."""
        source, target = self._pairs[port]
        await self._open((source, target))
        try:
            there = await asyncio.open_connection("127.0.0.1", self._own[target])
        except OSError:  # The node is down.
            writer.transport.abort()
            return
        link = proxy.Link((writer, there[1]))
        self._links.add(link)
        ways = [
            self._loop.create_task(self._carry((source, target), reader, there[1])),
            self._loop.create_task(self._carry((target, source), there[0], writer)),
        ]
        try:
            # One direction's end is the whole connection's.
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            link.cut()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _carry(
        self, way: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(READ_BYTES_MAX):
                await self._open(way)
                if way in self._slow:
                    await asyncio.sleep(self._wait_s)
                if self._luck.random() * 100 < self._lost:
                    await asyncio.sleep(RESENT_S)
                writer.write(data)
                await writer.drain()

    async def _open(self, way: Link) -> None:
        """Until the way is not cut."""
        while way in self._cut:  # noqa: ASYNC110 - another thread cuts and joins.
            await asyncio.sleep(LOOK_S)

    # What a network does.

    def address(self, node: int) -> str:
        return f"127.0.0.1:{self._own[node]}"

    def wrap(self, node: int, command: list[str]) -> list[str]:
        return command

    def flags(self, node: int) -> list[str]:
        return ["--listen", self.address(node)]

    def environment(self, node: int) -> dict[str, str]:
        doors = {
            self.address(target): f"127.0.0.1:{door}"
            for (source, target), door in self._doors.items()
            if source == node
        }
        return {LINKS_VARIABLE: json.dumps(doors)}

    def cut(self, links: set[Link]) -> None:
        self._cut = set(links)

    def lose(self, percent: int) -> None:
        self._lost = percent

    def delay(self, links: set[Link], seconds: float) -> None:
        self._slow, self._wait_s = set(links), seconds

    def close(self) -> None:
        self._cut = set()
        self.stop()
