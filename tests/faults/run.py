"""One run: a cluster, its clients, the faults of one plan, and the verdict."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import raftsql
from raftsql.server.operate import NotDone, Unreachable, call
from raftsql_proto import admin_pb2
from tests.faults.faults import FAULTS, Fault, Scene
from tests.faults.history import Violation
from tests.faults.lives import Event
from tests.faults.network import Network
from tests.faults.nodes import FaultyNodes
from tests.faults.schedule import Strike, plan
from tests.faults.workloads import WORKLOADS
from tests.faults.workloads.workload import Reached, Workload

END_S: Final = 90.0
"""How long clients may take to end once all is healed: patient ones wait for a minute."""
VERIFY_S: Final = 30.0
VERIFY_TRIES: Final = 3
"""A comparison in which a node is missing, though none is down, is asked for again."""
HOPELESS: Final = (AssertionError, TimeoutError, subprocess.TimeoutExpired, raftsql.Error)
"""What ends a run early: a node that ended by itself, or that does not stop, or is never level."""


@dataclass(slots=True)
class Struck:
    """A fault that happened."""

    fault: str
    begun: float
    ended: float
    note: str


@dataclass(slots=True)
class Outcome:
    """What a run came to."""

    seed: int
    network: str
    seconds: float
    plan: list[Strike]
    nodes: int = 3
    events: list[Event] = field(default_factory=list)
    """What became of the nodes."""
    struck: list[Struck] = field(default_factory=list)
    workloads: list[Workload] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    logs: dict[int, str] = field(default_factory=dict)
    """What the nodes said."""

    @property
    def operations(self) -> int:
        return sum(one.operations for one in self.workloads)

    def writes(self) -> list[float]:
        """When any write was known to have happened, in order."""
        return sorted(at for one in self.workloads for at in one.writes())


class Run:
    """A seed, made real."""

    def __init__(
        self,
        seed: int,
        seconds: float,
        *,
        network: Network,
        workloads: Sequence[str] = (),
        faults: Sequence[str] = (),
        levels: dict[str, str] | None = None,
        nodes: int = 3,
        plant: str = "",
        flags: tuple[str, ...] = (),
    ) -> None:
        self.network, self._count, self._plant, self._flags = network, nodes, plant, flags
        levels = levels or {}
        chosen = [
            WORKLOADS[name](seed, levels.get(name) or usual_level(name, seed))
            for name in workloads or WORKLOADS
        ]
        self.outcome = Outcome(
            seed, network.name, seconds, plan(seed, seconds, faults), nodes, workloads=chosen
        )
        self._began = 0.0
        self._ended = False

    def run(self) -> Outcome:
        """All of it; the outcome says what was found."""
        nodes = FaultyNodes(self.network, self._count, plant=self._plant, flags=self._flags)
        with nodes:
            asyncio.run(self._run(nodes))
        nodes.lives.began = self._began
        self.outcome.events = nodes.lives.ordered()
        return self.outcome

    async def _run(self, nodes: FaultyNodes) -> None:
        outcome, reached = self.outcome, Reached(nodes.addresses)
        connection = await reached.connect(0)
        for workload in outcome.workloads:
            await workload.prepare(connection)
        self._began = time.monotonic()
        for workload in outcome.workloads:
            workload.history.began = self._began
        clients = [
            asyncio.create_task(workload.work(client, reached))
            for workload in outcome.workloads
            for client in range(workload.clients)
        ]
        try:
            await self._strike_while(nodes, clients)
            for workload in outcome.workloads:
                workload.stopped = True
            async with asyncio.timeout(END_S):
                await asyncio.gather(*clients)
            await asyncio.to_thread(nodes.wait_until_level)
            for workload in outcome.workloads:
                await workload.finish(connection)
        except HOPELESS as error:
            outcome.violations.append(Violation(f"it did not come to its end: {error}"))
        finally:
            self._ended = True
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)
        for workload in outcome.workloads:
            outcome.violations += await asyncio.to_thread(workload.violations)
            outcome.violations += workload.strange
        outcome.violations += await asyncio.to_thread(different, nodes)
        await connection.close()
        outcome.logs = {number: nodes.log(number) for number in nodes.processes}

    async def _strike_while(self, nodes: FaultyNodes, clients: list[asyncio.Task[None]]) -> None:
        """Follow the plan as long as no client has failed in a way that none may."""
        striking = asyncio.create_task(asyncio.to_thread(self._follow, nodes, clients))
        await striking
        for client in clients:
            if client.done():
                client.result()

    def _follow(self, nodes: FaultyNodes, clients: list[asyncio.Task[None]]) -> None:
        """In a thread: begin and end each fault at its time; leave everything healed."""
        begun: list[tuple[float, Fault, Scene, Struck]] = []
        strikes = list(self.outcome.plan)
        with healed(nodes, begun):
            while strikes or begun or self._now() < self.outcome.seconds:
                if self._ended or any(client.done() for client in clients):
                    return
                now = self._now()
                for entry in [entry for entry in begun if entry[0] <= now]:
                    begun.remove(entry)
                    _, fault, scene, struck = entry
                    fault.end(scene)
                    struck.ended, struck.note = self._now(), scene.note
                if strikes and strikes[0].at <= now:
                    begun.append(self._begin(nodes, strikes.pop(0)))
                time.sleep(0.02)

    def _begin(self, nodes: FaultyNodes, strike: Strike) -> tuple[float, Fault, Scene, Struck]:
        scene = Scene(nodes, random.Random(strike.seed))
        at = self._now()
        FAULTS[strike.fault].begin(scene)
        struck = Struck(strike.fault, at, at + strike.lasts, scene.note)
        self.outcome.struck.append(struck)
        return at + strike.lasts, FAULTS[strike.fault], scene, struck

    def _now(self) -> float:
        return time.monotonic() - self._began


def usual_level(workload: str, seed: int) -> str:
    """One of the levels that make the workload's promise, each in its turn."""
    levels = WORKLOADS[workload].levels
    return levels[seed % len(levels)]


@contextmanager
def healed(nodes: FaultyNodes, begun: list[tuple[float, Fault, Scene, Struck]]) -> Iterator[None]:
    """Afterwards no fault is left, whatever happened."""
    try:
        yield
    finally:
        for _, fault, scene, _ in begun:
            fault.end(scene)
        nodes.cut(set())
        nodes.network.lose(0)
        nodes.network.delay(set(), 0.0)
        for number in nodes.members:
            nodes.resume(number)
            nodes.soothe(number)
            if not nodes.is_up(number):
                nodes.start(number)


def different(nodes: FaultyNodes) -> list[Violation]:
    """Whether the nodes' checksums of schema and rows at one index differ."""
    request = admin_pb2.VerifyRequest(timeout_ms=int(VERIFY_S * 1000))
    problem = "nobody answered"
    for number in nodes.members * VERIFY_TRIES:
        try:
            reply = call(
                nodes.addresses[number - 1], lambda stub: stub.Verify, request, VERIFY_S + 5
            )
        except (Unreachable, NotDone) as error:
            problem = str(error)
            continue
        report: dict[str, Any] = json.loads(reply.json)
        if not report["equal"]:
            return [Violation(f"the replicas are not equal: {report}")]
        if report["complete"]:
            return []
        problem = f"not all were compared: {report}"
    return [Violation(f"the replicas could not be compared: {problem}")]
