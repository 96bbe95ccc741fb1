"""One node of a script, with its disk, its state machine, and a caller that does as Ready says."""

from __future__ import annotations

from collections.abc import Callable

from raftsql.raft.config import Config
from raftsql.raft.messages import Entry, Envelope, NodeId, Position, SnapshotMeta
from raftsql.raft.node import Node
from raftsql.raft.ready import Ready, Status
from tests.raft.disk import Disk
from tests.raft.machine import Machine


class Replica:
    """A node and its surroundings. Disk, applying and installing can each be held up."""

    def __init__(
        self,
        config: Config,
        disk: Disk,
        machine: Machine,
        *,
        now: int,
        chance: Callable[[int], int],
        send: Callable[[list[Envelope]], None],
        images: dict[Position, Machine],
        say: Callable[[str], None],
    ) -> None:
        """Start the node from what is durable."""
        self.config = config
        self.disk = disk
        self.machine = machine
        self.now = now
        self.chance = chance
        self.images = images
        """Snapshots that exist somewhere in the cluster."""
        self._send = send
        self._say = say
        self.disk_held = self.applying_held = self.installing_held = False
        self.stopped = ""
        """Why the node stopped by itself."""
        self.node: Node | None = None
        self.start()

    @property
    def id(self) -> NodeId:
        """The node's number."""
        return self.config.node

    @property
    def running(self) -> Node:
        """The node, which must be running."""
        assert self.node is not None, f"node {self.id} does not run"
        return self.node

    @property
    def status(self) -> Status:
        """The node's own picture of itself."""
        return self.running.status()

    def start(self) -> None:
        """Start, or start again, from what is durable."""
        self.stopped = ""
        self.to_apply: list[list[Entry]] = []
        self.to_install: SnapshotMeta | None = None
        self.wanted: list[NodeId] = []
        self.granted: dict[int, int] = {}
        self.refused: list[int] = []
        log = self.disk.log(self.machine.position)
        self.node = Node(
            self.config, state=self.disk.state, log=log,
            membership=self.machine.membership, now=self.now, chance=self.chance,
        )  # fmt: skip
        self._said_role = self.node.ready().changed  # Nobody need be told of the start.

    def crash(self) -> None:
        """Stop at once, and lose what is not durable."""
        self.node = None
        self.disk.crash()

    def do(self, act: Callable[[Node], object]) -> None:
        """Give the node an input, and do all that it then asks for.

        A broken assertion stops the node, as it would stop the program.
        """
        if self.node is None:
            return
        try:
            act(self.node)
            self._pump(self.node)
        except AssertionError as broken:
            self.stopped = str(broken)
            self._say(f"n{self.id} stops: {broken}")
            self.crash()

    def _pump(self, node: Node) -> None:
        while self._follow(node, node.ready()):
            pass

    def _follow(self, node: Node, ready: Ready) -> bool:
        if ready.changed:
            self._tell_role(ready)
        self._send(ready.messages)
        if ready.save:
            self.disk.write(ready.save)
            if not self.disk_held:
                self.sync_all(node)
        if ready.install:
            self.to_install = ready.install
            self._say(f"n{self.id} wants to install {show(ready.install.last)}")
            if not self.installing_held:
                self.install(node)
        if ready.committed:
            self.to_apply.append(list(ready.committed))
            if not self.applying_held:
                self.apply_all(node)
        for granted in ready.reads:
            self.granted[granted.request] = granted.read_index
            self._say(f"n{self.id} read {granted.request} granted from {granted.read_index} on")
        for request in ready.reads_refused:
            self.refused.append(request)
            self._say(f"n{self.id} read {request} refused")
        for peer in ready.snapshots_wanted:
            self.wanted.append(peer)
            self._say(f"n{self.id} wants a snapshot shipped to {peer}")
        return bool(
            ready.messages or ready.save or ready.install or ready.committed or ready.changed
        )

    def _tell_role(self, ready: Ready) -> None:
        assert ready.changed is not None
        role, term, leader = ready.changed
        of = f" of {leader}" if leader not in (0, self.id) else ""
        self._say(f"n{self.id} {role}@{term}{of}")

    def sync(self, node: Node) -> None:
        """One write becomes durable."""
        node.saved(self.disk.sync())

    def sync_all(self, node: Node) -> None:
        """All writes become durable."""
        while self.disk.writing:
            self.sync(node)

    def apply_all(self, node: Node) -> None:
        """Apply what is committed."""
        while self.to_apply:
            entries = self.to_apply.pop(0)
            self.machine.apply(entries)
            node.applied(entries[-1].index)

    def install(self, node: Node) -> None:
        """Put the state machine on the received snapshot."""
        snapshot, self.to_install = self.to_install, None
        assert snapshot is not None, f"node {self.id} has no snapshot to install"
        self.to_apply.clear()
        self.machine = self.images[snapshot.last].copy()
        node.installed(snapshot)


def show(position: Position) -> str:
    """A place in the log as people read it."""
    return f"{position.index}@{position.term}"
