"""A network that loses, delays, repeats and reorders, and can be cut link by link and direction.

A link is (source, target). Cut links lose what is sent; clogged ones hold it until they are
cleared, and deliver it then. Everything is drawn from the one generator it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

from raftsql.raft.messages import Envelope, NodeId
from tests.simulator.timeline import MS, Timeline

Link = tuple[NodeId, NodeId]


@dataclass(slots=True)
class Weather:
    """How bad the network is where it is not cut."""

    drop: float = 0.0
    repeat: float = 0.0
    delay_us: int = 300
    """The mean of an exponential delay."""
    stray: float = 0.0
    """How many messages take very long."""
    stray_us: int = 400 * MS
    ordered: bool = True
    """Each link delivers in order, as a stream does."""

    @classmethod
    def fair(cls) -> Weather:
        """Nothing goes wrong."""
        return cls()


class Network:
    """All links between nodes."""

    __slots__ = (
        "weather", "cut", "clogged", "sent", "lost",
        "_timeline", "_chance", "_deliver", "_held", "_busy_until",
    )  # fmt: skip

    def __init__(
        self, timeline: Timeline, chance: Random, deliver: Callable[[Envelope], None]
    ) -> None:
        self.weather = Weather()
        self.cut: set[Link] = set()
        self.clogged: set[Link] = set()
        self.sent = 0
        self.lost = 0
        self._timeline = timeline
        self._chance = chance
        self._deliver = deliver
        self._held: dict[Link, list[Envelope]] = {}
        self._busy_until: dict[Link, int] = {}

    def send(self, envelope: Envelope) -> bool:
        """Take a message on its way; whether it has a chance to arrive."""
        link = (envelope.source, envelope.target)
        weather, chance = self.weather, self._chance.random
        self.sent += 1
        if link in self.cut or (weather.drop and chance() < weather.drop):
            self.lost += 1
            return False
        if link in self.clogged:
            self._held.setdefault(link, []).append(envelope)
            return True
        self._fly(link, envelope)
        if weather.repeat and chance() < weather.repeat:
            self._fly(link, envelope, stray=True)
        return True

    def reaches(self, source: NodeId, target: NodeId) -> bool:
        """Whether anything sent now could arrive."""
        return (source, target) not in self.cut

    def _fly(self, link: Link, envelope: Envelope, *, stray: bool = False) -> None:
        weather = self.weather
        delay = 50 + int(self._chance.expovariate(1.0) * weather.delay_us)
        if stray or (weather.stray and self._chance.random() < weather.stray):
            delay += self._chance.randrange(weather.stray_us)
        elif weather.ordered:
            due = max(self._timeline.now + delay, self._busy_until.get(link, 0))
            self._busy_until[link] = due
            delay = due - self._timeline.now
        self._timeline.after(delay, self._deliver, envelope)

    def block(self, links: Iterable[Link]) -> None:
        """Cut these directions."""
        self.cut.update(links)

    def unblock(self, links: Iterable[Link]) -> None:
        """These directions work again."""
        self.cut.difference_update(links)

    def clog(self, links: Iterable[Link]) -> None:
        """Hold what is sent in these directions."""
        self.clogged.update(links)

    def unclog(self) -> None:
        """Deliver everything that was held."""
        self.clogged.clear()
        held, self._held = self._held, {}
        for link, envelopes in held.items():
            for envelope in envelopes:
                self._fly(link, envelope)

    def heal(self) -> None:
        """Every link works."""
        self.cut.clear()
        self.unclog()


def one_way(sources: Iterable[NodeId], targets: Iterable[NodeId]) -> list[Link]:
    """From each source to each target."""
    targets = list(targets)
    return [(source, target) for source in sources for target in targets if source != target]


def two_way(some: Iterable[NodeId], others: Iterable[NodeId]) -> list[Link]:
    """Between the two groups, both directions."""
    some, others = list(some), list(others)
    return one_way(some, others) + one_way(others, some)
