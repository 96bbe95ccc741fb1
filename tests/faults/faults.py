"""Every fault: how it begins, and how it ends.

A fault belongs to a layer (processes, links, disks, clocks, members); two of one layer never
overlap, since ending one would end a part of the other.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from raftsql.server.operate import NotDone, Unreachable, call
from raftsql_proto import admin_pb2
from tests.faults.network import Link, bridge, halves, one_way, ring
from tests.faults.nodes import FaultyNodes

ADMIN_S: Final = 8.0
SETTLE_S: Final = 6.0
"""How long a new majority may take to elect a leader before it gets help."""


@dataclass(slots=True)
class Scene:
    """What a fault acts on, and what it keeps until it ends."""

    nodes: FaultyNodes
    chance: random.Random
    victims: list[int] = field(default_factory=list)
    note: str = ""
    """What it came to, for the report."""

    @property
    def all(self) -> list[int]:
        return self.nodes.members

    def somebody(self) -> int:
        """The leader more often than others: it is where things can go wrong."""
        leader = self.nodes.leader()
        chosen = leader if leader and self.chance.random() < 0.6 else self.chance.choice(self.all)
        self.victims = [chosen]
        self.note = f"node {chosen}{' (leader)' if chosen == leader else ''}"
        return chosen

    def shuffled(self) -> list[int]:
        """All nodes, the one that leads first as often as not."""
        leader, nodes = self.nodes.leader(), list(self.all)
        self.chance.shuffle(nodes)
        if leader and self.chance.random() < 0.5:
            nodes.remove(leader)
            nodes.insert(0, leader)
        return nodes


Act = Callable[[Scene], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind."""

    layer: str
    story: str
    begin: Act
    end: Act
    weight: int = 2


FAULTS: dict[str, Fault] = {}


def fault(layer: str, story: str, end: Act, weight: int = 2) -> Callable[[Act], Act]:
    """Register what begins a fault under its function's name."""

    def register(begin: Act) -> Act:
        name = begin.__name__.strip("_").replace("_", " ")
        FAULTS[name] = Fault(layer, story, begin, end, weight)
        return begin

    return register


# Processes.


def _start_again(scene: Scene) -> None:
    for number in scene.victims:
        if not scene.nodes.is_up(number):
            scene.nodes.soothe(number)
            scene.nodes.start(number)


def _wake(scene: Scene) -> None:
    for number in scene.victims:
        scene.nodes.resume(number)


@fault("processes", "kill -9 of one node", _start_again, weight=5)
def kill(scene: Scene) -> None:
    scene.nodes.kill(scene.somebody())


@fault("processes", "a polite stop of one node", _start_again)
def terminate(scene: Scene) -> None:
    scene.nodes.stop(scene.somebody())


@fault("processes", "one node sleeps, and wakes up believing what it believed", _wake, weight=4)
def pause(scene: Scene) -> None:
    scene.nodes.pause(scene.somebody())


@fault("processes", "kill -9 of all nodes at once", _start_again)
def kill_all(scene: Scene) -> None:
    scene.victims = list(scene.all)
    scene.nodes.kill_all(scene.victims)


@fault("processes", "all nodes lose power, and every write that was not synced", _start_again, 3)
def power_failure(scene: Scene) -> None:
    scene.victims = list(scene.all)
    scene.nodes.kill_all(scene.victims)
    lost = [scene.nodes.lose_unsynced(number, scene.chance) for number in scene.victims]
    scene.note = f"writes lost: {', '.join(map(str, lost))}"


def _come_back(scene: Scene) -> None:
    """The others come back when those that were left have settled it among themselves."""
    give_up_at = time.monotonic() + SETTLE_S
    while not scene.nodes.leader() and time.monotonic() < give_up_at:
        time.sleep(0.05)
    _start_again(scene)


