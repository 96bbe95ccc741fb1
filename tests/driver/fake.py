"""A server for the driver's tests: the client protocol, sqlite3 behind it, and faults on demand.

It is one process, several nodes (ports) and one database, so that a test can move the lead, lose
answers and break streams exactly when it wants to. It keeps the promises that the driver builds
on: a sequence is applied once, a transaction dies with its stream, a cursor belongs to its stream.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import threading
import time
from collections import Counter
from typing import Any

import grpc
import msgspec

from raftsql_proto import frames as f
from raftsql_proto.client_pb2 import Frames
from raftsql_proto.client_pb2_grpc import ClientServicer, add_ClientServicer_to_server

PAGE_ROWS = 1000
decode_statement = msgspec.msgpack.Decoder(f.Statement).decode
decode_many = msgspec.msgpack.Decoder(f.Many).decode
decode_script = msgspec.msgpack.Decoder(list[f.Statement]).decode


class Faults:
    """What shall go wrong. Counters count down; a count of -1 means always."""

    def __init__(self) -> None:
        self.drop_answers = 0
        """Run the request, never answer it."""
        self.break_before = 0
        """Break the stream instead of running a Run or Commit."""
        self.break_after = 0
        """Run it, and break the stream instead of answering."""
        self.refuse: list[f.Refused] = []
        """Answer the next Runs and Commits so; the id is filled in."""
        self.refuse_after: list[f.Refused] = []
        """Run it, then answer so."""
        self.slow_s = 0.0
        self.silent = set[int]()
        """Nodes that take everything and say nothing, as a stopped process does."""
        self.password = ""
        self.protocol = f.PROTOCOL
        self.follow = True
        """Whether nodes that don't lead forward, or say NOT_LEADER."""

    def strikes(self, name: str) -> bool:
        """Whether this fault happens now; it counts down."""
        left = getattr(self, name)
        if left > 0:
            setattr(self, name, left - 1)
        return bool(left)


