"""A connection's memory and judgement, shared by both colours; does no I/O.

A connection is a light thing: the streams belong to the process. It holds what SQLite keeps for a
connection: the transaction, the settings that travel with each statement, the last rowid; and the
token that says how much of the log it has seen.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from raftsql_driver import address as addresses
from raftsql_driver import convert, errors, flows, statements, transaction
from raftsql_driver.chunks import chunks
from raftsql_driver.errors import (
    DataError,
    OperationalError,
    OutcomeUnknown,
    ProgrammingError,
    TransactionLost,
)
from raftsql_driver.statements import Control, Text, look_at
from raftsql_driver.verdict import Verdict
from raftsql_proto.frames import Begin, Column, Level, Run, Statement, Work
from raftsql_proto.frames import encode as encode_body

if TYPE_CHECKING:
    from raftsql_driver.address import Address
    from raftsql_driver.cluster import Cluster
    from raftsql_driver.convert import Parameters
    from raftsql_driver.cursor import BaseCursor
    from raftsql_driver.flows import Answered, Flow
    from raftsql_driver.rows import RowFactory
    from raftsql_driver.tracing import Tracing

BODY_BYTES_MAX: Final = 64 << 20
"""What a node takes in one request. It would be refused there, after a long way."""

_BEGINS: Final = {
    "": Begin.DEFERRED,
    "DEFERRED": Begin.DEFERRED,
    "IMMEDIATE": Begin.IMMEDIATE,
    "EXCLUSIVE": Begin.IMMEDIATE,
}
_BOOKMARK: Final = "raftsql:1"


class BaseConnection:
    """What both colours of connection know and decide."""

    Warning = errors.Warning
    Error = errors.Error
    InterfaceError = errors.InterfaceError
    DatabaseError = errors.DatabaseError
    DataError = errors.DataError
    OperationalError = errors.OperationalError
    IntegrityError = errors.IntegrityError
    InternalError = errors.InternalError
    ProgrammingError = errors.ProgrammingError
    NotSupportedError = errors.NotSupportedError
    OutcomeUnknown = errors.OutcomeUnknown
    SerializationFailure = errors.SerializationFailure

    _closed = True
    """Until it is made: one that could not be made is collected too, and has nothing to close."""

    def __init__(
        self,
        address: Address,
        cluster: Cluster,
        *,
        row_factory: RowFactory | None = None,
        detect_types: int = 0,
    ) -> None:
        self.row_factory = row_factory
        """Given to new cursors: makes each row what the program wants; None for tuples."""
        self.timeout = address.timeout
        """How many seconds a call may take, all its tries included."""
        self.max_staleness = address.max_staleness
        """Seconds: `stale` reads refuse data that is older. 0: no bound."""
        self.consistency = address.consistency
        """What reads promise, where a cursor or an execute does not say otherwise."""
        self._address = address
        self._cluster = cluster
        self._detect_types = detect_types
        self._autocommit = address.autocommit
        self._mode = _BEGINS[address.isolation_level]
        self._level_name = address.isolation_level
        self._settings = 1
        self._token = 0
        self._last_rowid = 0
        self._changes = 0
        self._total_changes = 0
        self._transaction: transaction.Transaction | None = None
        self._by_savepoint = False
        """The transaction was begun by SAVEPOINT, and ends with its RELEASE."""
        self._node = ""
        """Who answered last."""
        self._owner = 0
        """The thread that began the transaction."""
        self._tracing = None if address.tracing == "off" else _tracing_of(address.tracing)
        self._closed = False

    def __repr__(self) -> str:
        if self._closed:
            return f"<{errors.name_of(self)} closed>"
        state = "in transaction" if self.in_transaction else "idle"
        return f"<{errors.name_of(self)} {state} at {self.node}>"

    @property
    def autocommit(self) -> bool:
        """Whether each statement is a transaction of its own."""
        return self._autocommit

    @property
    def isolation_level(self) -> str | None:
        """How transactions begin: DEFERRED, IMMEDIATE or EXCLUSIVE; None under autocommit."""
        return None if self._autocommit else self._level_name

    @property
    def in_transaction(self) -> bool:
        """Whether there is something to commit or roll back."""
        return self._transaction is not None

    @property
    def transaction_lost(self) -> bool:
        """Whether the cluster rolled the transaction back: nothing but `rollback()` works then."""
        return self._transaction is not None and self._transaction.lost is not None

    @property
    def node(self) -> str:
        """The node that answered last, as host:port; before that, the one to be asked."""
        return self._node or self._cluster.state.routes.home

    @property
    def node_id(self) -> int | None:
        """That node's number in the cluster; None where it has not been greeted yet."""
        return self._cluster.node_ids.get(self.node)

    @property
    def total_changes(self) -> int:
        """Rows changed through this connection."""
        return self._total_changes

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def bookmark(self) -> str:
        """How much this connection has seen; give it to another one, and that one sees it too."""
        welcome = self._cluster.welcome
        return f"{_BOOKMARK}:{self._token}:{welcome.cluster if welcome else ''}"

    @bookmark.setter
    def bookmark(self, bookmark: str) -> None:
        head, _, rest = str(bookmark).partition(f"{_BOOKMARK}:")
        number, _, cluster = rest.partition(":")
        if head or not number.isdecimal():
            raise ProgrammingError(f"{bookmark!r} is no bookmark; take it from conn.bookmark")
        welcome = self._cluster.welcome
        if cluster and welcome is not None and welcome.cluster != cluster:
            raise ProgrammingError("the bookmark belongs to another cluster")
        self._token = max(self._token, int(number))

    def _usable(self) -> None:
        if self._closed:
            raise ProgrammingError("Cannot operate on a closed database; connect again.")

    def _outside(self) -> None:
        self._usable()
        if self._transaction is not None:
            raise ProgrammingError(
                "run_transaction() begins a transaction of its own, and this connection is inside"
                " of one: commit or roll back first"
            )

    def _deadline(self, timeout: float | None) -> float:
        seconds = self.timeout if timeout is None else timeout
        if not seconds > 0:
            raise ProgrammingError(f"timeout={seconds!r}: expected seconds, more than 0")
        return self._cluster.state.clock() + seconds

    def _reattached(self, cluster: Cluster) -> None:
        """This process is a fork of the one that connected: what was open stayed behind."""
        self._cluster = cluster
        if self._transaction is not None and self._transaction.open:
            lost = TransactionLost("the process was forked inside a transaction")
            self._transaction.lost, self._transaction.open = lost, False

    # Statements.

    def _execute(
        self,
        cursor: BaseCursor,
        sql: str,
        given: Parameters | None,
        consistency: str | None,
        timeout: float | None,
    ) -> Flow[None]:
        """Run one statement and leave its result in the cursor."""
        self._usable()
        cursor._usable()
        deadline = self._deadline(timeout)
        text = look_at(_checked(sql))
        if cursor._unread is not None:
            yield from cursor._let_go()
        cursor._forget()
        if text.control is not Control.NONE:
            yield from self._control(cursor, text, sql, deadline)
        elif text.keyword:
            run = self._run_of(convert.pack(sql, convert.parameters(given)), consistency)
            answered = yield from self._carry(run, text, deadline, alone=consistency is not None)
            self._note(text, answered)
            cursor._take(text, answered)

    def _examine(self, sql: str, strict: bool) -> Flow[Verdict]:
        """Ask for a verdict; no transaction is begun, or needed, for it."""
        self._usable()
        deadline = self._deadline(None)
        found = yield from flows.examine(self._cluster.state, _checked(sql), strict, deadline)
        return Verdict(found.verdict, found.kind, found.detail, found.position, found.length)

    def _run_of(self, body: bytes, consistency: str | None, work: int = Work.EXECUTE) -> Run:
        if len(body) > BODY_BYTES_MAX:
            raise DataError(
                f"the statement and its values take {len(body)} bytes, and a node takes at most "
                f"{BODY_BYTES_MAX} at once: split the value over several rows, or the rows over "
                "several statements"
            )
        return Run(
            id=0,
            work=work,
            body=body,
            settings=self._settings,
            level=addresses.level(consistency or self.consistency),
            token=self._token,
            max_staleness_ms=int(self.max_staleness * 1000),
            last_insert_rowid=self._last_rowid,
            changes=self._changes,
            total_changes=self._total_changes,
        )

    def _carry(self, run: Run, text: Text, deadline: float, *, alone: bool) -> Flow[Answered]:
        """Send a statement the way its connection's state asks for."""
        state = self._cluster.state
        current = self._transaction
        # A weak read asks for no snapshot and no leader, and so begins no transaction.
        weak = text.reads and (alone or run.level > Level.LEASE)
        if current is None and not self._autocommit and not weak:
            current = self._new_transaction(self._mode)
        if current is not None:
            if run.level > Level.LEASE:  # Its moment is the newest: a transaction is no weak read.
                run.level = Level.LINEARIZABLE
            return (
                yield from transaction.statement(state, current, run, deadline, reads=text.reads)
            )
        if text.reads:
            return (yield from flows.read(state, run, deadline))
        return (yield from flows.write(state, run, deadline))

    def _note(self, text: Text, answered: Answered) -> None:
        """Remember what SQLite remembers for a connection."""
        self._node = answered.node
        if answered.index > self._token:
            self._token = answered.index
        done = answered.done
        if done is not None and text.counts:
            self._changes = done.changes
            self._total_changes += done.changes
            if text.inserts and done.changes:
                self._last_rowid = done.last_insert_rowid

    def _execute_many(
        self, cursor: BaseCursor, sql: str, rows: Iterable[Parameters], timeout: float | None
    ) -> Flow[None]:
        """Run one statement for many rows, a bounded chunk at a time."""
        self._usable()
        cursor._usable()
        text = look_at(_checked(sql))
        if not text.counts:
            raise ProgrammingError("executemany() is for INSERT, UPDATE, DELETE and REPLACE")
        if cursor._unread is not None:
            yield from cursor._let_go()
        cursor._forget()
        if not isinstance(rows, Iterable) or isinstance(rows, (str, bytes)):
            raise ProgrammingError("executemany() takes an iterable of rows of parameters")
        changed = 0
        for first, body in chunks(sql, iter(rows)):
            run = self._run_of(body, None, Work.MANY)
            try:
                answered = yield from self._carry(run, text, self._deadline(timeout), alone=False)
            except errors.Error as error:
                cursor._rowcount = changed
                if error.row >= 0:
                    error.row += first
                    error.add_note(f"row {error.row} of executemany(), counted from 0")
                elif first and self._transaction is None:
                    error.add_note(f"rows 0 to {first - 1} of executemany() were written before it")
                raise
            self._note(text, answered)
            changed += answered.done.changes if answered.done is not None else 0
        cursor._rowcount = changed

    def _execute_script(self, cursor: BaseCursor, script: str, timeout: float | None) -> Flow[None]:
        """Run several statements; those that stand together happen together, or not at all."""
        self._usable()
        cursor._usable()
        deadline = self._deadline(timeout)
        if cursor._unread is not None:
            yield from cursor._let_go()
        cursor._forget()
        together: list[Statement] = []
        for sql in statements.split(_checked(script)):
            text = look_at(sql)
            if text.control is Control.NONE:
                together.append(Statement(sql))
                continue
            yield from self._run_together(together, deadline)
            together = []
            yield from self._control(cursor, text, sql, deadline)
        yield from self._run_together(together, deadline)
        cursor._forget()

    def _run_together(self, together: list[Statement], deadline: float) -> Flow[None]:
        if not together:
            return
        try:
            body = encode_body(together)
        except UnicodeEncodeError as error:
            raise DataError("the script holds a lone surrogate, and so is no Unicode") from error
        run = self._run_of(body, None, Work.SCRIPT)
        text = Text("", reads=False, counts=True, inserts=True)
        self._note(text, (yield from self._carry(run, text, deadline, alone=False)))

    # Transactions.

    def _control(self, cursor: BaseCursor, text: Text, sql: str, deadline: float) -> Flow[None]:
        """A statement that speaks of the connection's own state."""
        if text.control is Control.BEGIN:
            yield from self._begin(_BEGINS[text.argument.upper()], deadline)
        elif text.control is Control.COMMIT:
            if self._autocommit:
                transaction.must_be_open(self._transaction, "commit")
            yield from self._commit(deadline)
        elif text.control is Control.ROLLBACK:
            if self._autocommit:
                transaction.must_be_open(self._transaction, "rollback")
            yield from self._rollback()
        elif text.control is Control.SETTING:
            self._set(cursor, text)
        else:
            yield from self._savepoint(text, sql, deadline)

    def _new_transaction(self, begin: Begin) -> transaction.Transaction:
        self._owner = threading.get_ident()
        self._transaction = transaction.Transaction(begin)
        return self._transaction

    def _begin(self, begin: Begin, deadline: float) -> Flow[None]:
        """BEGIN rides with the first statement, unless it shall take the writer at once."""
        if self._transaction is not None:
            raise OperationalError("cannot start a transaction within a transaction")
        current = self._new_transaction(begin)
        if begin is Begin.IMMEDIATE:
            run = self._run_of(convert.pack("SELECT 1", None), None)
            try:
                yield from transaction.statement(
                    self._cluster.state, current, run, deadline, reads=True
                )
            except BaseException:
                yield from self._rollback()
                raise

    def _commit(self, deadline: float) -> Flow[None]:
        if self._transaction is None:
            return
        try:
            index = yield from transaction.commit(self._cluster.state, self._transaction, deadline)
        except OutcomeUnknown:
            self._over()
            raise
        except errors.Error:  # It is open still, or lost: a rollback ends it.
            raise
        except BaseException:
            # The caller gave up, and nobody knows what became of it: only that it is over.
            current = self._transaction
            self._over()
            yield from transaction.abandon(current)
            raise
        self._token = max(self._token, index)
        self._over()

    def _rollback(self) -> Flow[None]:
        if self._transaction is None:
            return
        try:
            yield from transaction.rollback(self._cluster.state, self._transaction)
        finally:
            self._over()

    def _over(self) -> None:
        self._transaction = None
        self._by_savepoint = False
        self._settings &= ~statements.SETTINGS["defer_foreign_keys"]

    def _savepoint(self, text: Text, sql: str, deadline: float) -> Flow[None]:
        """SAVEPOINT, RELEASE and ROLLBACK TO; the outermost savepoint may be the transaction."""
        name = text.argument.casefold()
        current, begins = self._transaction, self._transaction is None
        if current is None:
            if text.control is not Control.SAVEPOINT:
                raise OperationalError(f"no such savepoint: {text.argument}")
            current = self._new_transaction(self._mode)
            self._by_savepoint = self._autocommit
        names = current.savepoints
        place = len(names) - 1 - names[::-1].index(name) if name in names else -1
        if text.control is Control.RELEASE and place == 0 and self._by_savepoint:
            yield from self._commit(deadline)
            return
        run = self._run_of(convert.pack(sql, None), None)
        state = self._cluster.state
        try:
            # A node gives it the writer: that needs a session before, and a COMMIT after it.
            yield from transaction.statement(state, current, run, deadline, reads=False)
        except BaseException:
            if begins:
                yield from self._rollback()
            raise
        if text.control is Control.SAVEPOINT:
            names.append(name)
        elif place >= 0:
            del names[place + (text.control is Control.ROLLBACK_TO) :]

    def _set(self, cursor: BaseCursor, text: Text) -> None:
        """PRAGMAs that change what a write means live here, and travel with each statement."""
        if text.value is None:
            value = int(bool(self._settings & statements.SETTINGS[text.argument]))
            cursor._show([Column(text.argument, None)], [(value,)])
        elif text.argument != "foreign_keys" or self._transaction is None:
            self._settings = statements.changed(self._settings, text.argument, text.value)

    def _set_autocommit(self, autocommit: bool) -> Flow[None]:
        """As sqlite3: turning it on commits what is open."""
        self._usable()
        if autocommit and not self._autocommit:
            yield from self._commit(self._deadline(None))
        self._autocommit = bool(autocommit)

    def _set_isolation_level(self, level: str | None) -> Flow[None]:
        if level is None:
            yield from self._set_autocommit(True)
            return
        if level.upper() not in _BEGINS:
            raise ProgrammingError(
                f"isolation_level={level!r}: expected DEFERRED, IMMEDIATE, EXCLUSIVE or None"
            )
        self._level_name = level.upper() or "DEFERRED"
        self._mode = _BEGINS[self._level_name]
        yield from self._set_autocommit(False)

    def _end_block(self, failed: bool) -> Flow[None]:
        """The end of `with connection:` - as sqlite3, commit or roll back, and stay open."""
        if self._autocommit:
            return
        if failed:
            yield from self._rollback()
            return
        try:
            yield from self._commit(self._deadline(None))
        except errors.Error:
            yield from self._rollback()
            raise


