"""What goes wrong, when, and for how long.

Each fault is a method of its name; the seed's settings say which there are and how often each is
chosen. Everything that breaks here is mended again, by chance or at the end, except a wiped disk:
its node never comes back, and an administrator replaces it by one with a new id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raftsql.raft.membership import (
    AddMember,
    Change,
    ChangeRefused,
    DemoteMember,
    PromoteMember,
    RemoveMember,
    UpdateMember,
)
from raftsql.raft.messages import HardState, NodeId
from raftsql.raft.ready import Refused
from tests.simulator.clients import ReadOperation, ask_read
from tests.simulator.disk import Disk
from tests.simulator.network import Link, one_way, two_way
from tests.simulator.process import Process
from tests.simulator.timeline import MS

if TYPE_CHECKING:
    from tests.simulator.cluster import Cluster


class Schedule:
    """The faults of one world."""

    def __init__(self, world: Cluster) -> None:
        self.world = world
        self.chance = world.chance
        self.settings = world.settings
        self.running = True
        self._voter_doomed = False
        world.on_vote = self._voted
        self._names = list(self.settings.faults)
        self._weights = list(self.settings.faults.values())

    def crash_voter(self) -> None:
        """The next one to vote ends right after, and starts again at once."""
        self._voter_doomed = True

    def _voted(self, voter: Process) -> None:
        if self._voter_doomed and self.chance.random() < 0.5:
            self._voter_doomed = False
            delay = self.chance.randrange(MS)
            self.world.timeline.after(delay, self._crash, voter, self._while(1, 3))

    def begin(self) -> None:
        """The next fault comes after a while."""
        delay = int(self.chance.expovariate(1.0) * self.settings.fault_every_ms * MS)
        self.world.timeline.after(delay + MS, self._strike)

    def _strike(self) -> None:
        if not self.running:
            return
        if self.world.leader() is None and self.chance.random() < 0.85:
            self.begin()  # Let there be something to break.
            return
        name = self.chance.choices(self._names, self._weights)[0]
        self.world.note("fault", name)
        getattr(self, name)()
        self.begin()

    def _while(self, low_ms: int, high_ms: int) -> int:
        return self.chance.randrange(low_ms, high_ms) * MS

    def _cut(self, links: list[Link], high_ms: int = 0) -> None:
        """Cut links for a while."""
        self.world.network.block(links)
        high_ms = high_ms or self.chance.choice([200, 1000, 2000])
        self.world.timeline.after(
            self._while(high_ms // 4, high_ms), self.world.network.unblock, links
        )

    def mend(self) -> None:
        """Everything works again, and everybody is back."""
        self.running = False
        world = self.world
        world.network.heal()
        world.network.weather = type(world.network.weather).fair()
        for process in world.alive():
            process.set_disk_speed(100)
            process.resume()
            if not process.up:
                process.start()

    # The network.

    def partition(self) -> None:
        """Two groups that can't talk, or a bridge or a ring between them."""
        nodes = [process.id for process in self.world.alive()]
        self.chance.shuffle(nodes)
        cut = self.chance.randrange(1, len(nodes)) if len(nodes) > 1 else 0
        some, others = nodes[:cut], nodes[cut:]
        shape = self.chance.random()
        if shape < 0.2 and len(nodes) > 3:  # All but neighbours in a circle are parted.
            for place, node in enumerate(nodes):
                near = {nodes[place - 1], nodes[(place + 1) % len(nodes)]}
                self._cut(one_way([node], [n for n in nodes if n not in near]))
            return
        if shape < 0.4 and len(others) > 1:  # One node hears both halves.
            others = others[1:]
        self._cut(two_way(some, others))

    def one_way(self) -> None:
        """Some can't be heard by others, but hear them."""
        nodes = [process.id for process in self.world.alive()]
        count = len(nodes)
        sources = self.chance.sample(nodes, self.chance.randrange(1, count + 1))
        targets = self.chance.sample(nodes, self.chance.randrange(1, count + 1))
        self._cut(one_way(sources, targets))

    def isolate_leader(self) -> None:
        """The leader is cut off, in one direction or both, from all or some."""
        leader = self.world.leader()
        if leader is None:
            return
        others = [process.id for process in self.world.alive() if process is not leader]
        if not others:
            return
        others = self.chance.sample(
            others, self.chance.randrange((len(others) + 1) // 2, len(others) + 1)
        )
        shape = self.chance.random()
        if shape < 0.6:
            self._cut(one_way([leader.id], others))
        if shape > 0.3:
            self._cut(one_way(others, [leader.id]))

    def clog(self) -> None:
        """Some links hold their messages for a while; some transports notice."""
        nodes = [process.id for process in self.world.alive()]
        pairs = one_way(nodes, nodes)
        if not pairs:
            return
        chosen = self.chance.sample(pairs, self.chance.randrange(1, len(pairs) + 1))
        self.world.network.clog(chosen)
        held_us = self._while(50, 1500)
        self.world.timeline.after(held_us, self.world.network.unclog)
        for source, target in chosen:
            if self.chance.random() < 0.3:
                process = self.world.processes[source]
                delay = self.chance.randrange(held_us)
                self.world.timeline.after(delay, process.input, process.unreachable, target)

    def heal(self) -> None:
        """Every link works again."""
        self.world.network.heal()

    def unreachable(self) -> None:
        """A transport loses a connection, with nothing or something in it."""
        source, target = (
            self.chance.choice(self.world.alive()),
            self.chance.choice(self.world.alive()),
        )
        source.input(source.unreachable, target.id)

    # The machines.

    def _victim(self) -> Process | None:
        up = [process for process in self.world.alive() if process.up]
        leader = self.world.leader()
        if leader is not None and self.chance.random() < 0.4:
            return leader
        return self.chance.choice(up) if up else None

    def crash(self) -> None:
        """A process ends, and starts again after a while."""
        victim = self._victim()
        if victim is not None:
            self._crash(victim, self._while(1, self.chance.choice([5, 100, 3000]) + 2))

    def _crash(self, victim: Process, down_us: int) -> None:
        if not victim.up or not self.running:
            return
        victim.crash()
        self.world.timeline.after(down_us, self._restart, victim)
        for peer in self.world.alive():
            if peer is not victim and self.chance.random() < 0.5:
                delay = self._while(1, self.chance.choice([3, 1000]))
                self.world.timeline.after(delay, peer.input, peer.process_ended, victim.id)

    def _restart(self, victim: Process) -> None:
        if not victim.up and not victim.gone:
            victim.start()

    def crash_many(self) -> None:
        """Power fails for several, perhaps for all."""
        up = [process for process in self.world.alive() if process.up]
        if up:
            for victim in self.chance.sample(up, self.chance.randrange(1, len(up) + 1)):
                self._crash(victim, self._while(1, 1500))

    def pause(self) -> None:
        """A process does not run for a while."""
        victim = self._victim()
        if victim is not None and not victim.paused:
            victim.pause()
            if victim.leads:
                self._watch(victim, times=self.chance.choice([0, 5, 20]), every_ms=100)
            self.world.timeline.after(
                self._while(5, self.chance.choice([100, 500, 3000])), self._resume, victim
            )

    def _resume(self, victim: Process) -> None:
        if victim.up:
            victim.resume()

    def slow_disk(self) -> None:
        """A disk takes very long, or hangs until its node is restarted."""
        victim = self._victim()
        if victim is None:
            return
        usual = self.settings.disk_us
        victim.set_disk_speed(usual * self.chance.choice([10, 100, 1000]))
        self.world.timeline.after(self._while(50, 2000), self._quick_disk, victim)
        if self.chance.random() < 0.3:  # It fails for good, and is replaced with all that is on it.
            self.world.timeline.after(
                self._while(20, 500), self._crash, victim, self._while(1, 2000)
            )

    def _quick_disk(self, victim: Process) -> None:
        victim.set_disk_speed(self.settings.disk_us)

    def usurp(self) -> None:
        """The sharpest test of a lease: while the leader serves reads, the others are led to
        believe as early as they may that it is gone."""
        world, leader = self.world, self.world.leader()
        others = [p for p in world.alive() if p is not leader and p.up]
        if leader is None or not others:
            return
        if self.chance.random() < 0.4:  # Its answers come when all is over.
            world.network.clog(one_way([p.id for p in others], [leader.id]))
            late = self._while(0, 100)
            world.timeline.after(late, self._usurp, leader, others, False, 0.0)
            world.timeline.after(self._while(400, 750), world.network.unclog)
            return
        # Some have missed the leader for a while; the others may forget it by a crash.
        early = self.chance.sample(others, self.chance.randrange(1, max(2, len(others))))
        if self.chance.random() < 0.6:
            world.quiet_until = world.timeline.now + self._while(1000, 2000)
        self._cut(self._cut_off(leader, early), 5000)
        both, crashes = self.chance.random() < 0.5, self.chance.choice([0.0, 0.9])
        late = self._while(300, 700)
        if crashes:
            world.timeline.after(late, self._report_dead, leader, early, 30)
        else:
            self._report_dead(leader, early, 200)
        rest = [process for process in others if process not in early]
        world.timeline.after(late, self._usurp, leader, rest, both, crashes)

    def _report_dead(self, leader: Process, others: list[Process], late_ms: int) -> None:
        """A connection that broke when the leader's process ended, however long ago that was."""
        for other in others:
            delay = self._while(2, late_ms)
            self.world.timeline.after(delay, other.input, other.process_ended, leader.id)

    def _cut_off(
        self, leader: Process, others: list[Process], *, both: bool | None = None
    ) -> list[Link]:
        ids = [process.id for process in others]
        if both is None:
            both = self.chance.random() < 0.5
        return two_way([leader.id], ids) if both else one_way([leader.id], ids)

    def _usurp(self, leader: Process, others: list[Process], both: bool, crashes: float) -> None:
        if not self.running:
            return
        world = self.world
        self._cut(self._cut_off(leader, others, both=both), 2000)
        for other in others:
            if self.chance.random() < crashes:
                world.timeline.after(self._while(0, 10), self._crash, other, self._while(1, 3))
        self._report_dead(leader, others, self.chance.choice([20, 20, 300]))
        self._watch(leader, times=60, every_ms=10)
        self._write_at(others, 350, 900)

    def _write_at(self, processes: list[Process], low_ms: int, high_ms: int) -> None:
        """Clients turn to these."""
        if not processes:
            return
        for client in self.world.clients:
            target = self.chance.choice(processes)
            delay = self._while(low_ms, high_ms)
            self.world.timeline.after(delay, self.world.extra_write, client, target)

    def coup(self) -> None:
        """The leader hands over, and is cut off before it can hear what came of it."""
        world, leader = self.world, self.world.leader()
        if leader is None or leader.node is None:
            return
        others = [p for p in world.alive() if p is not leader and p.up]
        if not others:
            return
        self.crash_voter()
        leader.input(self._transfer, leader, self.chance.choice(others).id)
        if self.chance.random() < 0.5:  # And to another one before the first can answer.
            second = self.chance.choice(others).id
            world.timeline.after(self._while(0, 3), leader.input, self._transfer, leader, second)
        for other in others:
            if self.chance.random() < 0.3:
                world.timeline.after(self._while(0, 20), self._crash, other, self._while(1, 5))
        world.timeline.after(self._while(0, 10), self._isolate, leader, others)
        self._watch(leader, times=40, every_ms=10)

    def rivals(self) -> None:
        """Two are told to lead, and who votes for the first ends before the second one asks."""
        leader = self.world.leader()
        if leader is None:
            return
        self.crash_voter()
        for _ in range(2):
            target = self.chance.choice(self.world.alive()).id
            self.world.timeline.after(
                self._while(0, 2), leader.input, self._transfer, leader, target
            )

    def abdicate(self) -> None:
        """The leader gives up its own vote, and who hears of it starts again at once."""
        world, leader = self.world, self.world.leader()
        if leader is None or leader.node is None or leader.paused:
            return
        others = [p for p in world.alive() if p is not leader and p.up]
        if not others or len(leader.node.membership.voters) < 2 or world.wiped is not None:
            return
        self.propose(leader, DemoteMember(leader.id))
        leader.input(lambda: None)
        for other in others:
            if self.chance.random() < 0.7:
                world.timeline.after(self._while(1, 20), self._crash, other, self._while(1, 5))
        world.timeline.after(self._while(1, 20), self._isolate, leader, others)
        self._watch(leader, times=30, every_ms=10)
        self._write_at(others, 5, 300)

    def _isolate(self, leader: Process, others: list[Process]) -> None:
        if self.running:
            self._cut(self._cut_off(leader, others), 1500)

    def strand(self) -> None:
        """The leader takes writes that nobody else gets, and the others go on without it."""
        world, leader = self.world, self.world.leader()
        if leader is None:
            return
        others = [process.id for process in world.alive() if process is not leader]
        self._cut(one_way([leader.id], others), 2500)
        for client in world.clients:
            for _ in range(self.chance.randrange(1, 5)):
                world.timeline.after(self._while(0, 30), world.extra_write, client, leader)
        if self.chance.random() < 0.5:
            self.change()
        self._write_at([p for p in world.alive() if p is not leader] or [leader], 400, 2000)
        if self.chance.random() < 0.7:
            world.timeline.after(self._while(20, 80), self._crash, leader, self._while(200, 2500))
            for other in world.alive():
                if other is not leader and self.chance.random() < 0.7:
                    delay = self._while(80, 400)
                    world.timeline.after(delay, other.input, other.process_ended, leader.id)

    def _watch(self, leader: Process, *, times: int, every_ms: int) -> None:
        """Clients go on reading at one that leads, or believes so."""
        for round_ in range(times):
            self.world.timeline.after(round_ * every_ms * MS, self._read_at, leader)

    def _read_at(self, process: Process) -> None:
        if self.running and process.up:
            operation = ReadOperation(
                self.world.clients[0], self.chance.randrange(self.settings.keys)
            )
            operation.beside = True
            process.input(ask_read, process, operation, self.chance.random() < 0.6)

    # What people do.

    def burst(self) -> None:
        """Many clients at once."""
        for client in self.world.clients:
            for _ in range(self.chance.randrange(1, 6)):
                self.world.timeline.after(self._while(0, 5), self.world.extra_write, client)

    def transfer(self) -> None:
        """Leadership is to move."""
        leader = self.world.leader()
        if leader is not None:
            target = self.chance.choice(self.world.alive()).id
            leader.input(self._transfer, leader, target)

    def _transfer(self, leader: Process, target: NodeId) -> None:
        if leader.node is not None:
            try:
                leader.node.transfer(target)
            except Refused as refused:
                self.world.note("transfer refused", refused.why)

    def change(self) -> None:
        """An administrator changes the membership through whoever says to be the leader."""
        leaders = [process for process in self.world.alive() if process.leads]
        if leaders:
            leader = self.chance.choice(leaders)
            leader.input(self._change, leader)

    def _change(self, leader: Process) -> None:
        if not leader.leads:
            return
        change = self.world.wiped_change(leader) or self._drawn_change(leader)
        if change is not None:
            self.propose(leader, change)

    def propose(self, leader: Process, change: Change) -> None:
        """Ask the leader for it."""
        assert leader.node is not None
        try:
            leader.node.change(change)
            self.world.note("change", leader.id, change)
        except (Refused, ChangeRefused) as refused:
            self.world.note("change refused", refused)

    def _drawn_change(self, leader: Process) -> Change | None:
        assert leader.node is not None
        membership, chance = leader.node.membership, self.chance
        members = list(membership.members)
        kind = chance.choices(
            ["add", "remove", "demote", "promote", "update", "again"], [5, 4, 2, 2, 2, 1]
        )[0]
        target = chance.choice(members) if chance.random() < 0.7 else leader.id
        if kind == "add" and len(self.world.alive()) < self.settings.processes_max:
            fresh = self.world.add_process(Disk(HardState(0, 0)))
            self.world.timeline.after(self._while(0, 300), self._restart, fresh)
            promote = chance.random() < 0.85
            return AddMember(fresh.id, "n", f"d{fresh.id}", promote, chance.choice([0, 0, 0, 1]))
        if kind == "again":
            return AddMember(target, "n", "another directory")
        if kind == "remove" and len(membership.voters) > 1:
            return RemoveMember(target)
        if kind == "demote" and len(membership.voters) > 2:
            return DemoteMember(target)
        if kind == "promote":
            return PromoteMember(target)
        return UpdateMember(target, "moved", chance.choice([0, 0, 1, 2]))

    def wipe(self) -> None:
        """A disk is lost with its node: the id may never come back. Only where a majority of the
        others is sure to remain."""
        alive = self.world.alive()
        memberships = {process.newest_membership().encode() for process in alive}
        settled = all(
            p.node is not None and p.node.history.index <= p.node.log.committed for p in alive
        )
        if len(memberships) != 1 or not settled or self.world.wiped is not None:
            return
        voters = alive[0].newest_membership().voters
        if len(voters) < 3:
            return
        victim = self.world.processes[self.chance.choice(voters)]
        self.world.note("wiped", victim.id)
        victim.crash()
        victim.gone = True
        self.world.wiped = victim.id
