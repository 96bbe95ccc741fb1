"""Copies for other nodes leave the disk to the journal half of the time."""

from __future__ import annotations

from raftsql.cluster.copying import REST, paced


class Watch:
    """A clock that a step moves on, and what the copy rested."""

    def __init__(self, seconds: float, remaining: int) -> None:
        self.now, self.seconds, self.remaining = 100.0, seconds, remaining
        self.rested: list[float] = []

    def clock(self) -> float:
        return self.now

    def step(self) -> int:
        self.now += self.seconds
        return self.remaining


def test_a_copy_rests_as_long_as_its_step_took() -> None:
    watch = Watch(0.25, remaining=7)
    assert paced(watch.step, clock=watch.clock, rest=watch.rested.append) == 7
    assert watch.rested == [REST * 0.25]


def test_nobody_waits_after_the_last_step() -> None:
    watch = Watch(0.25, remaining=0)
    assert paced(watch.step, clock=watch.clock, rest=watch.rested.append) == 0
    assert watch.rested == []
