"""Clients of whole replicas: they count, move money, read, and never take "perhaps" for an answer.

A client is a generator: it yields what it asks of which node, and is sent what it heard. What it
does follows the rules that a driver must follow: a write is sent again under the same sequence
until its outcome is certain; nothing inside a transaction is; a COMMIT is asked about until it is
known.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raftsql.cluster.requests import Read, Write
from raftsql.cluster.transactions import Step, Transaction
from raftsql.database.readers import Page
from raftsql.sql.commands import (
    Batch,
    CommandKind,
    Done,
    Failed,
    Level,
    Many,
    Opened,
    OpenSession,
    Refusal,
    Settings,
    Statement,
    Why,
    decode_answer,
    encode,
)
from raftsql_proto.frames import decode_rows
from tests.simulator.replicas.process import Process
from tests.simulator.timeline import MS

if TYPE_CHECKING:
    from tests.simulator.replicas.world import ReplicaWorld

ACCOUNTS = 4
MONEY = 100
PATIENCE_US = 4_000 * MS
DEADLINE_MS = 1_500

LOST = Why.UNKNOWN


@dataclass
class Heard:
    """What came back: an answer, rows, or why there is neither."""

    answer: Done | Failed | Opened | None = None
    rows: list[list[Any]] | None = None
    index: int = 0
    age_ms: int = -1
    why: Why | None = None


@dataclass(eq=False)
class Asked:
    """A request under way; it is heard of once, or lost with its process."""

    client: Client
    process: Process
    done: bool = False

    def result(self, answer: bytes, index: int) -> None:
        self._hear(Heard(answer=decode_answer(answer), index=index))

    def page(self, page: Page, index: int, age_ms: int) -> None:
        if page.more is not None:
            page.more.close()
        self._hear(Heard(rows=decode_rows(page.rows), index=index, age_ms=age_ms))

    def refused(self, why: Why, message: str) -> None:
        self._hear(Heard(why=why))

    def lost(self) -> None:
        """The process ended, or nothing came in time: nobody knows."""
        self._hear(Heard(why=LOST), delay_us=1)

    def _hear(self, heard: Heard, delay_us: int = 0) -> None:
        if self.done:
            return
        self.done = True
        self.process.waiting.pop(self, None)
        world = self.client.world
        delay = delay_us or world.network_us()
        world.timeline.after(delay, self.client.resume, heard)


Life = Generator[tuple[Process, Callable[[Asked], None]] | int, Heard, None]


@dataclass(eq=False)
class Client:
    """One program, doing one thing after the other."""

    world: ReplicaWorld
    number: int
    session: int = 0
    sequence: int = 0
    floor: int = 0
    token: int = 0
    seen: dict[int, int] = field(default_factory=dict)
    """The highest count this session has seen, by key."""

    def begin(self) -> None:
        """Live."""
        self._life = self._lives()
        self.world.timeline.after(self.world.chance.randrange(50 * MS), self.resume, None)

    def resume(self, heard: Heard | None) -> None:
        """Go on, knowing more."""
        try:
            what = self._life.send(heard)  # type: ignore[arg-type]
        except StopIteration:
            self.world.living.discard(self)
            return
        if isinstance(what, int):
            self.world.timeline.after(what, self.resume, Heard())
            return
        process, ask = what
        asked = Asked(self, process)
        timeline, delay = self.world.timeline, self.world.network_us()
        timeline.after(delay, self._arrive, asked, ask, process.incarnation)
        timeline.after(PATIENCE_US, asked.lost)

    def _arrive(self, asked: Asked, ask: Callable[[Asked], None], incarnation: int) -> None:
        process = asked.process
        if process.replica is None or (process.incarnation != incarnation and asked.done):
            asked.lost()
            return
        process.waiting[asked] = None
        process.post(process.incarnation, lambda: None if asked.done else ask(asked))

    # What it does.

    def _lives(self) -> Life:
        yield from self._open_session()
        chance = self.world.chance
        while self.world.busy:
            yield chance.randrange(1, self.world.think_us)
            kind = chance.choices(
                [
                    self._count,
                    self._transfer,
                    self._count_by_hand,
                    self._read,
                    self._sum,
                    self._mark,
                ],
                [4, 3, 2, 5, 2, 3],
            )[0]
            yield from kind()

    def _somewhere(self) -> Process:
        leader = self.world.leader()
        if leader is not None and self.world.chance.random() < 0.7:
            return leader
        return self.world.chance.choice(list(self.world.processes.values()))

    def _open_session(self) -> Life:
        body = encode(OpenSession(b"client%d" % self.number, 1 << 40))
        while True:

            def ask(asked: Asked) -> None:
                _replica(asked).write(Write(CommandKind.OPEN_SESSION, body, asked))

            heard = yield self._somewhere(), ask
            if isinstance(heard.answer, Opened):
                self.session = heard.answer.session
                return
            yield 30 * MS

    def _write(self, kind: CommandKind, body: bytes) -> Generator[Any, Heard, Done | Failed]:
        """Until the outcome is certain."""
        self.sequence += 1
        sequence = self.sequence
        while True:

            def ask(asked: Asked) -> None:
                deadline = _now(asked) + DEADLINE_MS
                _replica(asked).write(
                    Write(
                        kind,
                        body,
                        asked,
                        session=self.session,
                        sequence=sequence,
                        floor=self.floor,
                        deadline_ms=deadline,
                    )
                )

            heard = yield self._somewhere(), ask
            if isinstance(heard.answer, Done | Failed):
                self.floor = sequence
                self.token = max(self.token, heard.index)
                return heard.answer
            yield self.world.chance.randrange(1, 60) * MS

    def _count(self) -> Life:
        oracle, key = self.world.oracle, self._key()
        oracle.begun[key] += 1
        sql = "UPDATE counts SET v = v + 1 WHERE k = ?"
        answer = yield from self._write(CommandKind.EXECUTE, encode(Statement(sql, [key])))
        assert isinstance(answer, Done), f"sessions: a count failed: {answer}"
        assert answer.changes == 1, f"sessions: a count changed {answer.changes} rows"
        oracle.counted(key, self.world.timeline.now)
        self.seen[key] = max(self.seen.get(key, 0), 0)

    def _mark(self) -> Life:
        """A write without a session: sent once, and what is said of it must be true."""
        oracle = self.world.oracle
        oracle.marks += 1
        mark = oracle.marks
        body = encode(Statement("INSERT INTO marks VALUES (?)", [mark]))

        def ask(asked: Asked) -> None:
            deadline = _now(asked) + DEADLINE_MS
            _replica(asked).write(Write(CommandKind.EXECUTE, body, asked, deadline_ms=deadline))

        heard = yield self._somewhere(), ask
        if isinstance(heard.answer, Done):
            oracle.made.add(mark)
        elif heard.why is not LOST:
            oracle.unmade.add(mark)

    def _key(self) -> int:
        return self.world.chance.randrange(2)

    def _read(self) -> Life:
        chance, oracle, key = self.world.chance, self.world.oracle, self._key()
        level = chance.choice(list(Level))
        process = chance.choice(list(self.world.processes.values()))
        least = oracle.certain[key]
        bound_ms = chance.choice([0, 0, 200, 1000]) if level is Level.STALE else 0
        sql = "SELECT v FROM counts WHERE k = ?"

        def ask(asked: Asked) -> None:
            _replica(asked).read(
                Read(
                    sql,
                    [key],
                    asked,
                    level,
                    token=self.token,
                    max_staleness_ms=bound_ms,
                    deadline_ms=_now(asked) + DEADLINE_MS,
                )
            )

        asked_at = self.world.timeline.now
        heard = yield process, ask
        if heard.rows is None:
            return
        self.world.reads += 1
        if not heard.rows:
            assert level is Level.STALE, f"reads: {level.name} sees no table rows"
            return
        value = heard.rows[0][0]
        assert value <= oracle.begun[key], f"reads: {value} were counted, nobody counted so far"
        if level in (Level.LINEARIZABLE, Level.LEASE):
            assert value >= least, f"reads: {level.name} at {process.id} sees {value} of {least}"
        if level is not Level.STALE:
            known = self.seen.get(key, 0)
            assert value >= known, f"reads: {level.name} goes back from {known} to {value}"
            self.seen[key] = value
            self.token = max(self.token, heard.index)
        elif heard.age_ms >= 0:
            since = asked_at - int((heard.age_ms * 1.05 + 5) * MS)
            then = oracle.certain_at(key, since)
            assert value >= then, (
                f"reads: {value} is older than {heard.age_ms} ms: {then} were counted before"
            )
            assert not bound_ms or heard.age_ms <= bound_ms + DEADLINE_MS, "reads: too stale"

    def _sum(self) -> Life:
        level = self.world.chance.choice(list(Level))
        process = self.world.chance.choice(list(self.world.processes.values()))

        def ask(asked: Asked) -> None:
            _replica(asked).read(
                Read(
                    "SELECT sum(money), count(*) FROM accounts",
                    None,
                    asked,
                    level,
                    deadline_ms=_now(asked) + DEADLINE_MS,
                )
            )

        heard = yield process, ask
        if heard.rows and heard.rows[0][1]:
            total = heard.rows[0][0]
            assert total == ACCOUNTS * MONEY, f"isolation: a read at {level.name} sees {total}"

    # Transactions.

    def _transfer(self) -> Life:
        """Move money between two accounts, as read in the transaction."""
        chance = self.world.chance
        source, target = chance.sample(range(ACCOUNTS), 2)
        amount = chance.randrange(1, 20)

        def work(open_: OpenOne) -> Generator[Any, Heard, bool]:
            money = yield from open_.execute(f"SELECT money FROM accounts WHERE k = {source}")
            if money is None or not money:
                return False
            left = money[0][0] - amount
            if amount % 2:
                rows = [[left, source, 0], [amount, target, 1]]
                both = "UPDATE accounts SET money = ?1 + money * ?3 WHERE k = ?2"
                return (yield from open_.execute(both, rows)) is not None
            for sql in (
                f"UPDATE accounts SET money = {left} WHERE k = {source}",
                f"UPDATE accounts SET money = money + {amount} WHERE k = {target}",
            ):
                if (yield from open_.execute(sql)) is None:
                    return False
            return True

        yield from self._transact(work)

    def _count_by_hand(self) -> Life:
        """Read, add one, write: an increment is lost if transactions are not isolated."""
        key = self._key()

        def work(open_: OpenOne) -> Generator[Any, Heard, bool]:
            found = yield from open_.execute(f"SELECT v FROM counts WHERE k = {key}")
            if not found:
                return False
            new = found[0][0] + 1
            sql = f"UPDATE counts SET v = {new} WHERE k = {key}"
            if (yield from open_.execute(sql)) is None:
                return False
            self.world.oracle.begun[key] += 1
            return True

        happened = yield from self._transact(work)
        if happened:
            self.world.oracle.counted(key, self.world.timeline.now)

    def _transact(self, work: Callable[[OpenOne], Any]) -> Generator[Any, Heard, bool]:
        process = self.world.leader()
        if process is None:
            return False
        open_ = OpenOne(self, process, immediate=self.world.chance.random() < 0.5)
        going = yield from work(open_)
        if not going or self.world.chance.random() < 0.1:
            yield from open_.rollback()
            return False
        happened = yield from open_.commit()
        if happened:
            self.world.transactions += 1
        return happened


@dataclass(eq=False)
class OpenOne:
    """A transaction on the process where it lives."""

    client: Client
    process: Process
    immediate: bool
    transaction: Transaction | None = None
    incarnation: int = 0

    def execute(
        self, sql: str, rows: list[list[Any]] | None = None
    ) -> Generator[Any, Heard, list[list[Any]] | None]:
        """Rows, or nothing when the transaction can't go on; given some, it runs for each."""
        many = Many(sql, rows or [])
        asking = [Batch(many, encode(many))] if rows else [Statement(sql)]

        def ask(asked: Asked) -> None:
            replica = _replica(asked)
            if self.transaction is None:
                if not replica.leads:
                    asked.refused(Why.NOT_LEADER, "")
                    return
                self.incarnation = asked.process.incarnation
                settings = Settings.FOREIGN_KEYS
                self.transaction = replica.writer.begin(settings, immediate=self.immediate)
            if self._is_gone(asked):
                return
            reads = sql.startswith("SELECT")
            deadline = _now(asked) + DEADLINE_MS
            read = Read(sql, None, asked, deadline_ms=deadline) if reads else None
            step = Step(asking, len(sql), asked, deadline)
            self.transaction.execute(step, read)

        heard = yield self.process, ask
        if heard.rows is not None:
            return heard.rows
        if isinstance(heard.answer, Done):
            return heard.answer.rows or []
        assert not isinstance(heard.answer, Failed), f"transactions: {sql}: {heard.answer}"
        return None

    def _is_gone(self, asked: Asked) -> bool:
        if asked.process.incarnation != self.incarnation:
            asked.refused(Why.TRANSACTION_GONE, "")
            return True
        return False

    def rollback(self) -> Life:
        """Forget it."""

        def ask(asked: Asked) -> None:
            if self.transaction is not None and asked.process.incarnation == self.incarnation:
                self.transaction.rollback()
            asked.refused(Why.TRANSACTION_GONE, "")

        yield self.process, ask

    def commit(self) -> Generator[Any, Heard, bool]:
        """Whether it happened, for certain."""
        client = self.client
        client.sequence += 1
        sequence = client.sequence

        def write(asked: Asked, kind: CommandKind) -> Write:
            return Write(
                kind, b"", asked, session=client.session, sequence=sequence, floor=client.floor,
                deadline_ms=_now(asked) + DEADLINE_MS,
            )  # fmt: skip

        def ask(asked: Asked) -> None:
            if not self._is_gone(asked):
                assert self.transaction is not None
                self.transaction.commit(write(asked, CommandKind.TRANSACTION))

        heard = yield self.process, ask
        while not isinstance(heard.answer, Done | Failed):
            if heard.why in (Why.TRANSACTION_GONE, Why.SERIALIZATION, Why.NOT_LEADER):
                certain = heard.why is not Why.NOT_LEADER
                if certain and sequence not in self._asked:
                    return False  # The sequence was never used: the next one takes its place.
            self._asked.add(sequence)
            yield client.world.chance.randrange(1, 60) * MS
            heard = yield (
                client._somewhere(),
                lambda asked: _replica(asked).write(write(asked, CommandKind.ASK)),
            )
        client.floor = sequence
        client.token = max(client.token, heard.index)
        if isinstance(heard.answer, Failed):
            assert heard.answer.refusal is Refusal.NEVER_HAPPENED, f"commit: {heard.answer}"
            return False
        return True

    _asked: set[int] = field(default_factory=set)


def _replica(asked: Asked) -> Any:
    assert asked.process.replica is not None
    return asked.process.replica


def _now(asked: Asked) -> int:
    return asked.process.clock.now()
