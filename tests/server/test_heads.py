"""Whoever does not come to the point is not waited for, and keeps nobody else out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from raftsql.server import heads
from tests.server.test_host import made
from tests.server.test_web import served

HALF = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
PATIENCE = 20.0


@asynccontextmanager
async def visitor(folder: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a node's pages on which nothing was said yet."""
    host = made(folder)
    async with served(host) as address:
        place, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(place, int(port))
        yield reader, writer
        writer.close()
    await host.close()


@pytest.mark.parametrize("begun", [b"", HALF, HALF + b"\r\n" + HALF])
async def test_a_head_that_does_not_end_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(heads, "HEAD_SECONDS", 0.05)
    async with visitor(tmp_path) as (reader, writer):
        writer.write(begun)
        answered = await asyncio.wait_for(reader.read(), PATIENCE)
        assert answered.count(b"200 OK") == begun.count(b"\r\n\r\n")


async def test_a_head_that_comes_in_pieces_has_no_more_time_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "HEAD_SECONDS", 0.2)
    async with visitor(tmp_path) as (reader, writer):
        writer.write(HALF)
        ended = asyncio.ensure_future(reader.read())
        pieces = 0
        while not ended.done() and pieces < 1_000:
            writer.write(b"X-%d: y\r\n" % pieces)
            pieces += 1
            await asyncio.wait([ended], timeout=0.02)
        assert ended.done()
        with suppress(ConnectionError):
            await ended