def _tracing_of(mode: str) -> Tracing:
    from raftsql_driver.tracing import tracing_of  # Loaded for nobody else.

    return tracing_of(mode)


def _checked(sql: str) -> str:
    if type(sql) is not str:
        if not isinstance(sql, str):
            raise ProgrammingError(f"a statement is a str, not {errors.kind_of(sql)}")
        sql = str(sql)
    return sql


class TransactionBlock:
    """The decisions of `with connection.transaction():`; nested ones are savepoints."""

    _number = 0

    def __init__(self, connection: BaseConnection, mode: str | None) -> None:
        self._connection = connection
        self._begin = None if mode is None else _BEGINS.get(mode.upper())
        if mode is not None and self._begin is None:
            raise ProgrammingError(f"{mode!r}: expected DEFERRED, IMMEDIATE or EXCLUSIVE")
        self._name = ""

    def __repr__(self) -> str:
        return f"<{errors.name_of(self)} of {self._connection!r}>"

    def _enter(self) -> Flow[None]:
        connection = self._connection
        connection._usable()
        deadline = connection._deadline(None)
        if connection._transaction is None:
            yield from connection._begin(self._begin or connection._mode, deadline)
            return
        TransactionBlock._number += 1
        self._name = f"raftsql_{TransactionBlock._number}"
        yield from self._say(f"SAVEPOINT {self._name}", deadline)

    def _exit(self, failed: bool) -> Flow[None]:
        connection = self._connection
        deadline = connection._deadline(None)
        if connection._transaction is None:
            return
        if not self._name:
            if failed:
                yield from connection._rollback()
                return
            try:
                yield from connection._commit(deadline)
            except errors.Error:
                yield from connection._rollback()
                raise
        elif not failed:
            yield from self._say(f"RELEASE {self._name}", deadline)
        elif connection._transaction.lost is None:
            yield from self._say(f"ROLLBACK TO {self._name}", deadline)
            yield from self._say(f"RELEASE {self._name}", deadline)

    def _say(self, sql: str, deadline: float) -> Flow[None]:
        yield from self._connection._savepoint(look_at(sql), sql, deadline)