class Database:
    """One SQLite database and the session table, as the cluster's state machine keeps them."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA foreign_keys=ON")
        self.index = 1
        self.sessions: dict[int, dict[int, bytes]] = {}
        self.floors: dict[int, int] = {}
        self.nonces: dict[bytes, int] = {}
        self.writer: tuple[int, int] | None = None
        """The stream and the transaction that holds the writer."""
        self.freed = asyncio.Event()

    def open_session(self, nonce: bytes) -> int:
        self.index += 1
        number = self.nonces.setdefault(nonce, self.index)
        self.sessions.setdefault(number, {})
        return number

    def once(self, session: int, sequence: int, floor: int, work: Any) -> bytes:
        """Apply a write once; a repeated one gets the first answer."""
        if session:
            if session not in self.sessions:
                return f.encode(f.Failed(f.Refusal.SESSION_UNKNOWN, 0, "no such session"))
            kept = self.sessions[session]
            self.floors[session] = max(floor, self.floors.get(session, 0))
            if sequence in kept:
                return kept[sequence]
            if sequence <= self.floors[session]:
                return f.encode(f.Failed(f.Refusal.SEQUENCE_FORGOTTEN, 0, "at or below the floor"))
            for old in [each for each in kept if each <= floor]:
                del kept[old]
        answer = f.encode(work())
        self.index += 1
        if session:
            self.sessions[session][sequence] = answer
        return answer


def columns_of(cursor: sqlite3.Cursor, sql: str, connection: sqlite3.Connection) -> list[f.Column]:
    declared: dict[str, str] = {}
    words = sql.replace(",", " ").split()
    for before, word in itertools.pairwise(words):
        if before.upper() in ("FROM", "JOIN", "INTO", "UPDATE"):
            name = word.strip('";()').partition("(")[0]
            for row in connection.execute(f'PRAGMA table_info("{name}")'):
                declared[row[1]] = row[2]
    return [f.Column(each[0], declared.get(each[0])) for each in cursor.description]


def failed(error: Exception) -> f.Failed:
    code = getattr(error, "sqlite_errorcode", 1)
    if isinstance(error, sqlite3.ProgrammingError):
        code = 25
    return f.Failed(f.Refusal.SQL, code, str(error))


class Connection:
    """One client's stream."""

    def __init__(self, node: Node, number: int) -> None:
        self.node = node
        self.number = number
        self.cursors: dict[int, Any] = {}
        self.transactions: set[int] = set()
        self.out: asyncio.Queue[Any] = asyncio.Queue()
        self.tasks: set[asyncio.Task[None]] = set()
        self.next_cursor = 1
        self.ended = set[int]()

    @property
    def server(self) -> FakeServer:
        return self.node.server

    @property
    def db(self) -> Database:
        return self.server.database

    def parameters(self, given: Any) -> Any:
        return given if given is not None else ()

    def run_sql(self, statement: f.Statement, run: f.Run) -> Any:
        """Rows as a Page, or what it did as Done; SQL errors as Failed."""
        db = self.db.connection
        try:
            cursor = db.execute(statement.sql, self.parameters(statement.parameters))
        except (sqlite3.Error, sqlite3.Warning) as error:
            return failed(error)
        if cursor.description is None:
            return f.Done(max(0, cursor.rowcount), cursor.lastrowid or 0)
        columns = columns_of(cursor, statement.sql, db)
        if statement.sql.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE", "REPLACE")):
            rows = [list(row) for row in cursor.fetchall()]
            changes = db.execute("SELECT changes()").fetchone()[0]
            return f.Done(changes, cursor.lastrowid or 0, columns, rows)
        return self.page(run.id, columns, cursor, run.page_rows)

    def page(self, number: int, columns: Any, cursor: Any, page_rows: int) -> f.Page:
        rows = cursor.fetchmany((page_rows or PAGE_ROWS) + 1)
        name = 0
        if len(rows) > (page_rows or PAGE_ROWS):
            name, self.next_cursor = self.next_cursor, self.next_cursor + 1
            self.cursors[name] = (cursor, rows.pop())
        return f.Page(number, columns, msgspec.Raw(f.encode(rows)), name, self.db.index)

    def work(self, run: f.Run) -> Any:
        if run.work == f.Work.EXECUTE:
            return self.run_sql(decode_statement(run.body), run)
        db = self.db.connection
        if run.transaction and run.work == f.Work.MANY:
            return self.rows_inside(decode_many(run.body))
        db.execute("SAVEPOINT whole")
        done, changes, last = None, 0, 0
        try:
            if run.work == f.Work.MANY:
                many = decode_many(run.body)
                for row in many.rows:
                    cursor = db.execute(many.sql, self.parameters(row))
                    changes += max(0, cursor.rowcount)
                    last = cursor.lastrowid or last
            else:
                for statement in decode_script(run.body):
                    cursor = db.execute(statement.sql, self.parameters(statement.parameters))
                    changes += max(0, cursor.rowcount)
                    last = cursor.lastrowid or last
            done = f.Done(changes, last)
            return done
        except (sqlite3.Error, sqlite3.Warning) as error:
            return failed(error)
        finally:
            if done is None:
                db.execute("ROLLBACK TO whole")
            db.execute("RELEASE whole")

    def rows_inside(self, many: f.Many) -> Any:
        """Inside a transaction the rows before the one that fails stay."""
        changes = last = 0
        for number, row in enumerate(many.rows):
            try:
                cursor = self.db.connection.execute(many.sql, self.parameters(row))
            except (sqlite3.Error, sqlite3.Warning) as error:
                return msgspec.structs.replace(failed(error), row=number)
            changes += max(0, cursor.rowcount)
            last = cursor.lastrowid or last
        return f.Done(changes, last)

    async def run(self, run: f.Run) -> Any:
        db = self.db
        if run.transaction:
            return await self.run_inside(run)
        await self.free(run.timeout_ms)
        if run.session:
            page: list[f.Page] = []

            def work() -> Any:
                answer = self.work(run)
                if isinstance(answer, f.Page):
                    page.append(answer)
                    return f.Done(0, 0)
                return answer

            answer = db.once(run.session, run.sequence, run.floor, work)
            if page:
                return page[0]
            return f.Result(run.id, msgspec.Raw(answer), db.index)
        answer = self.work(run)
        if isinstance(answer, f.Page):
            return answer
        return f.Result(run.id, msgspec.Raw(f.encode(answer)), db.index)

    async def free(self, timeout_ms: int) -> None:
        """Wait until no transaction holds the writer."""
        async with asyncio.timeout(timeout_ms / 1000 if timeout_ms else None):
            while self.db.writer is not None:
                self.db.freed.clear()
                await self.db.freed.wait()

    async def run_inside(self, run: f.Run) -> Any:
        db = self.db
        mine = (self.number, run.transaction)
        if db.writer != mine:
            if not run.begin:
                return f.Refused(run.id, f.Why.TRANSACTION_GONE, "no such transaction")
            await self.free(run.timeout_ms)
            if run.transaction in self.ended:
                return f.Refused(run.id, f.Why.TRANSACTION_GONE, "it was rolled back meanwhile")
            db.writer = mine
            db.connection.execute("BEGIN")
        answer = self.work(run)
        if isinstance(answer, f.Page):
            return answer
        return f.Result(run.id, msgspec.Raw(f.encode(answer)), 0)

    def commit(self, commit: f.Commit) -> Any:
        db = self.db
        known = commit.sequence in db.sessions.get(commit.session, {})
        if db.writer != (self.number, commit.transaction) and not known:
            return f.Refused(commit.id, f.Why.TRANSACTION_GONE, "no such transaction")

        def work() -> Any:
            try:
                db.connection.execute("COMMIT")
            except sqlite3.Error as error:
                return failed(error)
            db.writer = None
            db.freed.set()
            return f.Done(0, 0)

        answer = db.once(commit.session, commit.sequence, commit.floor, work)
        return f.Result(commit.id, msgspec.Raw(answer), db.index)

    def rollback(self, transaction: int) -> None:
        self.ended.add(transaction)
        if self.db.writer == (self.number, transaction):
            self.db.connection.execute("ROLLBACK")
            self.db.writer = None
            self.db.freed.set()

    async def answer(self, frame: Any) -> None:
        """Carry one frame out, with the faults that are set."""
        faults, node = self.server.faults, self.node
        if isinstance(frame, f.Run | f.Commit):
            if faults.strikes("break_before"):
                return self.out.put_nowait(None)
            if faults.refuse:
                return self.out.put_nowait(refused(frame, faults.refuse.pop(0)))
            if not node.leads and not faults.follow:
                leader = self.server.leader_address
                why = f.Why.NOT_LEADER
                return self.out.put_nowait(f.Refused(frame.id, why, "not the leader", leader))
            if faults.slow_s:
                await asyncio.sleep(faults.slow_s)
        try:
            answer = await self.carry_out(frame)
        except TimeoutError:
            answer = f.Refused(frame.id, f.Why.TIMEOUT, "the writer was busy for too long")
        if answer is None:
            return None
        if isinstance(frame, f.Run | f.Commit):
            if faults.strikes("break_after"):
                return self.out.put_nowait(None)
            if faults.strikes("drop_answers"):
                return None
            if faults.refuse_after:
                answer = refused(frame, faults.refuse_after.pop(0))
        return self.out.put_nowait(answer)

    async def carry_out(self, frame: Any) -> Any:
        self.server.seen[type(frame).__name__] += 1
        self.server.frames.append(frame)
        if isinstance(frame, f.Run):
            return await self.run(frame)
        if isinstance(frame, f.Commit):
            return self.commit(frame)
        if isinstance(frame, f.OpenSession):
            opened = f.Opened(self.db.open_session(frame.nonce))
            return f.Result(frame.id, msgspec.Raw(f.encode(opened)), self.db.index)
        if isinstance(frame, f.Fetch):
            held = self.cursors.pop(frame.cursor, None)
            if held is None:
                return f.Refused(frame.id, f.Why.CURSOR_GONE, "it was held for too long")
            cursor, first = held
            page = self.page(frame.id, None, cursor, frame.page_rows)
            rows = msgspec.Raw(f.encode([first, *msgspec.msgpack.decode(page.rows)]))
            return f.Page(frame.id, None, rows, page.cursor, page.index)
        if isinstance(frame, f.Release):
            self.cursors.pop(frame.cursor, None)
        if isinstance(frame, f.Rollback):
            self.rollback(frame.transaction)
            return f.Result(frame.id, msgspec.Raw(f.encode(f.Done(0, 0))))
        if isinstance(frame, f.Examine):
            return f.Verdict(frame.id, "read", "pure")
        return None

    def end(self) -> None:
        if self.db.writer is not None and self.db.writer[0] == self.number:
            self.rollback(self.db.writer[1])
        for task in self.tasks:
            task.cancel()


