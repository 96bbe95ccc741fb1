"""Writes between the door and their answer: those that gather, and those that are in the log.

What gathers while the replica is busy is proposed together. What is in the log waits for its entry
to be applied *here*, whoever leads by then: the entry at its index either is the proposed one, and
then its answer is known, or is of another term, and then it certainly never happened.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from raftsql.cluster.requests import Stage, Watcher, Write, not_leader, out_of_time
from raftsql.raft.messages import Entry, NodeId
from raftsql.raft.ready import Proposed
from raftsql.sql.commands import Why

GATHERED_MAX = 20_000
"""Writes that wait to be proposed; one more is told at once that the node is overloaded."""
GATHERED_BYTES_MAX = 64 << 20
"""And their bytes: what bounds the memory that clients can take here."""


class Proposals:
    """The writes of this node's clients that are not answered yet."""

    def __init__(self) -> None:
        """Nobody waits."""
        self.gathered: deque[Write] = deque()
        self._gathered_bytes = 0
        self._by_index: dict[int, Write] = {}
        self.watched: list[tuple[int, Watcher]] = []
        """Those proposed whose way to the commit somebody follows, in the log's order."""

    def __len__(self) -> int:
        return len(self.gathered) + len(self._by_index)

    def gather(self, write: Write) -> None:
        """Let it go with the next batch, or refuse it when too much waits."""
        size = len(write.body)
        full = len(self.gathered) >= GATHERED_MAX
        if full or (self._gathered_bytes + size > GATHERED_BYTES_MAX and self.gathered):
            write.reply.refused(Why.OVERLOADED, "too many writes wait already; try again later")
            return
        self.gathered.append(write)
        self._gathered_bytes += size

    def take(self, *, entries_max: int, bytes_max: int) -> list[Write]:
        """The next batch, in order of arrival."""
        batch: list[Write] = []
        size = 0
        while self.gathered and len(batch) < entries_max:
            size += len(self.gathered[0].body)
            if batch and size > bytes_max:
                break
            batch.append(self.gathered.popleft())
        if self.gathered:
            self._gathered_bytes -= sum(len(write.body) for write in batch)
        else:
            self._gathered_bytes = 0
        return batch

    def proposed(self, batch: Iterable[Write], place: Proposed) -> None:
        """The batch stands in the log from this place on."""
        for index, write in enumerate(batch, place.first):
            write.term = place.term
            earlier = self._by_index.pop(index, None)
            if earlier is not None:
                # Of a time when this node led before; its log was cut since, another's perhaps not.
                self._unknown(earlier, "the node lost the lead while the write was under way")
            self._by_index[index] = write
            if write.watcher is not None:
                write.watcher.reached(Stage.PROPOSED, index)
                self.watched.append((index, write.watcher))

    def committed(self, upto: int) -> None:
        """Tell those who follow a write that a majority has stored it."""
        for index, watcher in self.watched:
            if index <= upto:
                watcher.reached(Stage.COMMITTED)
        self.watched = [follows for follows in self.watched if follows[0] > upto]

    def refuse(self, batch: Iterable[Write], why: Why, message: str) -> None:
        """The batch was not taken."""
        for write in batch:
            write.reply.refused(why, message)

    def answer(self, entries: Sequence[Entry], answers: Sequence[bytes | None]) -> None:
        """These entries were applied here, with these answers; None of what a snapshot had brought
        already, and of what is no command."""
        waiting = self._by_index
        if not waiting:
            return
        for entry, answer in zip(entries, answers, strict=True):
            write = waiting.pop(entry.index, None)
            if write is None:
                continue
            if write.term != entry.term:
                write.reply.refused(
                    Why.NOT_LEADER, "the node lost the lead before the write was replicated"
                )
            elif answer is None:
                self._unknown(write, "a snapshot took the place of the log")
            else:
                write.reply.result(answer, entry.index)

    def lead_lost(self, leader: NodeId) -> None:
        """Another node may lead: what gathered was not proposed, what was proposed may happen.

        Who can ask again under the same sequence is told so at once; who can't, waits for its
        entry's fate.
        """
        for write in self.gathered:
            write.reply.refused(Why.NOT_LEADER, not_leader(leader))
        self.gathered.clear()
        self._gathered_bytes = 0
        self.watched.clear()
        for index, write in list(self._by_index.items()):
            if write.session:
                del self._by_index[index]
                self._unknown(write, "the node lost the lead while the write was under way")

    def skipped(self, upto: int) -> None:
        """A snapshot took the place of the log up to here: these fates can't be learnt here."""
        for index in [index for index in self._by_index if index <= upto]:
            self._unknown(self._by_index.pop(index), "a snapshot took the place of the log")

    def expire(self, now_ms: int) -> None:
        """Answer those whose client has stopped waiting."""
        if any(0 < write.deadline_ms <= now_ms for write in self.gathered):
            kept = [w for w in self.gathered if not 0 < w.deadline_ms <= now_ms]
            for write in self.gathered:
                if 0 < write.deadline_ms <= now_ms:
                    write.reply.refused(*out_of_time(write, "it could be proposed"))
            self.gathered = deque(kept)
            self._gathered_bytes = sum(len(write.body) for write in kept)
        late = [i for i, w in self._by_index.items() if 0 < w.deadline_ms <= now_ms]
        for index in late:
            self._unknown(self._by_index.pop(index), "no majority has stored the write in time")

    def stop(self) -> None:
        """The node stops: nothing more will be learnt here."""
        for write in self.gathered:
            write.reply.refused(Why.SHUTTING_DOWN, "the node stops")
        self.gathered.clear()
        for write in self._by_index.values():
            self._unknown(write, "the node stops")
        self._by_index.clear()

    def _unknown(self, write: Write, message: str) -> None:
        write.reply.refused(Why.UNKNOWN, f"the outcome is not known: {message}")
