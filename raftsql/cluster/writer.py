"""Who has the writer: single writes in batches, or one interactive transaction at a time.

SQLite has one writer, and so has the cluster. A transaction that wants to write waits until
everything proposed before it is applied; from then on, until it ends, no other write enters the
log. Its statements run for real on the leader's database, and its COMMIT proposes what they did as
one command. When that is committed, the leader only commits what it holds open; the followers
replay it. Singles and transactions take turns, each in order of arrival, so that neither starves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from raftsql.cluster.requests import Write
from raftsql.cluster.transactions import State, Transaction
from raftsql.raft.messages import Entry
from raftsql.raft.ready import Proposed, Refused
from raftsql.sql.commands import CommandKind, Settings, Why, seal

if TYPE_CHECKING:
    from raftsql.cluster.replica import Replica

IDLE_MS_MAX = 15_000
"""A transaction that holds the writer and says nothing for so long is rolled back."""
READING_IDLE_MS_MAX = 60_000
"""One that only reads keeps nobody waiting, but the moment it sees keeps the WAL growing."""
WAITING_MAX = 4_096
"""Transactions that wait for the writer; one more is told that the node is overloaded."""


class Writer:
    """The queue for the writer, and the transaction that has it."""

    def __init__(self, replica: Replica) -> None:
        """Nobody has it."""
        self.replica = replica
        self.world = replica.world
        self._waiting: deque[Transaction] = deque()
        self._open: Transaction | None = None
        self._held: list[Entry] = []
        """Committed entries that came while a transaction was open; applied when it ends."""
        self._singles_turn = False
        self._closed = False
        """The lead is being handed over: nothing new may open."""
        self._all: dict[Transaction, None] = {}
        """Those begun and not ended, in order."""

    @property
    def open_count(self) -> int:
        """Transactions begun and not ended."""
        return len(self._all)

    @property
    def waiting_count(self) -> int:
        """Transactions that wait for the writer."""
        return len(self._waiting)

    @property
    def is_busy(self) -> bool:
        """Whether a client has seen something in a transaction that has not ended."""
        return any(transaction.seen for transaction in self._all)

    def close(self) -> None:
        """Begin no more transactions, so that the lead can be handed over between two of them.

        Those that their clients have seen something in may go on, to their end.
        """
        self._closed = True
        for transaction in [waiting for waiting in self._waiting if not waiting.seen]:
            transaction.send_away("the lead is being handed over")

    def reopen(self) -> None:
        """The lead stays after all, or another time has begun."""
        self._closed = False
        self._try_open()

    def begin(self, settings: Settings, *, immediate: bool) -> Transaction:
        """A new transaction; it takes the writer with its first write."""
        transaction = Transaction(self, settings, immediate=immediate)
        self._all[transaction] = None
        return transaction

    def admits_singles(self) -> bool:
        """Whether writes that gathered may be proposed now."""
        if self._open is not None or (self._waiting and not self._singles_turn):
            return False
        self._singles_turn = False
        return True

    def wait(self, transaction: Transaction) -> None:
        """Queue for the writer; ends the transaction when that can't be."""
        if self._closed and not transaction.seen:
            transaction.send_away("the lead is being handed over")
        elif len(self._waiting) >= WAITING_MAX:
            reason = "too many transactions wait for the writer; try again later"
            transaction.end(Why.OVERLOADED, reason)
        else:
            self._waiting.append(transaction)
            self._try_open()

    def _try_open(self) -> None:
        """Give the writer to the next in the queue, once all that was proposed is applied."""
        replica, log = self.replica, self.replica.node.log
        if self._open is not None or not self._waiting or not replica.leads:
            return
        if self._singles_turn and replica.proposals.gathered:
            return
        if log.applied != log.last.index:
            return
        transaction = self._waiting.popleft()
        self._open = transaction
        self.world.on_database(
            partial(self.world.machine.begin, transaction.settings), transaction.opened
        )

    # The end of a transaction.

    def propose(self, transaction: Transaction, write: Write) -> None:
        """Put what the open transaction did into the log."""
        assert transaction is self._open, "only the transaction that has the writer commits"
        replica = self.replica
        payload = seal(
            CommandKind.TRANSACTION,
            write.body,
            clock_ms=replica.next_clock(),
            seed=self.world.seed(),
            settings=transaction.settings,
            fuel=write.fuel,
            session=write.session,
            sequence=write.sequence,
            floor=write.floor,
        )
        place = replica.propose_sealed([payload])
        if isinstance(place, Refused):
            transaction.end(Why.TRANSACTION_GONE, f"it was rolled back: {place}")
            write.reply.refused(Why.TRANSACTION_GONE, f"it was rolled back: {place}")
            return
        transaction.place = place
        replica.proposals.proposed([write], place)

    def takes(self, entries: Sequence[Entry]) -> bool:
        """Keep committed entries while a transaction is open: its own ends it."""
        if self._open is None:
            return False
        self._held.extend(entries)
        place = self._open.place
        if place is None or self._held[-1].index < place.first:
            self.replica.apply_later()
        else:
            self._commit(self._open, place)
        return True

    def _commit(self, transaction: Transaction, place: Proposed) -> None:
        """Its entry is committed; what came behind it in the log is applied after it."""
        count = place.first - self._held[0].index + 1
        mine, self._held = self._held[:count], self._held[count:]
        assert mine[-1].term == place.term, "only the leader of that term holds it open"
        transaction.state = State.ENDED
        assert transaction.open is not None, "a transaction that committed was open"
        self.world.on_database(
            partial(transaction.open.commit, mine),
            partial(self.replica.applied, mine),
            small=transaction.is_small,
        )

    def ended(self, transaction: Transaction) -> None:
        """The transaction is over without a commit: let the next one go on."""
        self._all.pop(transaction, None)
        if transaction in self._waiting:
            self._waiting.remove(transaction)
        if transaction is not self._open or transaction.open is None:
            return  # It never had the writer, or is just being given it and will come back here.
        self._open = None
        self._singles_turn = True
        self.world.on_database(transaction.open.roll_back, _nothing, small=transaction.is_small)
        if self._held:
            held, self._held = self._held, []
            self.replica.apply_now(held)
        self._try_open()

    def applied(self) -> None:
        """Everything handed out so far is applied: perhaps somebody's turn has come."""
        if self._open is not None and self._open.state is State.ENDED:
            self._all.pop(self._open, None)
            self._open = None
            self._singles_turn = True
            if self._held:
                held, self._held = self._held, []
                self.replica.apply_now(held)
        self._try_open()

    def lead_lost(self) -> None:
        """Others may write now: roll back. What was proposed comes through the log, or never."""
        self._closed = False
        for transaction in list(self._all):
            transaction.send_away("the node lost the lead")

    def expire(self, now_ms: int) -> None:
        """Roll back what holds the writer and says nothing; let go of who waited too long."""
        transaction = self._open
        if transaction is not None and transaction.idle_since(now_ms, IDLE_MS_MAX):
            transaction.end(
                Why.TRANSACTION_GONE,
                f"it was rolled back: it held the writer and was idle for {IDLE_MS_MAX} ms",
            )
        for waiting in list(self._waiting):
            waiting.end_if_late(now_ms)
        for reading in [t for t in self._all if t.reads_idly(now_ms, READING_IDLE_MS_MAX)]:
            reading.end(
                Why.TRANSACTION_GONE,
                f"it was let go: it held a moment and was idle for {READING_IDLE_MS_MAX} ms",
            )
        self._try_open()

    def stop(self) -> None:
        """The node stops."""
        for transaction in list(self._all):
            if transaction.state is not State.ENDED:
                transaction.end(Why.TRANSACTION_GONE, "it was rolled back: the node stops")


def _nothing(_: object) -> None:
    """What there is to do after a rollback."""
