"""Putting a command of the operator's into the log, and waiting for its answer."""

from __future__ import annotations

import asyncio

from raftsql.cluster.requests import Write
from raftsql.cluster.runner import Runner
from raftsql.sql.commands import CommandKind, Settings, Why


class NotProposed(Exception):
    """It did not happen, or nobody can say whether it did; `why` tells which."""

    def __init__(self, why: Why, message: str) -> None:
        super().__init__(message)
        self.why = why


class Awaited:
    """A reply that somebody waits for."""

    def __init__(self) -> None:
        self.future: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()

    def result(self, answer: bytes, index: int) -> None:
        if not self.future.done():
            self.future.set_result((index, answer))

    def page(self, page: object, index: int, age_ms: int) -> None:
        if not self.future.done():
            self.future.set_result((index, b""))

    def refused(self, why: Why, message: str) -> None:
        if not self.future.done():
            self.future.set_exception(NotProposed(why, message))


async def proposed(
    runner: Runner,
    kind: CommandKind,
    body: bytes,
    seconds: float,
    settings: Settings = Settings.FOREIGN_KEYS,
) -> tuple[int, bytes]:
    """Propose a command on the leader; where it stands in the log, and its answer."""
    reply = Awaited()
    deadline_ms = runner.now_ms() + int(seconds * 1000) if seconds else 0
    runner.replica.write(Write(kind, body, reply, settings, deadline_ms=deadline_ms))
    runner.wake()
    return await reply.future


def let_through(runner: Runner, reason: str) -> None:
    """Roll back the transaction that holds the writer: what was proposed waits for it."""
    runner.replica.writer.make_way(reason)
    runner.wake()
