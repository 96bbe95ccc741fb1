"""The network of a script: messages stay in it until the script says what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from raftsql.raft.messages import Envelope, NodeId


@dataclass(frozen=True, slots=True)
class Pattern:
    """Picks messages by sender, receiver and kind; what is empty picks all."""

    sources: frozenset[NodeId] = frozenset()
    targets: frozenset[NodeId] = frozenset()
    kinds: frozenset[str] = frozenset()

    def picks(self, envelope: Envelope) -> bool:
        """Whether the message is meant."""
        return (
            (not self.sources or envelope.source in self.sources)
            and (not self.targets or envelope.target in self.targets)
            and (not self.kinds or type(envelope.message).__name__ in self.kinds)
        )


class Wire:
    """Messages under way, in the order in which they were sent."""

    def __init__(self) -> None:
        """Nothing is under way, and nothing is in its way."""
        self.flying: list[Envelope] = []
        self.held: list[Envelope] = []
        self.holding: list[Pattern] = []
        self.cuts: set[tuple[NodeId, NodeId]] = set()

    def send(self, envelopes: Iterable[Envelope]) -> None:
        """Messages leave a node."""
        for envelope in envelopes:
            if (envelope.source, envelope.target) in self.cuts:
                continue
            if any(pattern.picks(envelope) for pattern in self.holding):
                self.held.append(envelope)
            else:
                self.flying.append(envelope)

    def take(self, pattern: Pattern, count: int | None = None) -> list[Envelope]:
        """Take messages out, the oldest first."""
        taken: list[Envelope] = []
        left: list[Envelope] = []
        for envelope in self.flying:
            room = count is None or len(taken) < count
            (taken if room and pattern.picks(envelope) else left).append(envelope)
        self.flying = left
        return taken

    def hold(self, pattern: Pattern) -> None:
        """Keep such messages back from now on, and those under way."""
        self.holding.append(pattern)
        self.held += self.take(pattern)

    def release(self, *, reverse: bool) -> None:
        """Let everything go that was held, and hold nothing more."""
        self.flying += reversed(self.held) if reverse else self.held
        self.held, self.holding = [], []

    def cut(self, source: NodeId, target: NodeId) -> None:
        """Lose all that goes this one way, from now on."""
        self.cuts.add((source, target))
        self.take(Pattern(frozenset({source}), frozenset({target})))

    def heal(self) -> None:
        """Every way is open again."""
        self.cuts.clear()
