"""Blocking connections and cursors: each method runs a flow to its end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Any, Final, Self, TypeVar, Unpack

from raftsql_driver.address import Options, parse
from raftsql_driver.again import RETRIES_MAX, mode_of, pause
from raftsql_driver.cluster import Cluster
from raftsql_driver.connection import BaseConnection, TransactionBlock
from raftsql_driver.convert import Parameters
from raftsql_driver.cursor import BaseCursor
from raftsql_driver.errors import Error, ProgrammingError, SerializationFailure, Unavailable
from raftsql_driver.flows import Ask, Flow, Pause, Send, Step, has_ended
from raftsql_driver.loop import Background, background
from raftsql_driver.rows import RowFactory
from raftsql_driver.transaction import abandon
from raftsql_driver.verdict import Verdict

T = TypeVar("T")
_AT_WORK: Final = "thread"


def run(worker: Background, cluster: Cluster, flow: Flow[T]) -> T:
    """Carry out a flow's steps one after the other, and return what it comes to.

    A flow is told of what interrupts it (KeyboardInterrupt), wherever that happens: it may have a
    last word to send.
    """
    resume: Callable[[Any], Step] = flow.send
    given: Any = None
    while True:
        try:
            step = resume(given)
            while True:
                step = flow.send(_carry_out(worker, cluster, step))
        except StopIteration as end:
            result: T = end.value
            return result
        except BaseException as error:
            if has_ended(flow):
                raise
            resume, given = flow.throw, error


def _carry_out(worker: Background, cluster: Cluster, step: Step) -> Any:
    if type(step) is Ask:
        return worker.ask(cluster, step)
    if type(step) is Pause:
        return worker.pause(cluster, step)
    if type(step) is Send:
        return worker.send(cluster, step)
    return worker.wait(cluster, step)  # type: ignore[arg-type]


class Connection(BaseConnection):
    """A connection to a cluster, for threads."""

    def __init__(
        self,
        url: str | None = None,
        *,
        row_factory: RowFactory | None = None,
        detect_types: int = 0,
        check_same_thread: bool = True,
        cursor_factory: type[Cursor] | None = None,
        **options: Unpack[Options],
    ) -> None:
        address = parse(url, options)
        self._worker = background()
        cluster = self._worker.cluster(address)
        super().__init__(address, cluster, row_factory=row_factory, detect_types=detect_types)
        self._cursor_factory = cursor_factory or Cursor
        self._check_same_thread = check_same_thread
        self._lock = threading.Lock()
        self._at_work: dict[str, int] = {}
        """Which thread runs a statement. Not a lock: Ctrl-C may come between taking one and the
        promise to give it back, and then the thread itself could not go on any more."""
        if not cluster.streams:
            try:
                self._worker.run(cluster.connect(), address.connect_timeout * len(address.nodes))
            except BaseException as error:
                self._leave()
                if isinstance(error, TimeoutError):
                    raise Unavailable(f"{address}: no node answered in time") from None
                raise

    def _run(self, flow: Flow[T]) -> T:
        if self._cluster.pid != os.getpid():
            self._worker = background()
            self._lock = threading.Lock()
            self._at_work.clear()
            self._reattached(self._worker.cluster(self._address))
        if self._tracing is not None:
            flow = self._tracing.follow(self, flow)
        if self._autocommit and self._transaction is None:
            return run(self._worker, self._cluster, flow)
        return self._run_alone(flow)

    def _run_alone(self, flow: Flow[T]) -> T:
        """Run it as the only one: a transaction's statements come one after the other."""
        if not self._check_same_thread:
            with self._lock:
                return run(self._worker, self._cluster, flow)
        me = threading.get_ident()
        if self._transaction is not None and self._owner != me:
            raise _other_thread()
        if self._at_work.setdefault(_AT_WORK, me) != me:
            raise _other_thread()
        try:
            return run(self._worker, self._cluster, flow)
        finally:
            self._at_work.pop(_AT_WORK, None)

    @property
    def autocommit(self) -> bool:
        """Whether each statement is a transaction of its own; setting it to True commits."""
        return self._autocommit

    @autocommit.setter
    def autocommit(self, autocommit: bool) -> None:
        self._run(self._set_autocommit(autocommit))

    def set_autocommit(self, autocommit: bool) -> None:
        """The same as setting the attribute."""
        self._run(self._set_autocommit(autocommit))

    @property
    def isolation_level(self) -> str | None:
        """How transactions begin: DEFERRED, IMMEDIATE or EXCLUSIVE; None under autocommit."""
        return None if self._autocommit else self._level_name

    @isolation_level.setter
    def isolation_level(self, level: str | None) -> None:
        self._run(self._set_isolation_level(level))

    def cursor(
        self, factory: type[Cursor] | None = None, *, consistency: str | None = None
    ) -> Cursor:
        """A new cursor; `consistency` is what its reads promise."""
        self._usable()
        return (factory or self._cursor_factory)(self, consistency=consistency)

    def execute(
        self,
        sql: str,
        parameters: Parameters | None = None,
        /,
        *,
        consistency: str | None = None,
        timeout: float | None = None,
    ) -> Cursor:
        """Run a statement with a new cursor, and return that."""
        return self.cursor().execute(sql, parameters, consistency=consistency, timeout=timeout)

    def executemany(
        self, sql: str, rows: Iterable[Parameters], /, *, timeout: float | None = None
    ) -> Cursor:
        """Run a statement for many rows with a new cursor, and return that."""
        return self.cursor().executemany(sql, rows, timeout=timeout)

    def executescript(self, script: str, /, *, timeout: float | None = None) -> Cursor:
        """Run several statements as one, and return a cursor without rows."""
        return self.cursor().executescript(script, timeout=timeout)

    def examine(self, sql: str, /, *, strict: bool = False) -> Verdict:
        """Ask what the cluster would say to a statement, without running it."""
        return self._run(self._examine(sql, strict))

    def commit(self) -> None:
        """Make the transaction durable everywhere."""
        self._usable()
        self._run(self._commit(self._deadline(None)))

    def rollback(self) -> None:
        """Forget the transaction."""
        self._usable()
        self._run(self._rollback())

    def transaction(self, mode: str | None = None) -> Transaction:
        """A `with` block that is a transaction, or a savepoint inside of one."""
        return Transaction(self, mode)

    def run_transaction(self, work: Callable[[Self], T], /, *, retries_max: int = RETRIES_MAX) -> T:
        """Call `work` with this connection in a transaction of its own, and commit; again from its
        beginning where nothing of it happened, since others were in its way or its leader died.

        `work` may run more than once, so it must do nothing that a rollback does not undo.
        """
        self._outside()
        for tries in count(1):
            try:
                with self.transaction(mode_of(tries)):
                    return work(self)
            except SerializationFailure:
                if tries > retries_max:
                    raise
            time.sleep(pause(tries))
        raise AssertionError("tries are endless")

    def close(self) -> None:
        """Roll back what is open, and be of no use any more."""
        if not self._closed:
            try:
                with suppress(Error):
                    self._run(self._rollback())
            finally:
                self._abandon()  # It may have been another thread's.
                self._leave()

    def _abandon(self) -> None:
        if self._transaction is not None:
            with suppress(Exception):
                self._forsake(abandon(self._transaction))

    def _leave(self) -> None:
        self._closed = True
        cluster = self._cluster
        if cluster.pid == os.getpid() and not cluster.loop.is_closed():
            cluster.loop.call_soon_threadsafe(cluster.release)

    def _forsake(self, flow: Flow[None]) -> None:
        if self._cluster.pid == os.getpid() and not self._cluster.loop.is_closed():
            run(self._worker, self._cluster, flow)

    def __enter__(self) -> Self:
        self._usable()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._end_block(error is not None))

    def __del__(self) -> None:
        if not self._closed:
            with suppress(Exception):  # Waits for nobody: this may be the thread of the streams.
                self._abandon()
                self._leave()


