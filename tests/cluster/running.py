"""A runner of a node that is alone: its loop, threads and files are real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from raftsql.cluster.housekeeping import LogBounds
from raftsql.cluster.opening import Stores, found_cluster, open_stores
from raftsql.cluster.requests import Read, Write
from raftsql.cluster.runner import Runner
from raftsql.database.readers import Page
from raftsql.raft.config import Config
from raftsql.raft.membership import Member, Membership
from raftsql.sql.commands import (
    CommandKind,
    Done,
    Failed,
    Level,
    Statement,
    Why,
    decode_answer,
    encode,
)
from raftsql.storage.datadir import DataDir, Identity, is_data_dir
from raftsql.storage.files import RealFiles
from raftsql_proto.frames import decode_rows

SECONDS_MAX = 20.0


class Refused(Exception):
    """A request was not carried out."""

    def __init__(self, why: Why, message: str) -> None:
        super().__init__(f"{why.name}: {message}")
        self.why = why


class Awaited:
    """A reply that a test waits for."""

    def __init__(self) -> None:
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.index = 0
        """What the client's next token would be."""

    def result(self, answer: bytes, index: int) -> None:
        self.future.set_result(decode_answer(answer))

    def page(self, page: Page, index: int, age_ms: int) -> None:
        self.index = index
        self.future.set_result(page)

    def refused(self, why: Why, message: str) -> None:
        self.future.set_exception(Refused(why, message))


class Transport:
    """There is nobody else."""

    def send(self, messages: Any) -> None:
        assert not messages, "a node that is alone has nobody to talk to"

    def ship(self, peer: int) -> None:
        raise AssertionError("nobody wants a snapshot")

    def role_changed(self, change: Any) -> None:
        pass

    def applied(self) -> None:
        pass

    async def fetch_restore(self, restore: Any, index: int) -> None:
        return None


class Alone:
    """A running node, and the questions of a test."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner

    async def write(self, sql: str, *parameters: Any) -> Done:
        """A write, from its beginning to its end."""
        answer = await self.attempt(sql, *parameters)
        assert isinstance(answer, Done), f"it failed: {answer}"
        return answer

    async def attempt(self, sql: str, *parameters: Any) -> Done | Failed:
        """A write that may fail."""
        reply = Awaited()
        body = encode(Statement(sql, list(parameters)))
        self.runner.replica.write(Write(CommandKind.EXECUTE, body, reply))
        self.runner.wake()
        answer: Done | Failed = await asyncio.wait_for(reply.future, SECONDS_MAX)
        return answer

    def ask(self, sql: str, **fields: Any) -> tuple[Read, asyncio.Future[Any]]:
        """A read under way."""
        reply = Awaited()
        fields.setdefault("level", Level.STALE)
        read = Read(sql, None, reply, **fields)
        self.runner.replica.read(read)
        self.runner.replica.reading.run_ready()
        self.runner.wake()
        return read, reply.future

    async def page(self, sql: str, **fields: Any) -> Page:
        """The first page of a result."""
        _, future = self.ask(sql, **fields)
        page = await asyncio.wait_for(future, SECONDS_MAX)
        assert isinstance(page, Page), f"it failed: {page}"
        return page

    async def rows(self, sql: str, **fields: Any) -> list[Any]:
        """A result of one page."""
        return decode_rows((await self.page(sql, **fields)).rows)

    async def until_leads(self) -> None:
        """Wait for the node's own election."""
        runner = self.runner
        await until(lambda: runner.replica.leads and runner.node.log.applied >= 2)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(SECONDS_MAX):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def opened(folder: Path) -> Stores:
    """What is on disk; made when nothing is."""
    files = RealFiles()
    if is_data_dir(folder, files):
        return open_stores(DataDir.open(folder, files), files)
    stores = open_stores(DataDir.create(folder, files, Identity(7, 1, "d1")), files)
    found_cluster(stores, Membership({1: Member("n1:1", "d1")}))
    return stores


@asynccontextmanager
async def running(folder: Path, bounds: LogBounds | None = None) -> AsyncIterator[Alone]:
    """A node that leads itself, stopped at the end."""
    runner = Runner(Config(node=1, cluster=7), opened(folder), bounds or LogBounds())
    runner.start(Transport())
    alone = Alone(runner)
    try:
        await alone.until_leads()
        yield alone
    finally:
        await runner.close()
