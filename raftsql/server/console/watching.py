"""What the page shows of the cluster: the members each second, and what happens when it happens.

One gatherer serves all pages of a node, and rests while there is none. Each page gets the newest
picture: one that reads slowly misses some, and keeps nothing waiting. What happened is kept, the
last of it, whether anybody looks or not.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.responses import Response

from raftsql.raft.messages import NOBODY
from raftsql.raft.ready import RoleChange, RoleName
from raftsql.server.console import picture
from raftsql.server.console.gathering import Gathering
from raftsql.server.console.guarding import Answer, Asked
from raftsql.server.console.problems import busy
from raftsql.server.console.streaming import Flow

if TYPE_CHECKING:
    from raftsql.server.console.app import Console
    from raftsql.server.console.sessions import Session

EVERY_SECONDS: Final = 1.0
SETTLE_SECONDS: Final = 0.15
"""How long a picture waits for those that were just asked; most answer in a few milliseconds."""
HEARTBEAT_SECONDS: Final = 15.0
HAPPENED_MAX: Final = 200
TEXT_MAX: Final = 500
LISTENERS_MAX: Final = 300
"""Pages that may look at one node at the same time."""


LISTENERS_OF_ONE_MAX: Final = 32
"""Of one login."""


class Listener:
    """One page: the newest picture, and what happened since it was last told."""

    def __init__(self) -> None:
        self.cluster = b""
        self.happened: deque[bytes] = deque(maxlen=HAPPENED_MAX)
        self.told = asyncio.Event()


class Watch:
    """Of one node."""

    def __init__(self, console: Console) -> None:
        """Nothing has happened."""
        self._console = console
        self._host = console.host
        self._gathering = Gathering(console.host)
        self._happened: deque[dict[str, Any]] = deque(maxlen=HAPPENED_MAX)
        self._listeners: set[Listener] = set()
        self._wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._led: tuple[int, int] = (NOBODY, 0)
        self._counted: dict[str, int] = {}
        self._alarms: list[str] = []
        self._named = False
        """The members that there were at the start have been heard of."""

    def start(self) -> None:
        """Note what happens from now on."""
        self._host.watchers.append(self)
        self._tasks = [
            asyncio.create_task(self._gather()),
            asyncio.create_task(self._count()),
        ]

    async def close(self) -> None:
        """Note nothing more."""
        if self in self._host.watchers:
            self._host.watchers.remove(self)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._gathering.rest()

    # What happens.

    def role_changed(self, change: RoleChange) -> None:
        """This node has another role, or learnt of another leader."""
        me = self._host.forming.me.node
        if change.role is RoleName.CANDIDATE:
            self.happen("election", f"node {me} campaigns in term {change.term}")
        elif change.leader != NOBODY and (change.leader, change.term) != self._led:
            self._led = (change.leader, change.term)
            self.happen("election", f"node {change.leader} leads in term {change.term}")
        elif change.leader == NOBODY and self._led[0] != NOBODY:
            self.happen("election", f"node {self._led[0]} is not heard any more")
            self._led = (NOBODY, change.term)
        self._publish()

    def membership_changed(self, texts: list[str]) -> None:
        """Members came, went, or are others now. What there was at the start is no news."""
        texts, self._named = (texts if self._named else []), True
        for text in texts:
            self.happen("membership", text)

    def happen(self, kind: str, text: str) -> None:
        """Note it, and tell whoever looks."""
        event = {"at_ms": int(time.time() * 1000), "kind": kind, "text": text[:TEXT_MAX]}
        self._happened.append(event)
        for listener in self._listeners:
            listener.happened.append(_event("happened", event))
            listener.told.set()

    async def _count(self) -> None:
        """Notice what is only counted."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            runner = self._host.runner
            if runner is None:
                continue
            meters, before = runner.meters, self._counted
            now = self._counted = {
                "was put on a snapshot of the leader's": meters.snapshots_installed,
                "shipped a snapshot": meters.snapshots_shipped,
                "could not ship a snapshot": meters.snapshots_failed,
                "shortened its log": runner.housekeeping.compactions,
            }
            for text, count in now.items():
                if before and count > before[text]:
                    self.happen("snapshot", f"node {runner.node.id} {text}")

    # What is to be seen.

    async def _gather(self) -> None:
        while True:
            if not self._listeners:
                await self._gathering.rest()
                self._wanted.clear()
                await self._wanted.wait()
            began = asyncio.get_running_loop().time()
            try:
                self._gathering.look()
                await self._gathering.settle(SETTLE_SECONDS)
                self._publish()
            except Exception:
                self._console.log.exception("the members could not be looked at")
            took = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(0.1, EVERY_SECONDS - took))

    def _publish(self) -> None:
        if not self._listeners or self._host.runner is None:
            return
        shown = picture.cluster(self._host.runner.node.status(), self._gathering.known)
        for text in shown["alarms"]:
            if text not in self._alarms:
                self.happen("alarm", text)
        for text in self._alarms:
            if text not in shown["alarms"]:
                self.happen("alarm", f"over: {text}")
        self._alarms = shown["alarms"]
        packed = _event("cluster", shown)
        for listener in self._listeners:
            listener.cluster = packed
            listener.told.set()

    def happened(self) -> list[dict[str, Any]]:
        """The last of it, oldest first."""
        return list(self._happened)

    async def listen(self, session: Session) -> AsyncGenerator[bytes, None]:
        """What a page is told, for as long as its session holds."""
        listener = Listener()
        self._listeners.add(listener)
        self._wanted.set()
        session.at_end.append(listener.told.set)
        sessions = self._console.sessions
        try:
            yield b": the console\nretry: 1000\n\n"
            while not session.ended.is_set():
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await listener.told.wait()
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                listener.told.clear()
                if session.ended.is_set() or not sessions.holds(session):
                    break
                news = b"".join(listener.happened) + listener.cluster
                listener.happened.clear()
                listener.cluster = b""
                yield news
            yield _event("expired", {})
        finally:
            self._listeners.discard(listener)
            session.at_end.remove(listener.told.set)

    @property
    def is_full(self) -> bool:
        """Whether no more pages can look."""
        return len(self._listeners) >= LISTENERS_MAX


def _event(name: str, content: Any) -> bytes:
    """As server-sent events have it; JSON has no line breaks of its own."""
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(content) + b"\n\n"


async def events(asked: Asked) -> Response:
    """The members as they change, and what happens."""
    watch = asked.console.watch
    if len(asked.session.at_end) >= LISTENERS_OF_ONE_MAX:
        raise busy("this login looks at the node from many pages: close some")
    if watch.is_full:
        raise busy("too many pages look at this node")
    return Flow(watch.listen(asked.session), "text/event-stream", until=asked.session.ended)


async def timeline(asked: Asked) -> Response:
    """What has happened lately, as this node has seen it."""
    return Answer({"happened": asked.console.watch.happened()})
