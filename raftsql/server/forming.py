"""How a node with an empty data directory comes to belong to a cluster.

It may found one (alone, or as the first of a number that was expected), or ask for a place in one.
Only one node may ever found a cluster that others expect to share: of all that wait for each
other, the one with the lowest number does, once it has seen all of them; the rest join it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

import raftsql
from raftsql.raft.membership import Member, Membership
from raftsql.raft.messages import NodeId
from raftsql.rpc.channels import PLAIN, Roads
from raftsql.rpc.joining import Introduction, introduce, join
from raftsql.rpc.peers import Me
from raftsql.server.beginning import Beginning, begin, begun
from raftsql.server.settings import ServeSettings
from raftsql.storage.datadir import DataDir, Identity, check_free, is_data_dir
from raftsql.storage.errors import DataDirError
from raftsql.storage.files import Files

log = logging.getLogger("raftsql.server")

ASK_SECONDS = 0.1
"""How long to wait before asking again for a cluster that is not there yet."""
JOIN_SECONDS = 15.0
NUMBERLESS = 1 << 62
"""Where nodes without a number stand in the order of founders."""


class CannotJoin(Exception):
    """The cluster does not let this node in; the message says what to do."""


@dataclass(slots=True)
class Place:
    """A data directory that belongs to a cluster, and the founding membership if it is new."""

    datadir: DataDir
    founding: Membership | None = None


class Forming:
    """Finds this node's place, once, while it can be asked who it is."""

    def __init__(
        self,
        settings: ServeSettings,
        files: Files,
        fingerprint: str,
        say: Callable[[str], None],
        roads: Roads = PLAIN,
    ) -> None:
        """`say` hears what is being waited for."""
        self._settings = settings
        self._files = files
        self._say = say
        noted = begun(settings.data_dir, files)
        self.me = Me(
            cluster=0,
            node=settings.node_id or 0,
            identity=noted.identity if noted is not None else secrets.token_hex(16),
            fingerprint=fingerprint,
            address=settings.advertise,
            version=raftsql.__version__,
            roads=roads,
        )

    @property
    def expects(self) -> int:
        """How many nodes it waits for, so that they form a cluster together."""
        return self._settings.bootstrap_expect or 0

    async def place(self) -> Place:
        """The place this node has had, or gets now."""
        settings = self._settings
        if is_data_dir(settings.data_dir, self._files):
            datadir = DataDir.open(settings.data_dir, self._files, node=settings.node_id)
            self.me = replace(
                self.me,
                cluster=datadir.identity.cluster,
                node=datadir.identity.node,
                identity=datadir.identity.unique,
            )
            noted = begun(settings.data_dir, self._files)
            if noted is not None and noted.founds:
                return Place(datadir, self._founding())
            return Place(datadir)
        self._make_folder()
        check_free(settings.data_dir, self._files)
        others = [address for address in settings.join if address != settings.advertise]
        if not others and self.expects <= 1:
            return self._found()
        return await self._meet(others)

    def _make_folder(self) -> None:
        folder = self._settings.data_dir
        try:
            self._files.make_folder(folder)
        except OSError as error:
            raise DataDirError(
                f"the data directory {folder} can't be made: {error.strerror}."
                " Name another with --data-dir, or let this user write there"
            ) from error

    def _found(self) -> Place:
        """A new cluster of one."""
        self._begin(founds=True)
        place = self._settle(secrets.randbits(63) | 1, self._settings.node_id or 1)
        place.founding = self._founding()
        return place

    def _founding(self) -> Membership:
        settings = self._settings
        founder = Member(settings.advertise, self.me.identity, priority=settings.priority)
        return Membership({self.me.node: founder})

    def _begin(self, *, founds: bool) -> None:
        begin(self._settings.data_dir, self._files, Beginning(self.me.identity, founds))

    def _settle(self, cluster: int, node: NodeId) -> Place:
        self.me = replace(self.me, cluster=cluster, node=node)
        identity = Identity(cluster, node, self.me.identity)
        return Place(DataDir.create(self._settings.data_dir, self._files, identity))

    async def _meet(self, others: list[str]) -> Place:
        """Ask until somebody belongs to a cluster and lets this node in, or all wait for all."""
        self._say(f"waits for an answer from {', '.join(others)}")
        while True:
            met = await asyncio.gather(*(introduce(address, self.me) for address in others))
            found = [one for one in met if one is not None]
            for one in found:
                if one.cluster:
                    node = await self._ask(one)
                    if node:
                        return self._settle(one.cluster, node)
            if self.expects and self._may_found(found):
                return self._found()
            await asyncio.sleep(ASK_SECONDS)

    def _may_found(self, met: list[Introduction]) -> bool:
        """Whether everybody is here, waits for as many, and this node is the first of them."""
        waiting = [one for one in met if not one.cluster and one.expects == self.expects]
        self._say(f"waits for {self.expects} nodes to form a cluster; {len(waiting) + 1} are here")
        if len({one.identity for one in waiting}) + 1 < self.expects:
            return False
        numbers = [one.node for one in waiting if one.node]
        if self.me.node and self.me.node in numbers:
            raise CannotJoin(f"two nodes are started with --node-id {self.me.node}")
        mine = (self.me.node or NUMBERLESS, self.me.identity)
        return all(mine < (one.node or NUMBERLESS, one.identity) for one in waiting)

    async def _ask(self, member: Introduction) -> NodeId:
        """Ask the leader for a place; 0 when there is none yet."""
        self._begin(founds=False)
        answer = await join(
            member.leader or member.address, self.me, seconds=JOIN_SECONDS,
            learner=self._settings.learner, priority=self._settings.priority,
        )  # fmt: skip
        if answer is None or (answer.leader and not answer.accepted):
            return 0
        if not answer.accepted:
            if answer.reason.startswith("later:"):
                self._say(f"is asked to wait: {answer.reason.removeprefix('later:').strip()}")
                return 0
            raise CannotJoin(answer.reason)
        return answer.node
