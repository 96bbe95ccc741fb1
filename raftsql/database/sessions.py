"""Exactly once: what each client asked last, and what it was told (thesis 6.3).

A session is a client process; it numbers its writes, many of which may be under way at once. With
each write it says up to where it has seen every answer: the floor. Above the floor, answers are
kept, and a write that comes again gets the answer it got; at or below, it is refused, since
nobody can tell any more what it was told.

What is kept is a function of the log alone, wherever batches began and ended. How it is kept is
not: the answers of one batch are one row, written once and deleted when the last of them is below
its session's floor, so that exactly-once costs an insert and a delete a batch instead of a write a
command. Floors and times are not written at all. They follow from the rows that are left, because
a session's newest command is always above its own floor: its record carries both, and lives until
a newer command of that session, which carries newer ones, buries it.
"""

from __future__ import annotations

from collections import deque
from operator import itemgetter
from typing import Final

import apsw
import msgspec

from raftsql.database import internal
from raftsql.sql.commands import Failed, Opened, OpenSession, Refusal, encode

SESSIONS_MAX: Final = 10_000
"""Client processes remembered at once; each may pin one batch's row."""
OUTSTANDING_MAX: Final = 4_096
"""Unacknowledged writes of one session; more than any driver has under way."""
ANSWER_BYTES_MAX: Final = 64 * 1024
"""A longer answer is not kept: the write is still applied once, but its retry learns no rows."""
WASTE_MIN: Final = 4_096
"""Dead records that may lie in living rows before the rows are written anew."""

FLOOR_MAX: Final = 1 << 64
"""Above every sequence."""

Record = tuple[int, int, int, int, int, bytes]
"""log index, session, sequence, floor, clock in ms, packed answer."""
_SESSION: Final = itemgetter(1)
_SEQUENCE: Final = itemgetter(2)

UNKNOWN: Final = encode(
    Failed(Refusal.SESSION_UNKNOWN, 0, "the session is not known, or has expired; nothing was done")
)
FORGOTTEN: Final = encode(
    Failed(Refusal.SEQUENCE_FORGOTTEN, 0, "this write was answered, and its answer acknowledged")
)
DROPPED: Final = encode(
    Failed(
        Refusal.ANSWER_DROPPED, 0, "this write was applied once; its answer was too long to keep"
    )
)
CROWDED: Final = encode(
    Failed(Refusal.SESSIONS_FULL, 0, "too many unacknowledged writes in one session")
)
FULL: Final = encode(Failed(Refusal.SESSIONS_FULL, 0, "there is no room for another session"))

_decode_records = msgspec.msgpack.Decoder(list[Record]).decode


_OWNED: Final = b"\x00user"


def owned(nonce: bytes, user: int) -> bytes:
    """A nonce that finds the sessions of one user only."""
    return _OWNED + user.to_bytes(2) + nonce if user else nonce


def owner_of(nonce: bytes) -> int:
    """Whose session a nonce finds."""
    start = len(_OWNED)
    return int.from_bytes(nonce[start : start + 2]) if nonce.startswith(_OWNED) else 0


class Client:
    """One session."""

    __slots__ = ("answers", "buried", "floor", "heard_ms", "keep_ms", "nonce", "number", "pins")

    def __init__(self, number: int, nonce: bytes, keep_ms: int, heard_ms: int) -> None:
        self.number = number
        self.nonce = nonce
        self.keep_ms = keep_ms
        self.heard_ms = heard_ms
        self.floor = 0
        self.buried = 0
        """The floor as of the last batch: answers up to it are gone from `answers`."""
        self.answers: dict[int, Record] = {}
        """By sequence; within a batch, some may be at or below the floor already."""
        self.pins: deque[tuple[int, int]] = deque()
        """Rows that hold answers of this session: the highest sequence in it, and its key."""

    @property
    def owner(self) -> int:
        """The number of the user whose session it is; 0 when nobody has to say who they are."""
        return owner_of(self.nonce)


