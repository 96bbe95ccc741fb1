"""A replica on a stage: its core and its database are real, its surroundings are the test's.

There is no thread, no clock and no network. The disk and the database do what they are asked at
once, or when the test says so (`disk_waits`, `database_waits`); other nodes are played by the test.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raftsql.cluster.patience import in_full
from raftsql.cluster.replica import Replica
from raftsql.cluster.requests import Read, Write
from raftsql.cluster.transactions import Step, Transaction
from raftsql.database.machine import Machine
from raftsql.database.readers import Page, Readers, Rest
from raftsql.raft.config import Config
from raftsql.raft.log import Log
from raftsql.raft.membership import Member, Membership, first_membership_entry
from raftsql.raft.messages import (
    Append,
    AppendAccepted,
    Entry,
    EntryKind,
    Envelope,
    HardState,
    Heartbeat,
    HeartbeatReply,
    Message,
    NodeId,
    Position,
    SnapshotMeta,
    VoteReply,
    VoteRequest,
)
from raftsql.raft.node import Node
from raftsql.raft.ready import RoleChange, Save
from raftsql.sql.commands import (
    CommandKind,
    Done,
    Failed,
    Level,
    Opened,
    OpenSession,
    Parameters,
    Settings,
    Statement,
    Why,
    decode_answer,
    encode,
)
from raftsql_proto.frames import decode_rows


@dataclass(eq=False)
class Heard:
    """A reply that remembers what it was told."""

    answers: list[Done | Failed | Opened] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    pages: list[list[list[Any]]] = field(default_factory=list)
    rests: list[Rest | None] = field(default_factory=list)
    ages: list[int] = field(default_factory=list)
    whys: list[Why] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def result(self, answer: bytes, index: int) -> None:
        self.answers.append(decode_answer(answer))
        self.indexes.append(index)

    def page(self, page: Page, index: int, age_ms: int) -> None:
        self.pages.append(decode_rows(page.rows))
        self.rests.append(page.more)
        self.indexes.append(index)
        self.ages.append(age_ms)

    def refused(self, why: Why, message: str) -> None:
        self.whys.append(why)
        self.messages.append(message)

    @property
    def times(self) -> int:
        """How often it was answered."""
        return len(self.answers) + len(self.pages) + len(self.whys)

    @property
    def done(self) -> Done:
        """The one answer, which is that it happened."""
        assert self.times == 1, f"answered {self.times} times: {self}"
        (answer,) = self.answers
        assert isinstance(answer, Done), f"it failed: {answer}"
        return answer

    @property
    def failed(self) -> Failed:
        """The one answer, which is that it did not happen."""
        assert self.times == 1, f"answered {self.times} times: {self}"
        (answer,) = self.answers
        assert isinstance(answer, Failed), f"it happened: {answer}"
        return answer

    @property
    def rows(self) -> list[list[Any]]:
        """The one answer, which is rows."""
        assert self.times == 1, f"answered {self.times} times: {self}"
        return self.pages[0]

    @property
    def why(self) -> Why:
        """The one answer, which is a refusal."""
        assert self.times == 1, f"answered {self.times} times: {self}"
        return self.whys[0]


class World:
    """The surroundings of the replica on the stage."""

    def __init__(self, folder: Path) -> None:
        self.machine = Machine.open(folder / "database.db")
        self.readers = Readers(folder / "database.db")
        self.replica: Replica | None = None
        self.sent: list[Envelope] = []
        self.installs: list[SnapshotMeta] = []
        self.ships: list[NodeId] = []
        self.roles: list[RoleChange] = []
        self.queries: list[Read] = []
        self.wall_ms = 1_000_000
        self.now = 0
        self.disk_waits = False
        self.database_waits = False
        self.readers_wait = False
        self._saves: deque[Save] = deque()
        self._jobs: deque[Callable[[], None]] = deque()
        self._seed = 0

    def send(self, messages: Sequence[Envelope]) -> None:
        self.sent += messages

    def save(self, save: Save) -> None:
        self._saves.append(save)
        if not self.disk_waits:
            self.finish_saves()

    def finish_saves(self) -> None:
        """The disk has done what it was given."""
        assert self.replica is not None
        while self._saves:
            self.replica.saved(self._saves.popleft())

    def apply(self, entries: Sequence[Entry]) -> None:
        assert self.replica is not None
        replica = self.replica
        self.on_database(
            lambda: self.machine.apply(entries), lambda answers: replica.applied(entries, answers)
        )

    def on_database(
        self, job: Callable[[], Any], then: Callable[[Any], None], *, small: bool = True
    ) -> None:
        self._jobs.append(lambda: then(in_full(job)))
        if not self.database_waits:
            self.finish_jobs()

    def finish_jobs(self, count: int | None = None) -> None:
        """The database has done what it was given, or so much of it."""
        while self._jobs and count != 0:
            self._jobs.popleft()()
            count = None if count is None else count - 1

    def install(self, snapshot: SnapshotMeta) -> None:
        self.installs.append(snapshot)

    def ship(self, peer: NodeId) -> None:
        self.ships.append(peer)

    def query(self, reads: list[Read]) -> None:
        self.queries += reads
        if not self.readers_wait:
            self.finish_queries()

    def finish_queries(self) -> None:
        """The readers have run what they were given."""
        assert self.replica is not None
        while self.queries:
            read = self.queries.pop(0)
            if read.hold is not None:
                read.moment = read.hold(self.readers.open_moment())
            where = self.readers if read.moment is None else read.moment
            page = where.read(read.sql, read.parameters)
            if isinstance(page, Failed):
                read.reply.result(encode(page), 0)
            else:
                age = self.replica.reading.age_ms()
                read.reply.page(page, self.replica.node.handed_out, -1 if age is None else age)

    def now_ms(self) -> int:
        return self.now

    def clock_ms(self) -> int:
        return self.wall_ms

    def seed(self) -> int:
        self._seed += 1
        return self._seed

    def role_changed(self, change: RoleChange) -> None:
        self.roles.append(change)

    def close(self) -> None:
        """Let the files go."""
        self.readers.close()
        self.machine.close()


class Stage:
    """A replica, the other nodes' voices, and the clients' wishes."""

    def __init__(self, folder: Path, nodes: int, **limits: int) -> None:
        self.peers = list(range(2, nodes + 1))
        members = {n: Member(f"n{n}:1", f"d{n}") for n in range(1, nodes + 1)}
        self.first = first_membership_entry(Membership(members))
        self.world = World(folder)
        self.stored = [self.first]
        log = Log(runs=[Position(1, 1)], last_index=1, applied=0, read=self._read)
        config = Config(node=1, cluster=7, **limits)
        self.node = Node(
            config, state=HardState(1, 0), log=log, membership=Membership(), now=0, chance=_low
        )
        self.replica = self.world.replica = Replica(self.node, self.world)
        self.now = 0

    def _read(self, first: int, last: int, bytes_max: int) -> list[Entry]:
        return self.stored[first - 1 : last]

    # Time and other nodes.

    def pump(self) -> None:
        """Let the replica do what there is to do."""
        self.replica.pump()

    def advance(self, ms: int) -> None:
        """Time passes; the replica looks at its clock and for late clients."""
        self.now += ms
        self.world.now = self.now
        self.node.tick(self.now)
        self.pump()
        self.replica.expire()
        self.pump()

    def hear(self, message: Message, source: NodeId = 2) -> None:
        """A message of another node arrives."""
        self.node.step(Envelope(7, source, 1, message), self.now)
        self.pump()

    def lead(self) -> Stage:
        """Be elected, and have an own entry committed."""
        while not (self.replica.leads or self._campaigns()):
            self.advance(50)
        if self.peers:
            self.hear(VoteReply(self.node.term + 1, granted=True, pre=True))
            self.hear(VoteReply(self.node.term, granted=True, pre=False))
        self.settle()
        assert self.replica.leads, "elected"
        assert self.node.log.applied == self.node.log.last.index, "its own entry is committed"
        return self

    def _campaigns(self) -> bool:
        return any(isinstance(envelope.message, VoteRequest) for envelope in self.world.sent)

    def acknowledge(self, source: NodeId = 2) -> None:
        """One other node answers what was sent to it."""
        sent, self.world.sent = self.world.sent, []
        for envelope in sent:
            if envelope.target != source:
                continue
            match envelope.message:
                case Append(term, prev, entries, _, probe):
                    match = prev.index + len(entries)
                    self.hear(AppendAccepted(term, match=match, probe=probe), source)
                case Heartbeat(term, _, probe):
                    self.hear(HeartbeatReply(term, probe=probe), source)
                case VoteRequest() | _:
                    pass

    def acknowledge_all(self, source: NodeId) -> None:
        """One other node answers the newest append, and thereby all before it."""
        *_, newest = [e.message for e in self.world.sent if e.target == source]
        assert isinstance(newest, Append), "an append was sent"
        match = newest.prev.index + len(newest.entries)
        self.hear(AppendAccepted(newest.term, match=match, probe=newest.probe), source)

    def settle(self) -> None:
        """Everything that was said is answered by one other node, until nothing is left."""
        self.pump()
        while any(envelope.target == 2 for envelope in self.world.sent):
            self.acknowledge()
        self.world.sent.clear()

    def lose_lead(self, leader: NodeId = 3) -> None:
        """Another node leads the next term."""
        term = self.node.term + 1
        self.hear(Heartbeat(term, commit=0, probe=1), leader)
        assert not self.replica.leads

    def replicate(self, *entries: Entry, leader: NodeId = 3) -> None:
        """The other leader's entries arrive, and are committed."""
        prev = self.node.log.position(entries[0].index - 1)
        self.hear(
            Append(self.node.term, prev, list(entries), commit=entries[-1].index, probe=9), leader
        )

    # Clients.

    def write(self, sql: str, *parameters: Any, **fields: Any) -> Heard:
        """A single write; the replica does not see it before the next lap."""
        heard = Heard()
        self.replica.write(
            Write(CommandKind.EXECUTE, encode(Statement(sql, list(parameters))), heard, **fields)
        )
        return heard

    def wrote(self, sql: str, *parameters: Any) -> Done:
        """A single write, from its beginning to its end."""
        heard = self.write(sql, *parameters)
        self.settle()
        return heard.done

    def read(self, sql: str, level: Level = Level.LINEARIZABLE, **fields: Any) -> Heard:
        """A read; linearizable ones gather until the next lap."""
        heard = Heard()
        self.replica.read(Read(sql, None, heard, level, **fields))
        self.replica.reading.run_ready()
        return heard

    def session(self) -> int:
        """A session's number."""
        heard = Heard()
        body = encode(OpenSession(b"nonce%d" % self.node.log.last.index, 60_000))
        self.replica.write(Write(CommandKind.OPEN_SESSION, body, heard))
        self.settle()
        (answer,) = heard.answers
        assert isinstance(answer, Opened)
        return answer.session

    def begin(self, *, immediate: bool = False) -> Client:
        """A client begins a transaction."""
        return Client(self, self.replica.writer.begin(Settings.FOREIGN_KEYS, immediate=immediate))

    def rows(self, sql: str) -> list[list[Any]]:
        """What the database holds now, whoever leads."""
        page = self.world.readers.read(sql)
        assert isinstance(page, Page), f"it failed: {page}"
        return decode_rows(page.rows)


