"""Answers that flow: for as long as the page reads, and not a moment longer.

A page that goes away, or does not read on, ends what is done for it. And all pages together take a
bounded share of the node's event loop: what they would use beyond it they wait for, so that rows
for a screen never stand before the heartbeats of the cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from time import perf_counter
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

STALL_SECONDS: Final = 60.0
"""A page that takes nothing for so long is cut off: the result it does not read keeps a snapshot of
the database alive."""
LAST_SECONDS: Final = 0.5
"""What a response still has when the session it belongs to has ended."""
SHARE: Final = 0.2
"""Of the event loop, for all that pages ask for."""
BURST_SECONDS: Final = 0.02
"""So much may be used at once before anybody waits: most answers never do."""


class Pace:
    """Keeps pages from taking the node's loop for themselves."""

    def __init__(self, share: float = SHARE) -> None:
        """All pages of a node share one."""
        self._share = share
        self._paid_until = 0.0

    async def rest(self, began: float) -> None:
        """Work was done from `began`, by `perf_counter`, until now: give way for as long as due."""
        now = perf_counter()
        self._paid_until = max(self._paid_until, now) + (now - began) / self._share
        await asyncio.sleep(max(0.0, self._paid_until - now - BURST_SECONDS))


class BrokenOff(Exception):
    """The response ends before its end, which the page sees; nothing is wrong with the node."""


class Flow(Response):
    """A response whose content comes piece by piece from a generator."""

    def __init__(
        self, content: AsyncGenerator[bytes, None], media_type: str,
        headers: Mapping[str, str] | None = None,
        *, until: asyncio.Event, done: Callable[[], Awaitable[object]] | None = None,
    ) -> None:  # fmt: skip
        """However this ends, the generator is closed and `done` called: a generator that was never
        begun, since the page was gone by then, has nothing that could let go of what it stands
        for. Once `until` has come, it has a moment left."""
        super().__init__(None, 200, headers, media_type)
        self.headers["x-accel-buffering"] = "no"  # As proxies that gather answers understand it.
        self._content = content
        self._until = until
        self._done = done
        if "content-length" not in (headers or {}):
            del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of it, or what the page stays for."""
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_gone(receive))
        ending = asyncio.ensure_future(self._until.wait())
        try:
            ends = {sending, leaving, ending}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if ending.done() and not leaving.done():
                await asyncio.wait({sending, leaving}, timeout=LAST_SECONDS)
        finally:
            ending.cancel()
            leaving.cancel()
            sending.cancel()
            (problem, _) = await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._content.aclose()
            if self._done is not None:
                await self._done()
        if isinstance(problem, Exception) and not isinstance(problem, BrokenOff):
            raise problem

    async def _send(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        async with aclosing(self._content) as pieces:
            async for piece in pieces:
                await self._put(send, piece)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _put(self, send: Send, piece: bytes) -> None:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except TimeoutError:
            raise BrokenOff from None


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
