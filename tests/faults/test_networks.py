"""Both networks do to bytes what a fault asks of them, and leave nothing behind."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from tests.faults.namespaces import Namespaces, run
from tests.faults.network import LINKS_VARIABLE
from tests.faults.proxies import Proxies

PATIENCE_S = 10.0
SILENCE_S = 0.4
"""How long nothing has to come before a way is called cut."""


@pytest.fixture
def proxies() -> Iterator[Proxies]:
    made = Proxies()
    yield made
    made.close()


class Echo:
    """A connection from node 1 to node 2, which says back what it hears."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.heard: list[bytes] = []

    def say(self, text: bytes) -> None:
        self._writer.write(text)

    async def answer(self, seconds: float = PATIENCE_S) -> bytes:
        async with asyncio.timeout(seconds):
            return await self._reader.read(100)


@asynccontextmanager
async def echo(network: Proxies) -> AsyncIterator[Echo]:
    heard: list[bytes] = []
    serving: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(writer)
        while data := await reader.read(100):
            heard.append(data)
            writer.write(data)

    port = int(network.address(2).rpartition(":")[2])
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    doors = json.loads(network.environment(1)[LINKS_VARIABLE])
    door = int(doors[network.address(2)].rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", door)
    made = Echo(reader, writer)
    made.heard = heard
    try:
        yield made
    finally:
        for each in (writer, *serving):
            each.transport.abort()
            with suppress(OSError):
                await each.wait_closed()
        server.close()
        await server.wait_closed()


async def test_a_proxy_passes_on_what_no_fault_forbids(proxies: Proxies) -> None:
    async with echo(proxies) as there:
        there.say(b"one")
        assert await there.answer() == b"one"


@pytest.mark.parametrize(("way", "arrives"), [((1, 2), False), ((2, 1), True)])
async def test_a_cut_is_of_one_direction_and_what_was_said_comes_after_it(
    proxies: Proxies, way: tuple[int, int], arrives: bool
) -> None:
    async with echo(proxies) as there:
        there.say(b"one")
        assert await there.answer() == b"one"
        proxies.cut({way})
        there.say(b"two")
        with pytest.raises(TimeoutError):
            await there.answer(SILENCE_S)
        assert (there.heard[-1] == b"two") is arrives
        proxies.cut(set())
        assert await there.answer() == b"two"


async def test_a_slow_way_takes_its_time(proxies: Proxies) -> None:
    async with echo(proxies) as there:
        proxies.delay({(1, 2)}, 0.2)
        began = time.monotonic()
        there.say(b"one")
        assert await there.answer() == b"one"
        assert time.monotonic() - began >= 0.2


@pytest.fixture
def namespaces() -> Iterator[Namespaces]:
    try:
        made = Namespaces()
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"no namespaces can be made here: {error}")
    try:
        made.address(2)
        yield made
    finally:
        made.close()


SAY = """
import socket, sys, time
heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
heard.settimeout(float(sys.argv[2]))
began = time.monotonic()
heard.sendto(b"one", (sys.argv[1], 5000))
try:
    heard.recv(10)
    print(time.monotonic() - began)
except TimeoutError:
    print("silence")
"""
LISTEN = """
import socket, sys
heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
heard.bind(("0.0.0.0", 5000))
print("ready", flush=True)
while True:
    data, place = heard.recvfrom(10)
    print("heard", flush=True)
    heard.sendto(data, place)
"""


@pytest.fixture
def listener(namespaces: Namespaces) -> Iterator[Any]:
    command = namespaces.wrap(2, [sys.executable, "-c", LISTEN])
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def said(namespaces: Namespaces, patience: float = PATIENCE_S) -> str:
    host = namespaces.address(2).rpartition(":")[0]
    command = [sys.executable, "-c", SAY, host, str(patience)]
    return run(*namespaces.wrap(1, command)).strip()


def test_a_packet_passes_between_namespaces_unless_its_way_is_cut(
    namespaces: Namespaces, listener: Any
) -> None:
    assert said(namespaces) != "silence"
    assert listener.stdout.readline() == "heard\n"
    namespaces.cut({(1, 2)})
    assert said(namespaces, SILENCE_S) == "silence"
    namespaces.cut({(2, 1)})
    assert said(namespaces, SILENCE_S) == "silence"
    assert listener.stdout.readline() == "heard\n", "the other way was open, this time"
    namespaces.cut(set())
    assert said(namespaces) != "silence"


def test_a_packet_takes_a_detour_while_its_way_is_slow(
    namespaces: Namespaces, listener: Any
) -> None:
    namespaces.delay({(1, 2), (2, 1)}, 0.1)
    assert float(said(namespaces)) >= 0.15
    namespaces.delay(set(), 0.0)
    assert said(namespaces) != "silence"


def test_all_packets_may_be_lost(namespaces: Namespaces, listener: Any) -> None:
    namespaces.lose(100)
    assert said(namespaces, SILENCE_S) == "silence"
    namespaces.lose(0)
    assert said(namespaces) != "silence"


def test_nothing_of_a_network_is_left_behind(namespaces: Namespaces) -> None:
    names = namespaces.wrap(1, [])[3]
    assert names in run("ip", "netns")
    namespaces.close()
    assert names not in run("ip", "netns")
    assert names.rpartition("n")[0] not in run("ip", "link")