class Client:
    """A client with a transaction."""

    def __init__(self, stage: Stage, transaction: Transaction) -> None:
        self.stage = stage
        self.transaction = transaction

    @property
    def state(self) -> str:
        """Where the transaction is."""
        return self.transaction.state.value

    def execute(self, *texts: str, deadline_ms: int = 0, size: int = 10) -> Heard:
        """Run a statement, or several as one request."""
        heard = Heard()
        statements = [Statement(sql) for sql in texts]
        self.transaction.execute(Step(statements, size, heard, deadline_ms), None)
        return heard

    def select(self, sql: str, parameters: Parameters = None) -> Heard:
        """Run a statement that is known only to read."""
        heard = Heard()
        read = Read(sql, parameters, heard)
        self.transaction.execute(Step([Statement(sql, parameters)], 10, heard), read)
        self.stage.settle()
        return heard

    def commit(self, session: int = 0, sequence: int = 0) -> Heard:
        """Ask for COMMIT; the other nodes have not answered yet."""
        heard = Heard()
        write = Write(CommandKind.TRANSACTION, b"", heard, session=session, sequence=sequence)
        self.transaction.commit(write)
        self.stage.pump()
        return heard

    def rollback(self) -> None:
        """Ask for ROLLBACK."""
        self.transaction.rollback()
        self.stage.pump()


def command(index: int, term: int, sql: str) -> Entry:
    """An entry of another leader that holds one statement."""
    from raftsql.sql.commands import seal

    body = encode(Statement(sql))
    payload = seal(CommandKind.EXECUTE, body, clock_ms=2_000_000, seed=9)
    return Entry(term, index, EntryKind.COMMAND, payload)


def noop(index: int, term: int) -> Entry:
    """What a new leader says first."""
    return Entry(term, index, EntryKind.NOOP, b"")


def _low(_: int) -> int:
    return 0
