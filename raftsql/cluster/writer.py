"""Who has the writer: single writes in batches, or one interactive transaction at a time.

SQLite has one writer, and so has the cluster. A transaction that wants to write waits until
everything proposed before it is applied; from then on, until it ends, no other write enters the
log. Its statements run for real on the leader's database, and its COMMIT proposes what they did as
one command. When that is committed, the leader only commits what it holds open; the followers
replay it. Singles and transactions take turns, each in order of arrival, so that neither starves.

While a commit is on its way, the next transaction begins upon what was done: the writer belongs to
one client for as long as that client takes, and not for the quorum's round too. When the commit
arrives meanwhile, the leader replays it as the followers do, and what the open transaction has done
is done again upon it (`database.chain`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from raftsql.cluster.requests import Write
from raftsql.cluster.transactions import State, Transaction
from raftsql.raft.messages import Entry
from raftsql.raft.ready import Refused
from raftsql.sql.commands import CommandKind, Settings, Why, seal

if TYPE_CHECKING:
    from raftsql.cluster.replica import Replica

IDLE_MS_MAX = 15_000
"""A transaction that holds the writer and says nothing for so long is rolled back."""
READING_IDLE_MS_MAX = 60_000
"""One that only reads keeps nobody waiting, but the moment it sees keeps the WAL growing."""
CHAIN_MAX = 8
"""Transactions whose commits are on their way, upon which another may begin."""
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
        self._sealed: deque[Transaction] = deque()
        """Those whose commits are on their way, in the order of the log."""
        self._may_follow = False
        """Whether the newest of them may be built upon."""
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
    def has_sealed(self) -> bool:
        """Whether commits are on their way."""
        return bool(self._sealed)

    @property
    def last_seen(self) -> int:
        """Index of the last entry whose changes the next transaction would see."""
        last = self._sealed[-1].place if self._sealed else None
        return self.replica.last_seen if last is None else last.first

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
        """Give the writer to the next in the queue, once all that was proposed is applied, or is
        what it may be built upon."""
        replica = self.replica
        if self._open is not None or not self._waiting or not replica.leads:
            return
        if self._singles_turn and replica.proposals.gathered:
            return
        if not self._may_open(self._waiting[0]):
            return
        transaction = self._waiting.popleft()
        self._open = transaction
        self.world.on_database(
            partial(self.world.machine.begin, transaction.settings), transaction.opened
        )

    def _may_open(self, transaction: Transaction) -> bool:
        log = self.replica.node.log
        if not self._sealed:
            return log.applied == log.last.index
        newest = self._sealed[-1]
        assert newest.place is not None, "what was sealed has its place in the log"
        return (
            self._may_follow
            and len(self._sealed) < CHAIN_MAX
            and newest.settings == transaction.settings
            and newest.place.first == log.last.index
        )

    # The end of a transaction.

    def propose(self, transaction: Transaction, write: Write) -> None:
        """Put what the open transaction did into the log."""
        assert transaction is self._open, "only the transaction that has the writer commits"
        assert transaction.open is not None, "the transaction that has the writer is open"
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
        self._open, self._singles_turn = None, True
        self._sealed.append(transaction)
        self._may_follow = False
        self.world.on_database(
            partial(transaction.open.seal, place.first, payload),
            partial(self._was_sealed, transaction),
        )

    def _was_sealed(self, transaction: Transaction, may_follow: bool) -> None:
        if self._sealed and self._sealed[-1] is transaction:
            # What is large is not done again in the event loop.
            self._may_follow = may_follow and transaction.is_small
            self._try_open()

    def apply(self, entries: Sequence[Entry]) -> None:
        """Apply what is committed, beside the transactions that are open or sealed."""
        world = self.world
        if self._open is None and not self._sealed:
            world.apply(entries)
        elif self._open is None and len(self._sealed) == 1 and self._reaches(entries):
            self._commit(self._sealed[0], entries)
        else:
            machine = world.machine
            unwind = partial(machine.unwind, entries[-1].index)
            world.on_database(unwind, _nothing, small=machine.is_quick_to_unwind)
            world.apply(entries)

    def _reaches(self, entries: Sequence[Entry]) -> bool:
        place = self._sealed[0].place
        return place is not None and entries[-1].index >= place.first

    def _commit(self, transaction: Transaction, entries: Sequence[Entry]) -> None:
        """Its entry is committed, and nothing was built upon it; what came behind it in the log is
        applied after it."""
        place = transaction.place
        assert transaction.open is not None, "a sealed one was open"
        assert place is not None, "and has its place in the log"
        count = place.first - entries[0].index + 1
        mine, rest = entries[:count], entries[count:]
        assert mine[-1].term == place.term, "only the leader of that term holds it open"
        self._may_follow = False
        applied = self.replica.applied_part if rest else self.replica.applied
        self.world.on_database(
            partial(transaction.open.commit, mine),
            partial(applied, mine),
            small=transaction.is_small,
        )
        if rest:
            self.world.apply(rest)

    def ended(self, transaction: Transaction) -> None:
        """The transaction is over without a commit that is known of: let the next one go on."""
        self._all.pop(transaction, None)
        if transaction in self._waiting:
            self._waiting.remove(transaction)
        if transaction.open is None:
            return  # It never had the writer, or is just being given it and will come back here.
        if transaction is self._open:
            self._open = None
            self._singles_turn = True
        elif transaction in self._sealed:
            self._sealed.remove(transaction)
            self._may_follow = False  # Those that are left have lost what they were built upon.
        else:
            return
        self.world.on_database(transaction.open.roll_back, _nothing, small=transaction.is_small)
        self._try_open()

    def applied(self) -> None:
        """Everything handed out so far is applied: perhaps somebody's turn has come."""
        applied = self.replica.node.log.applied
        while self._sealed:
            transaction = self._sealed[0]
            if transaction.place is None or transaction.place.first > applied:
                break
            self._sealed.popleft()
            transaction.state = State.ENDED
            self._all.pop(transaction, None)
        if self._open is not None:
            self._open.go_on()
        self._try_open()

    def lead_lost(self) -> None:
        """Others may write now: roll back. What was proposed comes through the log, or never."""
        self._closed = False
        for transaction in list(self._all):
            transaction.send_away("the node lost the lead")

    def make_way(self, reason: str) -> None:
        """Roll back what holds the writer: something waits that may not depend on its client."""
        if self._open is not None:
            self._open.end(Why.TRANSACTION_GONE, f"it was rolled back: {reason}")

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
