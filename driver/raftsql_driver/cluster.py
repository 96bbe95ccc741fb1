"""What one event loop holds of one cluster: a stream to each node it speaks to.

Connections come and go; the streams stay a while for the next one.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from raftsql_driver.address import Address
from raftsql_driver.errors import AuthenticationFailed, Unavailable
from raftsql_driver.flows import Ask, Lost, Pause, Send, State, Wait
from raftsql_driver.routes import Routes
from raftsql_proto.frames import Cancel, Leader, Welcome

if TYPE_CHECKING:
    from raftsql_driver.stream import Stream, Ticket

GREETING_S: Final = 3.0
"""A node that does not greet by then is left for another one, where there is another one."""
LINGER_S: Final = 30.0
"""How long streams that no connection uses stay open."""


class Cluster:
    """The streams to a cluster's nodes, and what is known of it."""

    def __init__(self, address: Address, loop: asyncio.AbstractEventLoop) -> None:
        self.address = address
        self.loop = loop
        self.pid = os.getpid()
        self.state = State(Routes(address.nodes), time.monotonic)
        self.streams: dict[str, Stream] = {}
        self.welcome: Welcome | None = None
        self._token = ""
        """What a welcome gave in place of the password, which costs the nodes a tenth of a second
        to check."""
        self._token_until = 0.0
        self.node_ids: dict[str, int] = {}
        """By address: the numbers of nodes that were greeted."""
        self.pausing: set[Ticket] = set()
        """Of those who wait before they ask again: a leader that is heard of ends their pauses."""
        self._opening: dict[str, asyncio.Task[Stream | Lost]] = {}
        self._users = 0
        self._closer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    def use(self) -> None:
        """One connection more."""
        self._users += 1
        if self._closer is not None:
            self._closer.cancel()
            self._closer = None

    def release(self) -> None:
        """One connection less; after the last one the streams close in a while."""
        self._users -= 1
        if not self._users and not self.loop.is_closed():
            self._closer = self.loop.call_later(LINGER_S, self._close_soon)

    def _close_soon(self) -> None:
        self._closing = self.loop.create_task(self.close())

    async def close(self) -> None:
        """Close all streams."""
        if self._closer is not None:
            self._closer.cancel()
        for task in self._opening.values():
            task.cancel()
        for stream in list(self.streams.values()):
            await stream.close()

    async def connect(self) -> None:
        """Reach any node at all. Raises Unavailable with what each of them said."""
        reasons = []
        for node in list(self.state.routes.nodes):
            stream = self.streams.get(node) or await self.open(node)
            if not isinstance(stream, Lost):
                self.state.routes.home = node
                return
            reasons.append(stream.reason)
        raise unreached(self.address, reasons)

    async def open(self, node: str) -> Stream | Lost:
        """The stream to a node, opened if it is not open; many may wait for one opening."""
        stream = self.streams.get(node)
        if stream is not None:
            return stream
        task = self._opening.get(node)
        if task is None:
            task = self._opening[node] = self.loop.create_task(self._open(node))
            task.add_done_callback(lambda _: self._opening.pop(node, None))
        return await asyncio.shield(task)

    async def _open(self, node: str) -> Stream | Lost:
        routes = self.state.routes
        try:
            alone = len(routes.nodes) == 1
            stream = await self._greet(node, 60.0 if alone else GREETING_S)
        except Unavailable as error:
            routes.unreachable(node, time.monotonic())
            return Lost(str(error), sent=False)
        welcome = self.welcome = stream.welcome
        if welcome.token:
            self._token = welcome.token
            self._token_until = time.monotonic() + welcome.token_seconds * 0.9
        self.node_ids[node] = welcome.node
        stream.on_close = self._stream_closed
        stream.on_leader = partial(self._leader_changed, node)
        self.streams[node] = stream
        routes.reached(node)
        routes.learned(welcome.leader, welcome.members.values(), time.monotonic())
        return stream

    async def _greet(self, node: str, patience_s: float) -> Stream:
        from raftsql_driver.stream import open_stream

        if self._token and time.monotonic() < self._token_until:
            try:
                return await open_stream(node, self.address, patience_s, self._token)
            except AuthenticationFailed:
                self._token = ""  # The password may be another now, and this one the right one.
        return await open_stream(node, self.address, patience_s)

    def _stream_closed(self, stream: Stream) -> None:
        if self.streams.get(stream.node) is stream:
            del self.streams[stream.node]
        self.state.routes.unreachable(stream.node, time.monotonic())

    def _leader_changed(self, node: str, leader: Leader) -> None:
        routes = self.state.routes
        if not leader.address:
            routes.stepped_down(node)
        routes.learned(leader.address, leader.members.values(), time.monotonic())
        if routes.leader:
            self._end_pauses()

    def _end_pauses(self) -> None:
        with suppress(KeyError):  # Threads take theirs out by themselves.
            while self.pausing:
                ticket = self.pausing.pop()
                if not ticket.done():
                    ticket.set_result(True)

    async def pause(self, step: Pause) -> None:
        """Carry out a `Pause`."""
        future: asyncio.Future[bool] = self.loop.create_future()
        self.pausing.add(future)
        try:
            async with asyncio.timeout(step.seconds):
                await future
        except TimeoutError:
            pass
        finally:
            self.pausing.discard(future)

    async def ask(self, step: Ask) -> Any:
        """Carry out an `Ask`: for the colour that runs in this loop."""
        stream = self.streams.get(step.node)
        if stream is None:
            if step.serial:
                return Lost(f"the stream to {step.node} was lost", sent=False)
            opened = await self._open_in_time(step)
            if isinstance(opened, Lost):
                return opened
            stream = opened
        elif step.serial and step.serial != stream.serial:
            return Lost(f"the stream to {step.node} was lost", sent=False)
        step.serial = stream.serial
        future: asyncio.Future[Any] = self.loop.create_future()
        stream.submit(step.frame, future)
        return await self._answer(future, stream, step.frame.id, step.deadline)

    async def _open_in_time(self, step: Ask) -> Stream | Lost:
        try:
            async with asyncio.timeout(step.deadline - time.monotonic()):
                return await self.open(step.node)
        except TimeoutError:
            return Lost(f"{step.node} could not be reached in time", sent=False)

    async def _answer(
        self, future: asyncio.Future[Any], stream: Stream, number: int, deadline: float
    ) -> Any:
        left = deadline - time.monotonic()
        timer = self.loop.call_later(left, _late, future)
        try:
            outcome = await future
        except asyncio.CancelledError:
            stream.submit(Cancel(number), None)
            raise
        finally:
            timer.cancel()
        if type(outcome) is Lost and outcome.late:
            stream.submit(Cancel(number), None)
        return outcome

    def send(self, step: Send) -> Any:
        """Carry out a `Send`: a ticket for the answer, None where there is none."""
        future: asyncio.Future[Any] = self.loop.create_future()
        stream = self.streams.get(step.node)
        if stream is None or stream.serial != step.serial:
            future.set_result(Lost(f"the stream to {step.node} was lost", sent=False))
        elif hasattr(step.frame, "id") and type(step.frame) is not Cancel:
            stream.submit(step.frame, future)
        else:
            stream.submit(step.frame, None)
        return future

    async def wait(self, step: Wait) -> Any:
        """Carry out a `Wait`."""
        stream = self.streams.get(step.node)
        if stream is None or step.ticket.done():
            return await step.ticket
        return await self._answer(step.ticket, stream, step.frame.id, step.deadline)


def _late(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_result(Lost("no answer in time", sent=True, late=True))


_clusters: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Any, Cluster]] = WeakKeyDictionary()


def cluster_of(address: Address, loop: asyncio.AbstractEventLoop) -> Cluster:
    """The cluster at this address, shared by all connections of an event loop."""
    shared = _clusters.setdefault(loop, {})
    cluster = shared.get(address.key)
    if cluster is None or cluster.pid != os.getpid():
        cluster = shared[address.key] = Cluster(address, loop)
    return cluster


def unreached(address: Address, reasons: list[str]) -> Unavailable:
    """The error for whom no node has answered; who named none has perhaps not started any, or not
    on this machine."""
    nobody = address.nodes == Address().nodes and all("refused" in reason for reason in reasons)
    hint = "; `raftsql up` starts a cluster there, and RAFTSQL_URL names another" if nobody else ""
    return Unavailable("no node can be reached: " + "; ".join(reasons) + hint)