@fault("everything", "a majority that lacks what the one before it may not have lost", _come_back)
def shifted_majority(scene: Scene) -> None:
    """Some miss writes; one of those that did not loses power within a sync, and then has to do
    with the former, while the rest is down. So each write must be on the disks of a majority."""
    nodes, members = scene.nodes, scene.shuffled()
    if leader := nodes.leader():
        members.remove(leader)
        members.insert(0, leader)
    knowing = members[: len(members) // 2 + 1]
    unlucky = scene.chance.choice(knowing[:2])
    nodes.cut({link for link in halves(members, len(knowing)) if members[0] in link})
    nodes.knobs[unlucky].slow_ms = 400
    time.sleep(scene.chance.uniform(0.5, 1.0))
    nodes.kill_all(knowing)
    lost = nodes.lose_unsynced(unlucky, scene.chance, everything=True)
    nodes.cut(set())
    nodes.soothe(unlucky)
    nodes.start(unlucky)
    scene.victims = [number for number in knowing if number != unlucky]
    scene.note = f"node {unlucky} lost {lost} writes, and goes on without {scene.victims}"


# Links.


def _join_up(scene: Scene) -> None:
    scene.nodes.cut(set())


def _cut(scene: Scene, links: set[Link]) -> None:
    scene.note = ", ".join(f"{a}-/->{b}" for a, b in sorted(links))
    scene.nodes.cut(links)


@fault("links", "one node is cut off, both ways", _join_up, weight=5)
def isolate(scene: Scene) -> None:
    _cut(scene, halves(scene.shuffled(), 1))


@fault("links", "two halves that do not see each other", _join_up, weight=3)
def split(scene: Scene) -> None:
    nodes = scene.shuffled()
    _cut(scene, halves(nodes, len(nodes) // 2))


@fault("links", "one node hears everybody, and nobody hears it", _join_up)
def mute(scene: Scene) -> None:
    nodes = scene.shuffled()
    _cut(scene, one_way(nodes[0], nodes))


@fault("links", "everybody hears one node, and it hears nobody", _join_up)
def deafen(scene: Scene) -> None:
    nodes = scene.shuffled()
    _cut(scene, {(b, a) for a, b in one_way(nodes[0], nodes)})


@fault("links", "only one node sees everybody", _join_up)
def bridged(scene: Scene) -> None:
    nodes = scene.shuffled()
    _cut(scene, bridge(nodes, scene.chance.choice(nodes)))


@fault("links", "each node sees its neighbours only", _join_up)
def ringed(scene: Scene) -> None:
    _cut(scene, ring(scene.shuffled()))


def _lose_none(scene: Scene) -> None:
    scene.nodes.network.lose(0)


@fault("loss", "packets between nodes vanish", _lose_none)
def lossy(scene: Scene) -> None:
    percent = scene.chance.choice((2, 10, 30))
    scene.note = f"{percent} %"
    scene.nodes.network.lose(percent)


def _hurry(scene: Scene) -> None:
    scene.nodes.network.delay(set(), 0.0)


@fault("delay", "packets between nodes take their time", _hurry)
def delayed(scene: Scene) -> None:
    seconds = scene.chance.choice((0.005, 0.03, 0.12))
    links = {(a, b) for a in scene.all for b in scene.all if a != b}
    if scene.chance.random() < 0.5:
        slow = scene.somebody()
        links = {link for link in links if slow in link}
    scene.note = f"{seconds * 1000:.0f} ms {scene.note}"
    scene.nodes.network.delay(links, seconds)


# Disks.


def _repair(scene: Scene) -> None:
    for number in scene.victims:
        scene.nodes.soothe(number)
    _start_again(scene)


@fault("disks", "one disk takes long to sync", _repair)
def slow_disk(scene: Scene) -> None:
    number, slow = scene.somebody(), scene.chance.choice((20, 100, 400))
    scene.note += f", {slow} ms a sync"
    scene.nodes.knobs[number].slow_ms = slow


@fault("disks", "one disk is full: its node stops", _repair)
def full_disk(scene: Scene) -> None:
    scene.nodes.knobs[scene.somebody()].full = True


@fault("disks", "one disk fails to sync: its node stops", _repair)
def failing_sync(scene: Scene) -> None:
    scene.nodes.knobs[scene.somebody()].sync_fails = True


# Clocks.


@fault("clocks", "one wall clock jumps, back or forth, by up to an hour", _repair)
def clock_jump(scene: Scene) -> None:
    number = scene.somebody()
    jump = scene.chance.choice((-3_600_000, -60_000, -500, 500, 60_000, 3_600_000))
    scene.note += f", {jump} ms"
    scene.nodes.knobs[number].wall_ms = jump


@fault("clocks", "one steady clock drifts, within what a lease allows", _repair)
def clock_drift(scene: Scene) -> None:
    number = scene.somebody()
    ppm = scene.chance.choice((-40_000, 40_000))
    scene.note += f", {ppm / 10_000:+.0f} %"
    scene.nodes.knobs[number].steady_ppm = ppm


# Members.


def _nothing(scene: Scene) -> None:
    """It ends by itself."""


def _admin(scene: Scene, method: str, request: Any) -> bool:
    leader = scene.nodes.leader()
    if not leader:
        return False
    address = scene.nodes.addresses[leader - 1]
    with suppress(Unreachable, NotDone):
        call(address, lambda stub: getattr(stub, method), request, ADMIN_S)
        return True
    return False


@fault("members", "leadership is handed over", _nothing, weight=3)
def transfer(scene: Scene) -> None:
    done = _admin(scene, "Transfer", admin_pb2.TransferRequest())
    scene.note = "" if done else "refused"


def _remove(scene: Scene) -> None:
    """The newcomer, or one of the old ones as long as three stay, goes for good."""
    nodes = scene.nodes
    candidates = [number for number in scene.all if number not in nodes.paused]
    if len(scene.all) <= 3:
        return
    victim = scene.chance.choice(candidates)
    if _admin(scene, "RemoveMember", admin_pb2.RemoveMemberRequest(node=victim)):
        nodes.removed.add(victim)
        scene.note += f", node {victim} removed"
        if nodes.is_up(victim):
            nodes.kill(victim)
    else:
        # It may have happened all the same: a leader that removes itself can't always say so.
        nodes.notice_removed()


@fault("members", "a node joins, and one is removed", _remove)
def churn(scene: Scene) -> None:
    if len(scene.all) > 3 or len(scene.nodes.processes) >= NODES_EVER_MAX:
        return
    number = len(scene.nodes.processes) + 1
    scene.nodes.start(number)
    scene.note = f"node {number} joins"


NODES_EVER_MAX: Final = 8
"""Numbers are never used again, so a run's folder of nodes grows with each newcomer."""
