"""Answers that flow while somebody reads, and what they hold when nobody does any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from time import perf_counter
from typing import Any

import pytest

from raftsql.server.console import streaming
from raftsql.server.console.streaming import Flow, Pace


class Wire:
    """The server's side of a response."""

    def __init__(self, *, reads: bool = True) -> None:
        self.sent: list[Any] = []
        self.gone = asyncio.Event()
        self._reads = reads

    async def receive(self) -> Any:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if not self._reads and message["type"] == "http.response.body":
            await asyncio.Event().wait()
        self.sent.append(message)


class Content:
    """What flows, and whether it was let go."""

    def __init__(self, *, endless: bool = False) -> None:
        self.begun = self.closed = False
        self.dones = 0
        self._endless = endless

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        self.begun = True
        try:
            yield b"one"
            yield b"two"
            if self._endless:
                await asyncio.Event().wait()
        finally:
            self.closed = True

    async def done(self) -> None:
        self.dones += 1


def flow(content: Content, until: asyncio.Event | None = None) -> Flow:
    until = until or asyncio.Event()
    return Flow(content.pieces(), "text/plain", until=until, done=content.done)


async def test_all_of_it_is_sent_and_ended() -> None:
    wire, content = Wire(), Content()
    await flow(content)({}, wire.receive, wire.send)
    start, *bodies = wire.sent
    assert (start["status"], b"".join(m["body"] for m in bodies)) == (200, b"onetwo")
    assert [m["more_body"] for m in bodies] == [True, True, False]
    assert not any(name == b"content-length" for name, _ in start["headers"])
    assert (b"x-accel-buffering", b"no") in start["headers"]
    assert (content.closed, content.dones) == (True, 1)


async def test_a_page_that_goes_away_ends_it() -> None:
    wire, content = Wire(), Content(endless=True)
    task = asyncio.create_task(flow(content)({}, wire.receive, wire.send))
    while len(wire.sent) < 3:  # noqa: ASYNC110
        await asyncio.sleep(0)
    wire.gone.set()
    await asyncio.wait_for(task, 10)
    assert (content.closed, content.dones) == (True, 1)
    assert wire.sent[-1]["more_body"], "it does not look whole"


async def test_a_page_that_was_gone_before_it_began_leaves_nothing_behind() -> None:
    wire, content = Wire(), Content()
    wire.gone.set()
    await flow(content)({}, wire.receive, wire.send)
    assert content.dones == 1


async def test_a_page_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "STALL_SECONDS", 0.01)
    wire, content = Wire(reads=False), Content()
    await asyncio.wait_for(flow(content)({}, wire.receive, wire.send), 10)
    assert (content.closed, content.dones) == (True, 1)


async def test_the_end_of_a_session_ends_what_flows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LAST_SECONDS", 0.01)
    wire, content, until = Wire(), Content(endless=True), asyncio.Event()
    until.set()
    await asyncio.wait_for(flow(content, until)({}, wire.receive, wire.send), 10)
    assert (content.closed, content.dones) == (True, 1)


async def test_what_breaks_is_told_to_whoever_serves() -> None:
    async def broken() -> AsyncGenerator[bytes, None]:
        yield b"one"
        raise RuntimeError("broken")

    wire = Wire()
    with pytest.raises(RuntimeError, match="broken"):
        await Flow(broken(), "text/plain", until=asyncio.Event())({}, wire.receive, wire.send)


async def test_little_work_never_waits_and_much_work_takes_its_share() -> None:
    pace = Pace(share=0.5)
    began = perf_counter()
    await pace.rest(perf_counter() - 0.001)
    assert perf_counter() - began < 0.5
    began = perf_counter()
    for _ in range(5):
        await pace.rest(perf_counter() - 0.02)
    assert perf_counter() - began > 0.1, "five times 20 ms of work at half the time"
