"""The Raft core alone: proposals a second through three nodes in memory, without disk or network.

    python -m benchmarks.core [--seconds 2]

Says what consensus itself costs in Python, and so how much of a write's time is left for the disk,
the wire and SQLite. Each batch is proposed, replicated to both followers, committed and handed out
for apply on all three before the next one.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence

from raftsql.raft.config import Config
from raftsql.raft.log import Log
from raftsql.raft.membership import Member, Membership, first_membership_entry
from raftsql.raft.messages import Entry, Envelope, HardState, Position
from raftsql.raft.node import Node

PAYLOAD = b"x" * 100
BATCHES = (1, 10, 100, 1000)
COMPACT_EVERY = 20_000


class Memory:
    """A node whose disk is a list and whose state machine only counts."""

    def __init__(self, number: int, membership: Membership, chance: random.Random) -> None:
        self.applied = 0
        self.disk = [first_membership_entry(membership)]
        self.node = Node(
            Config(node=number, cluster=1),
            state=HardState(1, 0),
            log=Log(runs=[Position(1, 1)], last_index=1, applied=0, read=self.read),
            membership=Membership(),
            now=0,
            chance=chance.randrange,
        )

    def read(self, first: int, last: int, bytes_max: int) -> Sequence[Entry]:
        """The first entry is the only one ever read back."""
        return self.disk[first - 1 : last]

    def pump(self) -> list[Envelope]:
        """Save and apply at once; what is to be sent."""
        sent: list[Envelope] = []
        while True:
            ready = self.node.ready()
            sent += ready.messages
            if ready.save is not None:
                self.node.saved(ready.save.number)
            if ready.committed:
                self.applied = ready.committed[-1].index
                self.node.applied(self.applied)
            if not (ready.save or ready.committed):
                return sent


class Trio:
    """Three nodes and the wires between them."""

    def __init__(self) -> None:
        chance = random.Random(7)
        membership = Membership({n: Member(f"n{n}", f"d{n}") for n in (1, 2, 3)})
        self.nodes = {n: Memory(n, membership, chance) for n in (1, 2, 3)}
        self.now = 0
        while not any(m.node.leader == n for n, m in self.nodes.items()):
            self.now += 10
            for memory in self.nodes.values():
                memory.node.tick(self.now)
            self.settle()
        self.leader = next(m for n, m in self.nodes.items() if m.node.leader == n)

    def settle(self) -> None:
        """Deliver until nothing is left to deliver."""
        mail = [envelope for memory in self.nodes.values() for envelope in memory.pump()]
        while mail:
            for envelope in mail:
                self.nodes[envelope.target].node.step(envelope, self.now)
            mail = [envelope for memory in self.nodes.values() for envelope in memory.pump()]

    def propose(self, count: int) -> None:
        """One batch, all the way to every node."""
        self.leader.node.propose([PAYLOAD] * count)
        self.settle()


def measure(batch: int, seconds: float) -> tuple[float, float]:
    """Proposals a second, and microseconds of one batch."""
    trio = Trio()
    trio.propose(batch)
    done, compacted = 0, 0
    began = time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds:
        trio.propose(batch)
        done += batch
        if done - compacted > COMPACT_EVERY:
            compacted = done
            for memory in trio.nodes.values():
                memory.node.compact(min(memory.applied, memory.node.log.stored))
    return done / elapsed, elapsed / done * batch * 1e6


def main() -> None:
    """Print a line for each batch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each batch size")
    options = parser.parse_args()
    print(f"{'batch':>6} {'proposals/s':>13} {'µs a batch':>11} {'µs a proposal':>14}")
    for batch in BATCHES:
        rate, batch_us = measure(batch, options.seconds)
        print(f"{batch:>6} {rate:>13,.0f} {batch_us:>11.1f} {batch_us / batch:>14.2f}")


if __name__ == "__main__":
    main()
