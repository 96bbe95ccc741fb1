"""How far one follower is, and how much may be sent to it.

Three ways to send, each with its own fields:

- Probing: the leader does not know where the logs part; one append at a time, until an answer.
- Replicating: the logs agree; appends follow each other without waiting, within the window.
- Shipping: the log no longer reaches back far enough; a snapshot is on its way.

Invariant: match < next_index, and all entries up to match are the leader's, durably.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from raftsql.raft.config import Config


@dataclass(slots=True)
class Probing:
    """At most one append is under way."""

    asked: bool = False


@dataclass(slots=True)
class Replicating:
    """Appends under way: the last index of each, and its bytes."""

    inflight: deque[tuple[int, int]] = field(default_factory=deque)
    inflight_bytes: int = 0


@dataclass(slots=True)
class Shipping:
    """A snapshot is being made or sent; `heard_at` is when something was last heard of it."""

    heard_at: int


Flow = Probing | Replicating | Shipping


@dataclass(slots=True)
class CatchUp:
    """A learner's way to a vote, in rounds (thesis 4.2.1): each runs to where the log ended when
    it began. A round shorter than an election timeout says that the learner keeps up."""

    target: int
    started_at: int
    rounds: int = 1


@dataclass(slots=True)
class Progress:
    """What the leader knows of one peer."""

    next_index: int
    heard_at: int
    match: int = 0
    probe: int = 0
    """The newest probe it answered in this term."""
    appended_probe: int = 0
    """The newest probe that an append took to it."""
    commit_told: int = 0
    """The commit index it was last told."""
    moved_at: int = 0
    """When an append last left for it with none under way, or one was acknowledged."""
    flow: Flow = field(default_factory=Probing)
    catch_up: CatchUp | None = None

    def may_send(self, config: Config) -> bool:
        """Whether an append may leave now."""
        match self.flow:
            case Replicating(inflight, size):
                return (
                    len(inflight) < config.inflight_messages_max
                    and size < config.inflight_bytes_max
                )
            case Probing(asked):
                return not asked
            case Shipping():
                return False

    def sent(self, last: int, size: int) -> None:
        """An append that ends at `last` leaves."""
        match self.flow:
            case Replicating(inflight):
                if last >= self.next_index:
                    inflight.append((last, size))
                    self.flow.inflight_bytes += size
                    self.next_index = last + 1
            case Probing():
                self.flow.asked = True
            case Shipping():
                raise AssertionError("nothing is appended while a snapshot is on its way")

    def readiness(self, probe: int) -> tuple[bool, int, int]:
        """Of two peers the one with the greater should rather be asked `probe`: whom an append has
        asked already, who was heard last, who answered last."""
        return self.appended_probe == probe, self.heard_at, self.probe

    def accepted(self, match: int) -> bool:
        """The peer holds everything up to `match`; whether that is news."""
        news = match > self.match
        self.match = max(self.match, match)
        match self.flow:
            case Replicating(inflight):
                while inflight and inflight[0][0] <= match:
                    self.flow.inflight_bytes -= inflight.popleft()[1]
            case Probing():
                self.replicate()
            case Shipping():
                if news:
                    self.replicate()
        self.next_index = max(self.next_index, self.match + 1)
        return news

    def keeps_up(self, last: int, now: int, config: Config) -> bool:
        """Whether a learner of a log that ends at `last` may have a vote: its round has ended in
        less than an election timeout. Where it took longer, the next round begins."""
        if isinstance(self.flow, Shipping) or self.match == 0:
            return False
        if now - self.heard_at >= 2 * config.heartbeat_ms:
            return False  # A vote that can't be given only raises the quorum.
        catch_up = self.catch_up
        if catch_up is None:
            self.catch_up = CatchUp(last, now)
            return False
        if self.match < catch_up.target:
            return False
        quick = now - catch_up.started_at <= config.election_ms
        if quick or catch_up.rounds >= config.promote_rounds_max:
            return True
        self.catch_up = CatchUp(last, now, catch_up.rounds + 1)
        return False

    def replicate(self) -> None:
        """The logs agree up to match: stream from there."""
        self.flow = Replicating()
        self.next_index = self.match + 1

    def probe_from(self, next_index: int) -> None:
        """The logs disagree or an append was lost: ask again, never below what is known."""
        self.flow = Probing()
        self.next_index = max(next_index, self.match + 1)

    def ship(self, now: int) -> None:
        """The log does not reach back: a snapshot has to go first."""
        self.flow = Shipping(heard_at=now)
