"""What each node was when: so that a time without a write can be told for what it was.

While no majority of nodes runs, or none of those that run sees enough of the others, no cluster can
write: that is the fault itself. Then processes have to start. Only what is left after that, the
election and whatever comes between a leader and an acknowledged write, is the product's own doing.

The harness notes what it does to nodes; a node's test entry point notes in a file what becomes of
it. Both read the machine's one monotonic clock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from tests.faults.network import Link

HARNESS: Final = 0
"""Stands for a node where something happens to the links."""


class What(Enum):
    """What may happen to a node, or be done to it."""

    STARTED = "started"
    """Its process was started."""
    SERVES = "serves"
    """It has read its disk, and takes part."""
    LEADS = "leads"
    FOLLOWS = "follows"
    """In any other role than the leader's."""
    VOTERS = "voters"
    """By this node, these are the voters now."""
    PAUSED = "paused"
    RESUMED = "resumed"
    ENDED = "ended"
    LINKS = "links"
    """Nothing passes on exactly these links from now on."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    at: float
    node: int
    what: What
    detail: str = ""


class Phase(Enum):
    """What stands between a cluster and a write, from the most to the least that is missing."""

    DOWN = "down"
    """No majority of the nodes runs: they were killed, are paused, or had to stop."""
    CUT = "cut off"
    """A majority runs, but no node hears, and is heard by, enough of them."""
    STARTING = "starting"
    """Enough processes run and see each other, but too few have read their disk."""
    ELECTING = "electing"
    """Everything is there but a leader."""
    LED = "led"
    """A leader with a majority is there: what is still missing is the write."""


OURS: Final = (Phase.ELECTING, Phase.LED)
Stretch = tuple[float, float, Phase]


@dataclass(slots=True)
class Lives:
    """All events of a run; safe to be noted from any thread."""

    began: float = 0.0
    events: list[Event] = field(default_factory=list)

    def note(self, node: int, what: What, detail: str = "") -> None:
        """Something happens now."""
        self.events.append(Event(time.monotonic(), node, what, detail))

    def note_links(self, cut: Iterable[Link]) -> None:
        """Exactly these links are cut from now on."""
        self.note(HARNESS, What.LINKS, " ".join(f"{a}>{b}" for a, b in sorted(cut)))

    def read(self, node: int, path: Path) -> None:
        """Add what a node has noted of itself."""
        for line in path.read_text().splitlines() if path.exists() else ():
            at, what, *detail = line.split(" ")
            self.events.append(Event(float(at), node, What(what), *detail))

    def ordered(self) -> list[Event]:
        """All of them, with times that count from the run's beginning."""
        events = sorted(self.events, key=lambda event: event.at)
        return [Event(e.at - self.began, e.node, e.what, e.detail) for e in events]


class State(Enum):
    """What one node is."""

    GONE = "not running"
    STARTING = "starting"
    FOLLOWS = "follows"
    LEADS = "leads, or believes so"
    ASLEEP = "asleep"


def diary(path: Path) -> Callable[[What, str], None]:
    """For a node: how it notes what becomes of it."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def note(what: What, detail: str = "") -> None:
        line = f"{time.monotonic():.6f} {what.value} {detail}".rstrip()
        os.write(file, f"{line}\n".encode())

    return note


class Cluster:
    """What is true at one moment, as the events have it."""

    def __init__(self) -> None:
        self.running: set[int] = set()
        self.serving: set[int] = set()
        self.asleep: set[int] = set()
        self.leaders: dict[int, int] = {}
        """Nodes that believe that they lead, and in which term."""
        self.voters: set[int] = set()
        self.cut: set[Link] = set()

    def happens(self, event: Event) -> None:
        """Take it up."""
        node = event.node
        match event.what:
            case What.STARTED:
                self._gone(node)
                self.running.add(node)
            case What.SERVES:
                self.serving.add(node)
            case What.LEADS:
                self.leaders[node] = int(event.detail)
            case What.FOLLOWS:
                self.leaders.pop(node, None)
            case What.VOTERS:
                self.voters = {int(voter) for voter in event.detail.split(",") if voter}
            case What.PAUSED:
                self.asleep.add(node)
            case What.RESUMED:
                self.asleep.discard(node)
            case What.ENDED:
                self._gone(node)
            case What.LINKS:
                pairs = (link.split(">") for link in event.detail.split())
                self.cut = {(int(a), int(b)) for a, b in pairs}

    def _gone(self, node: int) -> None:
        for nodes in (self.running, self.serving, self.asleep):
            nodes.discard(node)
        self.leaders.pop(node, None)

    def phase(self) -> Phase:
        """What is missing for a write, if anything."""
        running = (self.running & self.voters) - self.asleep
        serving = running & self.serving
        if len(running) < self._majority:
            return Phase.DOWN
        if not any(self._has_majority(node, running) for node in running):
            return Phase.CUT
        able = {node for node in serving if self._has_majority(node, serving)}
        if not able:
            return Phase.STARTING
        newest = max((self.leaders[node] for node in serving & self.leaders.keys()), default=0)
        led = any(self.leaders.get(node) == newest for node in able)
        return Phase.LED if led else Phase.ELECTING

    def state(self, node: int) -> State:
        """What one node is."""
        if node not in self.running:
            return State.GONE
        if node in self.asleep:
            return State.ASLEEP
        if node not in self.serving:
            return State.STARTING
        return State.LEADS if node in self.leaders else State.FOLLOWS

    @property
    def _majority(self) -> int:
        return len(self.voters) // 2 + 1

    def _has_majority(self, node: int, others: set[int]) -> bool:
        """Whether the node could lead: enough of the others hear it and are heard by it."""
        seen = [o for o in others if not {(node, o), (o, node)} & self.cut]
        return len(seen) >= self._majority


def stretches(events: Iterable[Event]) -> list[Stretch]:
    """The phases that the cluster went through, each from when to when."""
    cluster, found = Cluster(), list[Stretch]()
    since, phase = 0.0, Phase.DOWN
    for event in events:
        cluster.happens(event)
        if not cluster.voters or (now := cluster.phase()) is phase:
            continue
        if event.at > since:
            found.append((since, event.at, phase))
        since, phase = max(event.at, 0.0), now
    return [*found, (since, float("inf"), phase)]


def shares(phases: Iterable[Stretch], first: float, last: float) -> dict[Phase, float]:
    """How long each phase was between two moments."""
    found = dict.fromkeys(Phase, 0.0)
    for begin, end, phase in phases:
        found[phase] += max(0.0, min(end, last) - max(begin, first))
    return found


def states(events: Iterable[Event], last: float) -> dict[int, list[tuple[float, float, State]]]:
    """Of each node, what it was from when to when."""
    cluster, found = Cluster(), dict[int, list[tuple[float, float, State]]]()
    now: dict[int, tuple[float, State]] = {}
    for event in events:
        cluster.happens(event)
        if event.node == HARNESS:
            continue
        state = cluster.state(event.node)
        since, before = now.get(event.node, (0.0, State.GONE))
        if state is before and event.node in now:
            continue
        if event.at > since:
            found.setdefault(event.node, []).append((since, event.at, before))
        now[event.node] = max(event.at, 0.0), state
    for node, (since, state) in sorted(now.items()):
        if since < last:
            found.setdefault(node, []).append((since, last, state))
    return dict(sorted(found.items()))