class Sessions:
    """All sessions of one database, in memory; `save` makes the batch's part durable."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self.clients: dict[int, Client] = {}
        self._by_nonce: dict[bytes, Client] = {}
        self.fresh: list[Record] = []
        """What was noted since the last `save`."""
        self._pinned_by: dict[int, int] = {}
        """For each row but the newest, by how many sessions it is needed."""
        self._sizes: dict[int, int] = {}
        self._held = 0
        self._held_max = WASTE_MIN
        self._dead: list[int] = []
        self._newest = -1
        self._load()

    def move(self, connection: apsw.Connection) -> None:
        """Go on writing through another connection to the same file."""
        assert not self.fresh, "what was noted belongs to a transaction of the old connection"
        self._connection = connection
        self._cursor = connection.cursor()

    def _load(self) -> None:
        for number, nonce, keep_ms, heard_ms in internal.session_rows(self._connection):
            self._admit(Client(number, nonce, keep_ms, heard_ms))
        for key, packed in internal.answer_rows(self._connection):
            records = _decode_records(packed) if packed else []
            for record in records:
                self._remember(record)
            self._pin(key, records)
            self._newest = key
        for client in self.clients.values():
            self._bury(client)

    def _admit(self, client: Client) -> None:
        self.clients[client.number] = client
        self._by_nonce[client.nonce] = client

    def _remember(self, record: Record) -> None:
        client = self.clients.get(record[1])
        if client is not None:
            client.answers[record[2]] = record
            client.floor = max(client.floor, record[3])
            client.heard_ms = max(client.heard_ms, record[4])

    def known(self, session: int, sequence: int, floor: int = 0) -> bytes | None:
        """The answer to a write that must not be applied (again); None when it must.

        `floor` comes with the write. It makes room: a client that was told to slow down could not
        go on otherwise, since floors are raised by writes that are applied.
        """
        client = self.clients.get(session)
        if client is None:
            return UNKNOWN
        if sequence <= client.floor:
            return FORGOTTEN
        record = client.answers.get(sequence)
        if record is not None:
            return record[5]
        return CROWDED if self._is_crowded(client, max(client.floor, floor)) else None

    def _is_crowded(self, client: Client, floor: int) -> bool:
        if len(client.answers) < OUTSTANDING_MAX:
            return False
        return sum(sequence > floor for sequence in client.answers) >= OUTSTANDING_MAX

    def note(
        self, index: int, session: int, sequence: int, floor: int, clock_ms: int, answer: bytes
    ) -> None:
        """Keep the answer of a write that was just applied, for `known` said None."""
        if len(answer) > ANSWER_BYTES_MAX:
            answer = DROPPED
        client = self.clients[session]
        if floor >= sequence:
            floor = sequence - 1
        if floor > client.floor:
            client.floor = floor
        record = (index, session, sequence, floor, clock_ms, answer)
        client.answers[sequence] = record
        self.fresh.append(record)

    def undo(self) -> None:
        """Forget everything noted since the last `save`: its SQLite transaction is gone."""
        for record in self.fresh:
            client = self.clients[record[1]]
            del client.answers[record[2]]
            client.floor = client.buried
        self.fresh.clear()

    def save(self, index: int, term: int, clock_ms: int) -> None:
        """Make what was noted, and the place in the log, durable with the open transaction."""
        fresh = self.fresh
        packed = encode(fresh) if fresh else b""
        if self._newest not in self._pinned_by:
            self._dead.append(self._newest)
        self._newest = index
        for client in self._pin(index, fresh):
            self._bury(client)
        self.fresh = []
        # Rows are deleted first, so that the new one takes their pages and none changes hands.
        if self._dead:
            for key in self._dead:
                self._cursor.execute(internal.DROP_BATCH, (key,))
            self._dead.clear()
        self._cursor.execute(internal.KEEP_BATCH, (index, term, clock_ms, packed))
        if self._held > self._held_max:
            self._rewrite(index, term, clock_ms)

    def _pin(self, key: int, records: list[Record]) -> list[Client]:
        """Bind a row to the sessions whose answers are in it; those sessions."""
        # Clocks never go back, so a session was last heard of in its last record.
        if len(set(map(_SESSION, records))) == 1:
            heard = {records[-1][1]: records[-1][4]}
            highest = {records[-1][1]: max(map(_SEQUENCE, records))}
        else:
            heard = {record[1]: record[4] for record in records}
            highest = dict(sorted([record[1:3] for record in records]))
        clients = [self.clients[session] for session in highest if session in self.clients]
        for client in clients:
            client.pins.append((highest[client.number], key))
            client.heard_ms = max(client.heard_ms, heard[client.number])
        if clients:
            self._pinned_by[key] = len(clients)
            self._sizes[key] = len(records)
            self._held += len(records)
        return clients

    def _bury(self, client: Client) -> None:
        """Forget answers the client has seen, and rows in which nobody's answer is left."""
        floor, answers = client.floor, client.answers
        if floor == client.buried:
            return
        if floor - client.buried <= len(answers):
            forget = answers.pop
            for sequence in range(client.buried + 1, floor + 1):
                forget(sequence, None)
        else:
            client.answers = {s: record for s, record in answers.items() if s > floor}
        client.buried = floor
        self._release(client, floor)

    def _release(self, client: Client, floor: int) -> None:
        pins = client.pins
        # A row behind one that is still needed waits for it: that costs room, and saves a search.
        while pins and pins[0][0] <= floor:
            _, key = pins.popleft()
            self._pinned_by[key] -= 1
            if self._pinned_by[key] == 0:
                del self._pinned_by[key]
                self._held -= self._sizes.pop(key)
                if key != self._newest:
                    self._dead.append(key)

    def _rewrite(self, index: int, term: int, clock_ms: int) -> None:
        """Gather the living records in one row: idle sessions pin rows of mostly dead ones."""
        living = sorted(r for client in self.clients.values() for r in client.answers.values())
        self._held_max = 4 * len(living) + WASTE_MIN
        if self._held <= self._held_max:
            return
        for key in {*self._pinned_by, index}:
            self._cursor.execute(internal.DROP_BATCH, (key,))
        self._pinned_by.clear()
        self._sizes.clear()
        self._held = 0
        for client in self.clients.values():
            client.pins.clear()
        self._cursor.execute(internal.KEEP_BATCH, (index, term, clock_ms, encode(living)))
        self._pin(index, living)

    def open(self, wish: OpenSession, index: int, clock_ms: int) -> bytes:
        """Register a client, or find it by its nonce when it asks again."""
        client = self._by_nonce.get(wish.nonce)
        if client is None:
            if len(self.clients) >= SESSIONS_MAX:
                self.expire(clock_ms)
            if len(self.clients) >= SESSIONS_MAX:
                return FULL
            client = Client(index, wish.nonce, wish.keep_ms, clock_ms)
            self._admit(client)
        self._hear(client, clock_ms)
        return encode(Opened(client.number))

    def _hear(self, client: Client, clock_ms: int) -> None:
        client.heard_ms = max(client.heard_ms, clock_ms)
        internal.keep_session(
            self._connection, client.number, client.nonce, client.keep_ms, client.heard_ms
        )

    def keep(self, numbers: list[int], clock_ms: int) -> None:
        """Note that these sessions are alive."""
        for number in numbers:
            client = self.clients.get(number)
            if client is not None:
                self._hear(client, clock_ms)

    def close(self, number: int) -> None:
        """Forget a session and its answers."""
        client = self.clients.pop(number, None)
        if client is not None:
            del self._by_nonce[client.nonce]
            internal.drop_session(self._connection, number)
            self._release(client, FLOOR_MAX)

    def expire(self, clock_ms: int) -> None:
        """Forget every session that was not heard of for as long as it asked to be kept."""
        for client in list(self.clients.values()):
            if client.heard_ms + client.keep_ms < clock_ms:
                self.close(client.number)

    def contents(self) -> list[tuple[int, bytes, int, int, int, list[Record]]]:
        """Everything that is kept, in one order: equal on nodes that applied the same log."""
        return [
            (c.number, c.nonce, c.keep_ms, c.heard_ms, c.floor, sorted(c.answers.values()))
            for c in sorted(self.clients.values(), key=lambda c: c.number)
        ]
