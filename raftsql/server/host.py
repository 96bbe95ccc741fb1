"""A node, assembled: the one place where all rooms meet.

The host is whom the network side tells and asks (peers' messages, requests to join), and whom the
runner hands its messages to. It decides nothing about data.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec

from raftsql.cluster.housekeeping import LogBounds
from raftsql.cluster.marking import Substitute
from raftsql.cluster.meters import Meters, TimedFiles
from raftsql.cluster.opening import found_cluster, open_stores
from raftsql.cluster.runner import Runner
from raftsql.raft.config import Config
from raftsql.raft.membership import AddMember, Member, Membership, UpdateMember
from raftsql.raft.messages import Envelope, InstallSnapshot, NodeId, Removed, SnapshotMeta
from raftsql.raft.ready import Refused, RoleChange, RoleName
from raftsql.rpc.admin_service import AdminService, changed, most_level
from raftsql.rpc.audit import Audit
from raftsql.rpc.client_service import ClientService
from raftsql.rpc.gate import Gate
from raftsql.rpc.handing_over import hand_over
from raftsql.rpc.joining import Introduction, JoinAnswer, JoinAsked, introduce, join
from raftsql.rpc.links import Links
from raftsql.rpc.peer_service import PeerService
from raftsql.rpc.receiving import SnapshotReceiver
from raftsql.rpc.shipping import Bandwidth
from raftsql.rpc.sibling_service import SiblingService
from raftsql.rpc.siblings import Siblings
from raftsql.rpc.users_service import UsersService
from raftsql.server import beginning
from raftsql.server.destinations import destination
from raftsql.server.ending import Whereabouts
from raftsql.server.forming import Forming, Place
from raftsql.server.logs import Place as LogPlace
from raftsql.server.news import changes
from raftsql.server.schedule import Schedule
from raftsql.server.settings import ServeSettings, demands_users, is_loopback
from raftsql.server.supply import Supply
from raftsql.sql.commands import Restore
from raftsql.sql.verdict import Mode
from raftsql.storage.files import Files

log = logging.getLogger("raftsql.server")

HAND_OVER_SECONDS = 2.0
RETURN_SECONDS = 1.0
"""How long to wait before telling the cluster a new address again."""


class Watcher(Protocol):
    """Hears what happens to a node, and does nothing that takes long."""

    def role_changed(self, change: RoleChange) -> None:
        """It has another role, or learnt of another leader."""

    def membership_changed(self, texts: list[str]) -> None:
        """Members came, went, or are others now."""


class Host:
    """One node of a cluster, from the moment its place is known."""

    def __init__(self, settings: ServeSettings, forming: Forming) -> None:
        """A node without a place yet; it can be asked who it is."""
        self.settings = settings
        self.forming = forming
        self.runner: Runner | None = None
        self.links: Links | None = None
        self.supply: Supply | None = None
        self.siblings: Siblings | None = None
        self.peers = PeerService(forming.me, self, allow_fingerprint=settings.allow_fingerprint)
        self.audit = Audit(settings.audit_log)
        self.gate = Gate(self.audit, demands=demands_users(settings))
        self.admin = AdminService(settings.advertise, self.gate)
        self.clients = ClientService(settings.mode, self.gate)
        self.users = UsersService(self.gate)
        self.started_at = time.time()
        self.watchers: list[Watcher] = []
        """Whoever wants to hear what happens."""
        self.stopping = False
        """Told to stop: it hands over what it does, and should be given nothing new."""
        self._warned_of_open_peers = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._backups: asyncio.Task[None] | None = None
        self._greeters: dict[NodeId, Member] = {}
        """Peers that this node's log does not name yet."""
        self._moved: dict[NodeId, tuple[str, Member]] = {}
        """Peers that say they are elsewhere than the log says: where that is, and where they are.
        Whether it is true shows when they are called there: both sides name their directories."""
        self._named: Membership | None = None
        self._said = Membership()
        """The membership that the log was last told of."""

    def start(self, place: Place, files: Files) -> Runner:
        """Open what is on disk, and run."""
        _close_to_others(place.datadir.folder)
        meters = Meters()
        stores = open_stores(place.datadir, files, timed=TimedFiles(files, meters.sync))
        if place.founding is not None and stores.journal.last.index == 0:
            found_cluster(stores, place.founding)
        beginning.end(place.datadir.folder, files)
        settings, me = self.settings, self.forming.me
        config = Config(
            node=me.node,
            cluster=me.cluster,
            heartbeat_ms=settings.heartbeat_ms,
            election_ms=settings.election_ms,
            lease_ms=settings.lease_ms,
            drift_ms=settings.drift_ms,
        )
        bounds = _log_bounds(settings)
        runner = self.runner = Runner(config, stores, bounds, meters)
        self.peers.me = me
        self.peers.receiver = SnapshotReceiver(self.peers.unwelcome, stores.snapshots, self)
        self.links = Links(me, self)
        self.supply = Supply(runner, me, self, settings.ship_bytes_per_second)
        self._name_peers()
        self.siblings = Siblings(me, runner)
        self.peers.siblings = SiblingService(
            runner, self.siblings, self.peers.unwelcome, Bandwidth(settings.ship_bytes_per_second)
        )
        self.admin.attach(runner, self.siblings, Mode(settings.mode))
        self.audit.node = me.node
        self.gate.attach(lambda: stores.machine.access)
        self.clients.attach(runner, me.roads)
        self.users.attach(runner, me.roads)
        runner.start(self)
        if place.founding is None:
            self._task(self._tell_address())
        self._schedule_backups(runner)
        return runner

    def reconfigure(self, settings: ServeSettings) -> None:
        """Take up what of the settings can be taken up while running."""
        before, self.settings = self.settings, settings
        try:
            self.audit.reopen(settings.audit_log)
        except OSError as error:
            log.error("the audit log stays where it is: %s", error)
        self.clients.tally.slower_than(settings.slow_statement_ms)
        self.peers.allow_fingerprint = settings.allow_fingerprint
        if self.runner is None:
            return
        bounds = _log_bounds(settings)
        self.runner.housekeeping.bounds = bounds
        if _backup_plan(settings) != _backup_plan(before):
            self._schedule_backups(self.runner)

    def whereabouts(self) -> Whereabouts:
        """What there is to know of this node and the others, for its last words."""
        settings, me = self.settings, self.forming.me
        join = [place for place in settings.join if place != settings.advertise]
        members = self._names().members if self.runner is not None else {}
        others = [member.address for node, member in members.items() if node != me.node]
        return Whereabouts(
            settings.data_dir, me.node, others or join, bool(join), settings.node_id is not None
        )

    def where(self) -> LogPlace:
        """Who logs, and in which term."""
        term = self.runner.node.term if self.runner is not None else 0
        return LogPlace(self.forming.me.node, term)

    def _schedule_backups(self, runner: Runner) -> None:
        if self._backups is not None:
            self._backups.cancel()
            self._backups = None
            self.admin.more.pop("backup")
        if not self.settings.backup_to:
            return
        assert self.admin.backups is not None, "a running node gives backups"
        schedule = Schedule(
            runner,
            self.admin.backups,
            destination(self.settings.backup_to),
            every_seconds=self.settings.backup_every_seconds,
            keep=self.settings.backup_keep,
        )
        self.admin.more["backup"] = schedule.picture
        self._backups = self._task(schedule.run())

    def _task(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _tell_address(self) -> None:
        """A member whose address is another than the cluster knows says so, until it is heard."""
        runner, me = self.runner, self.forming.me
        assert runner is not None
        while True:
            known = runner.node.membership.members.get(me.node)
            if known is None or known.address == me.address:
                return
            await self._look_for_others()
            members = runner.node.membership.members
            places = [m.address for node, m in members.items() if node != me.node]
            for address in [*places, *self.settings.join]:
                answer = await join(address, me, seconds=RETURN_SECONDS)
                if answer is not None and answer.leader and not answer.accepted:
                    answer = await join(answer.leader, me, seconds=RETURN_SECONDS)
                if answer is not None and answer.accepted:
                    return
            if runner.replica.leads:
                await changed(runner, UpdateMember(me.node, me.address, known.priority))
            await asyncio.sleep(RETURN_SECONDS)

    async def _look_for_others(self) -> None:
        """Perhaps all have moved, and nobody can be elected before they find each other."""
        places = [place for place in self.settings.join if place != self.forming.me.address]
        for one in await asyncio.gather(*(introduce(p, self.forming.me) for p in places)):
            if one is not None and one.cluster == self.forming.me.cluster:
                self._heard_from(one.node, Member(one.address, one.identity))

    # What the runner asks.

    def send(self, messages: Sequence[Envelope]) -> None:
        """Put messages on their way."""
        if self.links is not None:
            self.links.send(messages)

    def ship(self, peer: NodeId) -> None:
        """Send a snapshot to the peer."""
        assert self.supply is not None, "a leader has its stores open"
        self.supply.want(peer)

    def role_changed(self, change: RoleChange) -> None:
        """Tell clients where the leader is; a removed node has nothing more to do."""
        self.clients.role_changed()
        for watcher in self.watchers:
            watcher.role_changed(change)
        if change.role is RoleName.REMOVED:
            log.warning(
                "node %d was removed from the cluster: it serves no more. Its id can't be used "
                "again", self.forming.me.node,
            )  # fmt: skip

    def applied(self) -> None:
        """The membership may be another, and there may be users now."""
        self._name_peers()
        if self.gate.access.on and not self._warned_of_open_peers:
            self._warned_of_open_peers = True
            self._warn_of_open_peers()

    def _warn_of_open_peers(self) -> None:
        listen = self.settings.listen
        if self.forming.me.roads.certificates is None and not is_loopback(
            listen.rpartition(":")[0]
        ):
            log.warning(
                "this cluster has users, and its nodes have no certificates: passwords travel in"
                " the clear, and whoever reaches %s can pose as a node and read and change"
                " everything. Give the nodes certificates (docs/security.md), or let nobody else"
                " into that network", listen,
            )  # fmt: skip

    async def fetch_restore(self, restore: Restore, index: int) -> Substitute | None:
        """Get the file of a restore from another node, or what stands in for it."""
        assert self.siblings is not None, "a running node has siblings"
        return await self.siblings.fetch(restore, index)

    # What peers say.

    def membership(self) -> Membership:
        """The committed membership."""
        if self.runner is None:
            return Membership()
        node = self.runner.node
        return node.history.at(node.log.committed)

    def deliver(self, envelopes: list[Envelope]) -> None:
        """Messages of a peer."""
        if self.runner is not None:
            self.runner.receive(envelopes)

    def greeted(self, node: NodeId, peer: Member, version: str) -> None:
        """A peer lives. A node whose log does not name it yet must answer it all the same."""
        if self.links is None or self.runner is None:
            return
        self.runner.versions[node] = version
        self._heard_from(node, peer)
        self.links.reconnect(node)

    def _heard_from(self, node: NodeId, peer: Member) -> None:
        """Remember where a peer says it is, where the log says otherwise or nothing."""
        known = self._names().members.get(node)
        if known is None:
            self._greeters[node] = peer
        elif known.identity == peer.identity and known.address != peer.address:
            self._moved[node] = (
                known.address,
                msgspec.structs.replace(known, address=peer.address),
            )
        else:
            return
        self._named = None
        self._name_peers()

    def _names(self) -> Membership:
        assert self.runner is not None, "peers are named by the log"
        return self.runner.node.membership

    def _name_peers(self) -> None:
        """Let the links know where everybody is: by the log, or else by their own word."""
        assert self.links is not None, "a running node has links"
        named = self._names()
        if named is self._named:
            return
        if self._said is not named:
            news = changes(self._said, named)
            for change in news:
                log.info("%s", change)
            for watcher in self.watchers:
                watcher.membership_changed(news)
            self._said = named
        self._named = named
        for node in [*named.members, *named.removed]:
            self._greeters.pop(node, None)
        moved = {
            node: member
            for node, (address, member) in self._moved.items()
            if node in named.members and named.members[node].address == address
        }
        if self._greeters or moved:
            members = {**self._greeters, **named.members, **moved}
            named = Membership(members, named.removed)
        self.links.membership_changed(named)

    def unreachable(self, node: NodeId) -> None:
        """What was sent to a peer may be lost."""
        assert self.runner is not None
        self.runner.node.unreachable(node)
        self.runner.wake()

    def process_ended(self, node: NodeId) -> None:
        """A peer's process is gone."""
        assert self.runner is not None
        self.runner.node.process_ended(node, self.runner.now_ms())
        self.runner.wake()

    def refused(self, node: NodeId, reason: str, *, removed: bool) -> None:
        """A peer does not want to hear this node."""
        log.warning("node %d refuses this node: %s", node, reason)
        if removed and self.runner is not None:
            me, term = self.forming.me, self.runner.node.term
            self.deliver([Envelope(me.cluster, node, me.node, Removed(term))])

    def snapshot_unwanted(self, meta: SnapshotMeta, term: int) -> str:
        """Why a snapshot is of no use here."""
        if self.runner is None:
            return "this node is not running yet"
        node = self.runner.node
        if term < node.term:
            return f"term {term} is over; this node is in term {node.term}"
        if meta.last.index <= node.log.committed:
            return f"this node holds everything up to entry {node.log.committed} already"
        return ""

    def snapshot_received(self, meta: SnapshotMeta, term: int, source: NodeId) -> None:
        """A snapshot is here as a whole: let the core decide about it."""
        me = self.forming.me
        message = InstallSnapshot(term, meta)
        self.deliver([Envelope(me.cluster, source, me.node, message)])

    def snapshot_progressed(self, node: NodeId, received_bytes: int, size_bytes: int) -> None:
        """A peer has so much of the snapshot that is shipped to it."""
        if self.runner is not None:
            self.runner.node.snapshot_progressed(node, self.runner.now_ms())

    def introduce(self) -> Introduction:
        """Who this node is."""
        me = self.forming.me
        return Introduction(
            cluster=me.cluster if self.runner is not None else 0,
            node=me.node,
            identity=me.identity,
            address=me.address,
            fingerprint=me.fingerprint,
            expects=self.forming.expects,
            leader=self.clients.leader_address() if self.runner is not None else "",
        )

    async def join(self, asked: JoinAsked) -> JoinAnswer:
        """Give a node a place, or send it to the leader."""
        runner = self.runner
        if runner is None or not runner.replica.leads:
            leader = self.clients.leader_address() if runner is not None else ""
            return JoinAnswer(accepted=False, leader=leader, reason="later: no leader is known")
        problem = self._objection(asked)
        if problem:
            return JoinAnswer(accepted=False, reason=problem)
        membership = runner.node.membership
        for node, member in membership.members.items():
            if member.identity == asked.identity:
                return await self._welcome_back(node, asked)
        node = asked.node or max([*membership.members, *membership.removed], default=0) + 1
        change = AddMember(
            node, asked.address, asked.identity, promote=not asked.learner, priority=asked.priority
        )
        return await self._joined(node, change)

    def _objection(self, asked: JoinAsked) -> str:
        me, allowed = self.forming.me, self.settings.allow_fingerprint
        if asked.cluster not in (0, me.cluster):
            return f"the node belongs to cluster {asked.cluster:x}, this one is {me.cluster:x}"
        if asked.fingerprint not in (me.fingerprint, allowed):
            return (
                f"the node runs SQL with {asked.fingerprint!r}, the cluster with "
                f"{me.fingerprint!r}: install the same versions"
            )
        return ""

    async def _welcome_back(self, node: NodeId, asked: JoinAsked) -> JoinAnswer:
        assert self.runner is not None
        member = self.runner.node.membership.members[node]
        if member.address == asked.address:
            return JoinAnswer(accepted=True, cluster=self.forming.me.cluster, node=node)
        return await self._joined(node, UpdateMember(node, asked.address, member.priority))

    async def _joined(self, node: NodeId, change: AddMember | UpdateMember) -> JoinAnswer:
        assert self.runner is not None
        problem = await changed(self.runner, change)
        if problem is None:
            return JoinAnswer(accepted=True, cluster=self.forming.me.cluster, node=node)
        return JoinAnswer(accepted=False, reason=f"{_prefix(problem)}{problem}")

    # The end.

    async def hand_over(self) -> None:
        """Let another node lead before this one stops, so that nobody notices."""
        self.stopping = True
        runner = self.runner
        if runner is None or not runner.replica.leads or runner.failure is not None:
            return
        target = most_level(runner)
        if not target:
            return
        with suppress(Refused):
            await hand_over(runner, target, seconds=HAND_OVER_SECONDS)

    async def close(self) -> None:
        """Stop, and leave everything as a restart likes it."""
        for task in self._tasks:
            task.cancel()
        self.clients.close()
        self.users.close()
        self.gate.close()
        self.audit.close()
        if self.supply is not None:
            await self.supply.close()
        if self.peers.receiver is not None:
            await self.peers.receiver.close()
        if self.links is not None:
            await self.links.close()
        if self.runner is not None:
            await self.runner.close()
        if self.siblings is not None:
            self.siblings.close()


def _backup_plan(settings: ServeSettings) -> tuple[str, int, int]:
    return settings.backup_to, settings.backup_every_seconds, settings.backup_keep


def _log_bounds(settings: ServeSettings) -> LogBounds:
    return LogBounds(settings.log_entries_max, settings.log_tail_entries, settings.log_bytes_max)


def _close_to_others(folder: Path) -> None:
    """Let nobody else on this machine read the rows, and the keys that tokens are signed with."""
    try:
        folder.chmod(0o700)
    except OSError as error:
        log.warning("%s may be read by others, and can't be closed to them: %s", folder, error)


def _prefix(problem: str) -> str:
    """Mark what passes by itself, so that the node asks again instead of giving up."""
    final = ("removed", "another data directory", "already")
    return "" if any(word in problem for word in final) else "later: "
