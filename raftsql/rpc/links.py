"""The outgoing half of a node's connections: one long-lived stream to each peer.

A message starts its way inside `send`: the caller's next act is often an fsync, and what left
before it travels meanwhile. While a write is under way what comes gathers, and goes as one message
when it is done; so a slow peer gets larger messages, not more of them.

Nothing is promised but order: what can't be sent is dropped, the core is told that the peer may
have missed something, and finds out by itself. A stream that broke is opened again, soon at first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from raftsql.raft.membership import Membership
from raftsql.raft.messages import Envelope, NodeId
from raftsql.rpc.codec import Encoder
from raftsql.rpc.link import Link, LinkEvents
from raftsql.rpc.peers import Me

RETIRE_SECONDS = 1.0
"""How long a link to a former member stays, so that what was said to it last still leaves."""


class Links:
    """The streams to all peers, as the membership has them."""

    def __init__(self, me: Me, on: LinkEvents) -> None:
        """Without peers, until `membership_changed`."""
        self._me = me
        self._on = on
        self._encoder = Encoder()
        self._links: dict[NodeId, Link] = {}
        self._membership: Membership | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    def membership_changed(self, membership: Membership) -> None:
        """Open streams to new members, and follow those that moved. Cheap when nothing changed."""
        if membership is self._membership:
            return
        self._membership = membership
        others = {n: m for n, m in membership.members.items() if n != self._me.node}
        for node in self._links.keys() - others.keys():
            self._retire(self._links.pop(node))
        for node, member in others.items():
            if node in self._links:
                self._links[node].member_changed(member)
            else:
                self._links[node] = Link(self._me, node, member, self._on, self._encoder)

    def send(self, envelopes: Sequence[Envelope]) -> None:
        """Put messages on their way, in order; those to nobody known are dropped."""
        touched = []
        for envelope in envelopes:
            link = self._links.get(envelope.target)
            if link is not None:
                link.put(envelope.message)
                touched.append(link)
        for link in touched:
            link.flush()

    def reconnect(self, node: NodeId) -> None:
        """The peer has shown that it lives (its own stream came in): don't wait to call it."""
        link = self._links.get(node)
        if link is not None:
            link.reconnect()

    async def close(self) -> None:
        """End all streams; what still waits is lost."""
        links = list(self._links.values())
        self._links.clear()
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*(link.close() for link in links))
        await asyncio.gather(*self._retiring, return_exceptions=True)

    def _retire(self, link: Link) -> None:
        task = asyncio.get_running_loop().create_task(_let_go(link))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


async def _let_go(link: Link) -> None:
    try:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(link.drained(), RETIRE_SECONDS)
    finally:
        await link.close()
