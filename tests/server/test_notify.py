"""What systemd hears of a node."""

from __future__ import annotations

import asyncio
import socket

import pytest

from raftsql.server.notify import Supervisor


def listening() -> tuple[socket.socket, str]:
    """A socket under a name that the kernel chose."""
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.settimeout(20)
    heard.bind("")
    return heard, "@" + heard.getsockname()[1:].decode()


def test_news_are_lines_of_one_message() -> None:
    heard, address = listening()
    with heard:
        Supervisor({"NOTIFY_SOCKET": address}).tell("READY=1", "MAINPID=7")
        assert heard.recv(100) == b"READY=1\nMAINPID=7"


def test_without_systemd_nothing_happens(caplog: pytest.LogCaptureFixture) -> None:
    Supervisor({}).tell("READY=1")
    assert caplog.records == []


def test_a_socket_that_is_gone_is_logged_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    Supervisor({"NOTIFY_SOCKET": "/nowhere/at/all"}).tell("READY=1")
    assert "does not hear" in caplog.text


async def test_the_watchdog_hears_that_the_loop_turns() -> None:
    heard, address = listening()
    heard.setblocking(False)
    loop = asyncio.get_running_loop()
    supervisor = Supervisor({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000"})
    with heard:
        supervisor.keep_telling()
        for _ in range(3):
            assert await asyncio.wait_for(loop.sock_recv(heard, 100), 20) == b"WATCHDOG=1"
        supervisor.close()


async def test_without_a_watchdog_nothing_is_repeated() -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": "/nowhere"})
    supervisor.keep_telling()
    assert supervisor._timer is None
    supervisor.close()