def refused(frame: Any, like: f.Refused) -> f.Refused:
    return f.Refused(
        frame.id, like.why, like.message, like.leader, like.position, like.retry_after_ms
    )


class Node(ClientServicer):
    """One port."""

    def __init__(self, server: FakeServer, number: int) -> None:
        self.server = server
        self.number = number
        self.port = 0
        self.grpc: Any = None
        self.streams: set[Connection] = set()

    @property
    def leads(self) -> bool:
        return self.server.leader == self.number

    def welcome(self) -> f.Welcome:
        server = self.server
        members = {node.number: node.address for node in server.nodes}
        protocol = server.faults.protocol
        return f.Welcome(
            protocol,
            self.number,
            "c1",
            server.leader_address,
            members,
            "0.0",
            sqlite3.sqlite_version,
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def Connect(self, requests: Any, context: Any) -> None:
        self.server.connections += 1
        connection = Connection(self, self.server.connections)
        self.streams.add(connection)
        reader = asyncio.create_task(self.read(requests, connection))
        try:
            while True:
                batch = [await connection.out.get()]
                while not connection.out.empty():
                    batch.append(connection.out.get_nowait())
                whole = [frame for frame in batch if frame is not None]
                if whole:
                    await context.write(Frames(batch=f.encode(whole)))
                if len(whole) < len(batch):
                    return
        finally:
            reader.cancel()
            self.streams.discard(connection)
            connection.end()

    async def read(self, requests: Any, connection: Connection) -> None:
        try:
            async for message in requests:
                for frame in f.decode_client_frames(message.batch):
                    self.take(frame, connection)
        except grpc.RpcError:
            pass
        connection.out.put_nowait(None)

    def take(self, frame: Any, connection: Connection) -> None:
        if self.number in self.server.faults.silent:
            return
        if isinstance(frame, f.Hello):
            password = self.server.faults.password
            if password and frame.token != f"tester:{password}":
                why = f.Why.UNAUTHENTICATED
                connection.out.put_nowait(f.Refused(0, why, "wrong user or password"))
                connection.out.put_nowait(None)
                return
            connection.out.put_nowait(self.welcome())
            return
        task = asyncio.get_running_loop().create_task(connection.answer(frame))
        connection.tasks.add(task)
        task.add_done_callback(connection.tasks.discard)


class FakeServer:
    """A cluster of fake nodes, in a thread of its own."""

    def __init__(self, nodes: int = 1) -> None:
        self.faults = Faults()
        self.leader = 1
        self.nodes: list[Node] = []
        self.connections = 0
        self.seen: Counter[str] = Counter()
        self.frames: list[Any] = []
        self._count = nodes
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.database: Database = None  # type: ignore[assignment]

    @property
    def leader_address(self) -> str:
        leading = [node.address for node in self.nodes if node.number == self.leader]
        return leading[0] if leading else ""

    @property
    def url(self) -> str:
        return "raftsql://" + ",".join(node.address for node in self.nodes) + "/"

    def call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def start(self) -> FakeServer:
        self._thread.start()
        self.call(self._start())
        return self

    async def _start(self) -> None:
        self.database = Database()
        for number in range(1, self._count + 1):
            node = Node(self, number)
            self.nodes.append(node)
            await self._serve(node, 0)

    async def _serve(self, node: Node, port: int) -> None:
        node.grpc = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", -1),
                ("grpc.http2.min_ping_interval_without_data_ms", 1000),
                ("grpc.http2.max_ping_strikes", 0),
            ]
        )
        add_ClientServicer_to_server(node, node.grpc)
        node.port = node.grpc.add_insecure_port(f"127.0.0.1:{port}")
        await node.grpc.start()

    def kill(self, number: int) -> None:
        """End a node at once, with all its streams."""
        node = self.nodes[number - 1]
        self.call(self._stop(node))

    async def _stop(self, node: Node) -> None:
        for stream in list(node.streams):
            stream.out.put_nowait(None)
        await node.grpc.stop(0)

    def revive(self, number: int) -> None:
        """Start a killed node again, on its old port."""
        node = self.nodes[number - 1]
        self.call(self._serve(node, node.port))

    def break_streams(self) -> None:
        """End all streams, and leave the nodes running."""

        async def end() -> None:
            for node in self.nodes:
                for stream in list(node.streams):
                    stream.out.put_nowait(None)

        self.call(end())

    def announce(self, frame: Any) -> None:
        """Send a frame to every client, unasked."""

        async def say() -> None:
            for node in self.nodes:
                for stream in node.streams:
                    stream.out.put_nowait(frame)

        self.call(say())

    def forget_sessions(self) -> None:
        self.database.sessions.clear()
        self.database.nonces.clear()

    def query(self, sql: str) -> list[Any]:
        """Look into the database past the driver."""

        async def look() -> list[Any]:
            while self.database.writer is not None:
                self.database.freed.clear()
                await self.database.freed.wait()
            return self.database.connection.execute(sql).fetchall()

        return list(self.call(look()))

    def stop(self) -> None:
        for node in self.nodes:
            self.call(self._stop(node))

        async def finish() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.database.connection.close()

        self.call(finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


def main() -> None:
    """Serve until killed, for measurements from another process."""
    server = FakeServer().start()
    print(server.url, flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
