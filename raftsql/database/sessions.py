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

from bisect import bisect_left
from collections.abc import Iterable
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

Record = tuple[int, int, int, int, int, bytes]
"""log index, session, sequence, floor, clock in ms, packed answer."""

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


class Client:
    """One session."""

    __slots__ = ("answers", "floor", "heard_ms", "keep_ms", "nonce", "number")

    def __init__(self, number: int, nonce: bytes, keep_ms: int, heard_ms: int) -> None:
        self.number = number
        self.nonce = nonce
        self.keep_ms = keep_ms
        self.heard_ms = heard_ms
        self.floor = 0
        self.answers: dict[int, Record] = {}
        """By sequence; every one is above the floor."""


class Sessions:
    """All sessions of one database, in memory; `save` makes the batch's part durable."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.clients: dict[int, Client] = {}
        self._by_nonce: dict[bytes, Client] = {}
        self._fresh: list[Record] = []
        self._buried: list[Record] = []
        self._undo: list[tuple[Client, int, int]] = []
        self._keys: list[int] = []
        self._alive: dict[int, int] = {}
        self._size: dict[int, int] = {}
        self._held = 0
        self._living = 0
        self._load()

    def move(self, connection: apsw.Connection) -> None:
        """Go on writing through another connection to the same file."""
        assert not self._fresh, "what was noted belongs to a transaction of the old connection"
        self._connection = connection

    def _load(self) -> None:
        for number, nonce, keep_ms, heard_ms in internal.session_rows(self._connection):
            self._admit(Client(number, bytes(nonce), keep_ms, heard_ms))
        for key, packed in internal.answer_rows(self._connection):
            records = _decode_records(bytes(packed))
            self._keys.append(key)
            self._alive[key] = 0
            self._size[key] = len(records)
            self._held += len(records)
            for record in records:
                self._remember(record)
        for client in self.clients.values():
            client.answers = {s: r for s, r in client.answers.items() if s > client.floor}
            for record in client.answers.values():
                self._alive[self._row_of(record)] += 1
            self._living += len(client.answers)

    def _admit(self, client: Client) -> None:
        self.clients[client.number] = client
        self._by_nonce[client.nonce] = client

    def _remember(self, record: Record) -> None:
        client = self.clients.get(record[1])
        if client is not None:
            client.answers[record[2]] = record
            client.floor = max(client.floor, record[3])
            client.heard_ms = max(client.heard_ms, record[4])

    def _row_of(self, record: Record) -> int:
        return self._keys[bisect_left(self._keys, record[0])]

    def known(self, session: int, sequence: int) -> bytes | None:
        """The answer to a write that must not be applied (again); None when it must."""
        client = self.clients.get(session)
        if client is None:
            return UNKNOWN
        if sequence <= client.floor:
            return FORGOTTEN
        record = client.answers.get(sequence)
        if record is not None:
            return record[5]
        return CROWDED if len(client.answers) >= OUTSTANDING_MAX else None

    def note(
        self, index: int, session: int, sequence: int, floor: int, clock_ms: int, answer: bytes
    ) -> None:
        """Keep the answer of a write that was just applied, for `known` said None."""
        client = self.clients[session]
        if len(answer) > ANSWER_BYTES_MAX:
            answer = DROPPED
        if floor >= sequence:
            floor = sequence - 1
        record = (index, session, sequence, floor, clock_ms, answer)
        self._fresh.append(record)
        self._undo.append((client, client.floor, client.heard_ms))
        answers = client.answers
        answers[sequence] = record
        client.heard_ms = clock_ms
        if floor > client.floor:
            self._bury(client, floor)

    def _bury(self, client: Client, floor: int) -> None:
        answers = client.answers
        if floor - client.floor <= len(answers):
            passed: Iterable[int] = range(client.floor + 1, floor + 1)
        else:
            passed = [sequence for sequence in answers if sequence <= floor]
        for sequence in passed:
            record = answers.pop(sequence, None)
            if record is not None:
                self._buried.append(record)
        client.floor = floor

    def undo(self) -> None:
        """Forget everything noted since the last `save`: its SQLite transaction is gone."""
        for record in self._buried:
            self.clients[record[1]].answers[record[2]] = record
        for record in self._fresh:
            del self.clients[record[1]].answers[record[2]]
        for client, floor, heard_ms in reversed(self._undo):
            client.floor, client.heard_ms = floor, heard_ms
        self._settle()

    def _settle(self) -> None:
        self._fresh.clear()
        self._buried.clear()
        self._undo.clear()

    def save(self) -> None:
        """Make what was noted durable with the transaction that is open."""
        if self._fresh:
            self._add_row(self._fresh)
        self._drop(self._buried)
        self._settle()
        if self._held > 4 * self._living + WASTE_MIN:
            self._rewrite()

    def _add_row(self, records: list[Record]) -> None:
        key = records[-1][0]
        internal.keep_answers(self._connection, key, encode(records))
        self._keys.append(key)
        self._alive[key] = self._size[key] = len(records)
        self._held += len(records)
        self._living += len(records)

    def _drop(self, records: list[Record]) -> None:
        dead: list[int] = []
        for record in records:
            key = self._row_of(record)
            self._alive[key] -= 1
            if self._alive[key] == 0:
                dead.append(key)
        self._living -= len(records)
        if dead:
            internal.drop_answers(self._connection, dead)
        for key in dead:
            del self._keys[bisect_left(self._keys, key)]
            del self._alive[key]
            self._held -= self._size.pop(key)

    def _rewrite(self) -> None:
        """Gather the living records in one row: idle sessions pin rows of mostly dead ones."""
        internal.drop_answers(self._connection, self._keys)
        self._keys.clear()
        self._alive.clear()
        self._size.clear()
        self._held = self._living = 0
        living = [r for client in self.clients.values() for r in client.answers.values()]
        if living:
            self._add_row(sorted(living))

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
            self._drop(list(client.answers.values()))

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