def _other_thread() -> ProgrammingError:
    return ProgrammingError(
        "this connection is inside a transaction of another thread: give each thread a connection "
        "of its own (they are cheap), use autocommit=True, or connect with check_same_thread=False "
        "if the threads take turns"
    )


class Cursor(BaseCursor):
    """Runs statements on a connection and holds the last one's result."""

    def __init__(self, connection: Connection, *, consistency: str | None = None) -> None:
        super().__init__(connection.row_factory, connection._detect_types, connection._forsake)
        self._connection = connection
        self.consistency = consistency
        """What this cursor's reads promise; None: as the connection's."""

    @property
    def connection(self) -> Connection:
        """Whose cursor this is."""
        return self._connection

    def execute(
        self,
        sql: str,
        parameters: Parameters | None = None,
        /,
        *,
        consistency: str | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Run a statement; its rows, if it gives any, wait to be fetched."""
        level = consistency or self.consistency
        connection = self._connection
        connection._run(connection._execute(self, sql, parameters, level, timeout))
        return self

    def executemany(
        self, sql: str, rows: Iterable[Parameters], /, *, timeout: float | None = None
    ) -> Self:
        """Run a statement for many rows, in chunks; a transaction makes them one."""
        connection = self._connection
        connection._run(connection._execute_many(self, sql, rows, timeout))
        return self

    def executescript(self, script: str, /, *, timeout: float | None = None) -> Self:
        """Run several statements as one: all of them happen, or none."""
        connection = self._connection
        connection._run(connection._execute_script(self, script, timeout))
        return self

    def _turn_page(self) -> None:
        connection = self._connection
        connection._usable()
        connection._run(self._next_page(connection.timeout, connection._cluster.state.clock()))

    def fetchone(self) -> Any:
        """The next row; None after the last."""
        self._readable()
        return next(self, None)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next rows, at most `size` (or `arraysize`) of them."""
        self._readable()
        wanted = self.arraysize if size is None else size
        rows = self._taken(wanted)
        while len(rows) < wanted and self._unread:
            self._turn_page()
            rows += self._taken(wanted - len(rows))
        return rows

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        self._readable()
        rows = list(self._page)
        while self._unread:
            self._turn_page()
            rows.extend(self._page)
        return rows

    def close(self) -> None:
        """Let go of the result, and be of no use any more."""
        if not self._closed and not self._connection._closed:
            self._connection._run(self._let_go())
        self._closed = True

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        for row in self._page:
            return row
        if self._closed:
            self._usable()
        while self._unread:
            self._turn_page()
            for row in self._page:
                return row
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Transaction(TransactionBlock):
    """`with connection.transaction():` - commits at the end, rolls back on an exception."""

    _connection: Connection

    def __enter__(self) -> Self:
        self._connection._run(self._enter())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection._run(self._exit(error is not None))


def connect(
    url: str | None = None,
    *,
    row_factory: RowFactory | None = None,
    detect_types: int = 0,
    check_same_thread: bool = True,
    cursor_factory: type[Cursor] | None = None,
    **options: Unpack[Options],
) -> Connection:
    """Connect to a cluster.

    `url` is raftsql://host:port,host:port/, or what RAFTSQL_URL says. All that may stand in it can
    be said by keywords too, which win:

        host                'a:4001,b:4001'
        user, password
        consistency         what reads promise: linearizable, lease, session or stale
        max_staleness       seconds: stale reads refuse older data
        autocommit          whether each statement is a transaction of its own; False
        isolation_level     how transactions begin: DEFERRED, IMMEDIATE, EXCLUSIVE; None: autocommit
        timeout             seconds that a call may take, all its tries included; 30
        connect_timeout     seconds that a node may take to greet; 10
        application_name    names the program in the nodes' logs
        sslmode, sslrootcert, sslcert, sslkey
        tracing             off, names, on, text: OpenTelemetry spans

    `row_factory` makes rows, `detect_types` has values converted, `cursor_factory` is a class of
    cursors; `check_same_thread=False` says that threads take turns in a transaction.
    """
    return Connection(
        url,
        row_factory=row_factory,
        detect_types=detect_types,
        check_same_thread=check_same_thread,
        cursor_factory=cursor_factory,
        **options,
    )
