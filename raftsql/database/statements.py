"""Runs the statements of commands on the writer, and remembers what each text turned out to be.

The first time a text is met it is compiled afresh under the eyes of the guard, and what was seen
becomes its `Plan`; from then on SQLite's statement cache and the plan save both. Plans live until
the schema changes, since the same text may then mean something else.
"""

from __future__ import annotations

import re
from typing import Any, Final

import apsw

from raftsql.database.environment import Pinned
from raftsql.database.errors import (
    BINDING_ERRORS,
    FOREIGN_KEY_FAILED,
    OUT_OF_FUEL,
    SQL_ERRORS,
    TakesLonger,
    answer_to,
)
from raftsql.database.fuel import NO_LIMIT, Meter
from raftsql.database.guard import Guard
from raftsql.database.headers import Shape
from raftsql.database.rowids import TOO_HIGH, RowidWatch, needs_watching
from raftsql.database.schema import HAS_ROW_NUMBERS_SQL, TABLES_SQL, governing, with_shadows
from raftsql.sql.access import NOBODY_YET, SHAPES, Access, Rights, Use
from raftsql.sql.commands import (
    FUEL_UNIT,
    Column,
    Done,
    Failed,
    Parameters,
    Refusal,
    Statement,
    Value,
)

PLANS_MAX: Final = 4_096
"""Texts remembered; programs that write values into their SQL would fill any memory."""
ROWS_BYTES_MAX: Final = 8 * 1024 * 1024
"""What RETURNING may give back in one command: it travels in one message."""

NO_COUNT: Final = -1
"""`rowcount` of a statement that is not an INSERT, UPDATE or DELETE, as in Python's sqlite3."""

_BLANK: Final = re.compile(r"(?:[\s\ufeff]+|--[^\n]*(?:\n|\Z)|/\*.*?(?:\*/|\Z)|;)*", re.DOTALL)
_WORD: Final = re.compile(r"[A-Za-z]*")
_WHERE: Final = re.compile(r"\bWHERE\b", re.IGNORECASE)
_ROWS_CHANGERS: Final = frozenset({"INSERT", "REPLACE", "UPDATE", "DELETE", "WITH"})
_MENTIONS: Final = re.compile(r"deferred|changes|last_insert_rowid", re.IGNORECASE)

PENDING_SUFFIXES: Final = ("_data", "_idx", "_segments", "_segdir", "_stat")
"""Tables beneath full-text tables whose rows may depend on where transactions ended: FTS4 merges
them then, FTS5 counts changes of its settings. What is found through the full-text table does not.
"""

TOO_MANY_ROWS: Final = Failed(
    Refusal.SQL,
    apsw.SQLITE_TOOBIG,
    f"the statement returns more than {ROWS_BYTES_MAX} bytes of rows; it was undone",
)
TOO_MANY_READ: Final = Failed(
    Refusal.SQL,
    apsw.SQLITE_TOOBIG,
    f"the query returns more than {ROWS_BYTES_MAX} bytes of rows, which is too much inside a "
    "transaction that writes: read them in parts (LIMIT), or before its first write",
)
ONE_STATEMENT: Final = Failed(
    Refusal.SQL, apsw.SQLITE_MISUSE, "a command holds one statement; use a script for several"
)


class Undo(Exception):
    """The command is answered with this, and undone where the statement has run already."""

    def __init__(self, answer: Failed, *, ran: bool) -> None:
        super().__init__(answer.message)
        self.answer = answer
        self.ran = ran


class Plan:
    """What a text turned out to be when it was compiled."""

    __slots__ = (
        "changes_rows",
        "changes_schema",
        "columns",
        "counts",
        "explains",
        "inserts",
        "is_known",
        "is_quick",
        "leaps",
        "plain",
        "reads",
        "sets_rowid",
        "shape",
        "target",
        "uses",
        "writes_virtual",
    )

    def __init__(
        self,
        *,
        columns: list[Column] | None,
        changes_rows: bool,
        inserts: bool,
        reads: bool,
        counts: bool,
        changes_schema: bool,
        explains: bool = False,
        leaps: bool = False,
        writes_virtual: bool = False,
        target: str | None = None,
    ) -> None:
        self.columns = columns
        self.changes_rows = changes_rows
        self.inserts = inserts
        self.reads = reads
        self.counts = counts
        self.changes_schema = changes_schema
        self.explains = explains
        """Whether it is an EXPLAIN. SQLite does not notice that the schema changed beneath one that
        is kept prepared, and reads memory that is no longer its own: none may be cached."""
        self.leaps = leaps or changes_schema
        """Whether one step of SQLite's machine may take as long as a table is large: then no count
        of steps tells that it takes long."""
        self.writes_virtual = writes_virtual
        """Whether it changes a virtual table's rows, some of which are gathered in memory."""
        self.target = target
        """The table it inserts into, where it was seen to."""
        self.uses: frozenset[Use] = frozenset()
        """What its user needs rights to; not looked at while there are no users."""
        self.plain = changes_rows and not (columns or counts or changes_schema)
        """Whether it needs nothing but to be executed and counted."""
        self.is_known = False
        """Whether it was met again, and looked at closely."""
        self.is_quick = False
        """Whether it was then found to need no care."""
        self.sets_rowid = False
        """Whether last_insert_rowid() is this statement's own whenever it counts a row."""
        self.shape: Shape | None = None
        """How its commands are packed, once it was met twice in a row."""


EMPTY: Final = Plan(
    columns=None,
    changes_rows=False,
    inserts=False,
    reads=True,
    counts=False,
    changes_schema=False,
)


def leading_word(sql: str) -> str:
    """The first word of a statement, in capitals: enough to tell VACUUM from the rest."""
    blank = _BLANK.match(sql)
    word = _WORD.match(sql, blank.end() if blank else 0)
    return word.group().upper() if word else ""


def _is_blank(sql: str) -> bool:
    """Whether there is nothing but spaces, comments and semicolons."""
    blank = _BLANK.match(sql)
    return blank is not None and blank.end() == len(sql)


class Statements:
    """The writer connection, as commands use it."""

    def __init__(
        self, connection: apsw.Connection, pinned: Pinned, guard: Guard, meter: Meter
    ) -> None:
        self.connection = connection
        self.pinned = pinned
        self.guard = guard
        self.meter = meter
        self.plans: dict[str, Plan] = {}
        self.quick: dict[str, Plan] = {}
        """Texts that need nothing but to be executed and counted, as things are now."""
        self._quick_of = {0: self.quick}
        """The same for each user by number."""
        self._user = 0
        self.access = NOBODY_YET
        self.rights: Rights | None = None
        """What the user may do for whom statements run; None: anything."""
        self._tables: dict[str, str] = {}
        """What rights name; kept while there are users."""
        self.repeated: Plan | None = None
        """What a streak is to be run of."""
        self.defers = False
        """Whether any foreign key of the schema is deferred."""
        self.virtual = False
        """Whether there are virtual tables, which write more or less by their own history."""
        self.gathering = False
        """Whether a virtual table may have gathered rows in memory since the last flush."""
        self.deferring = False
        """Whether the client's settings defer them all."""
        self.counts = False
        """Whether the schema itself asks for changes() or last_insert_rowid()."""
        self.rowids = RowidWatch()
        self.watching = False
        self.stale = False
        """Whether the schema was changed since it was read from the file as a whole."""
        self.cursor = connection.cursor()
        self._inspector = connection.cursor()
        self._inspector.exec_trace = self._inspect
        self.rows_bytes = 0
        """Of what RETURNING has given back so far."""
        self.counted = -1
        """What a statement's rows of parameters changed one by one; -1 where it has run once."""
        self.row = -1
        """Which of them failed, counted from 0."""
        self._text = ""
        self._plan: Plan | None = None
        connection.set_progress_handler(meter, FUEL_UNIT)
        self.read_schema()

    def own(self, sql: str, bindings: Parameters = None, *, can_cache: bool = True) -> list[Any]:
        """Run a statement of our own, which the guard lets pass and no fuel limits."""
        trusting, self.guard.trusting = self.guard.trusting, True
        limit, self.meter.limit = self.meter.limit, NO_LIMIT
        try:
            return self.connection.execute(sql, bindings, can_cache=can_cache).fetchall()
        finally:
            self.guard.trusting, self.meter.limit = trusting, limit

    def read_schema(self) -> None:
        """Look again at what the schema holds that concerns every command."""
        self._forget_texts()
        words = {
            word.lower()
            for (sql,) in self.own("SELECT sql FROM sqlite_schema")
            if sql is not None
            for word in _MENTIONS.findall(sql)
        }
        tables = self.own(TABLES_SQL)
        kinds = {name.lower(): kind for name, kind in with_shadows(tables).items()}
        self.guard.virtual = frozenset(name for name, kind in kinds.items() if kind == "virtual")
        self.virtual = bool(self.guard.virtual)
        shadows = [name for name, kind in kinds.items() if kind == "shadow"]
        self.guard.hidden = frozenset(name for name in shadows if name.endswith(PENDING_SUFFIXES))
        self.defers = "deferred" in words
        self.counts = not words.isdisjoint({"changes", "last_insert_rowid"})
        if self.access.on:
            self._tables = governing(tables)

    def _forget_texts(self) -> None:
        self.plans.clear()
        for texts in self._quick_of.values():
            texts.clear()

    def reset_counters(self) -> None:
        """Let last_insert_rowid() and changes() start from nought."""
        self.connection.set_last_insert_rowid(0)
        self.own("DELETE FROM sqlite_raftsql_position WHERE 0")

    def command(self, sql: str, parameters: Parameters) -> Done:
        """Run the one statement of a command, counters reset."""
        plan = self.plans.get(sql)
        if plan is None or plan.counts or self.counts:
            self.reset_counters()
        elif plan.inserts:
            self.connection.set_last_insert_rowid(0)
        self.rows_bytes = 0
        plan, rows = self._execute(sql, parameters)
        changes = self.connection.changes() if plan.changes_rows else NO_COUNT
        last = self.connection.last_insert_rowid() if plan.inserts else 0
        return Done(changes, last, plan.columns, rows)

    def run(self, sql: str, parameters: Parameters) -> tuple[Plan, Done]:
        """Run one statement of several; the counters go on from where they stood."""
        plan, rows = self._execute(sql, parameters)
        changes = self.connection.changes() if plan.changes_rows else NO_COUNT
        return plan, Done(changes, self.connection.last_insert_rowid(), plan.columns, rows)

    def _execute(self, sql: str, parameters: Parameters) -> tuple[Plan, list[list[Value]] | None]:
        plan = self.plans.get(sql)
        self.watch(on=True)
        self.rowids.reached = False
        if plan is not None:
            self.guard.moves_savepoints = False
            if self.rights is not None:
                self._check(plan.uses)
            if plan.leaps:
                self.meter.hurry()
            if plan.plain and not plan.is_known:
                self.promote(sql, parameters, plan)
            elif plan.is_quick:
                self.quick[sql] = plan  # Another user's command has found out.
            self.gathering = self.gathering or plan.writes_virtual
            rows = self._rows(self.cursor.execute(sql, parameters), plan)
            self.check_rowids()
            return plan, rows
        self.guard.forget()
        self._text, self._plan = sql, None
        try:
            cursor = self._inspector.execute(sql, parameters, can_cache=False)
        finally:
            # Also where it could not be compiled: what runs next may be compiled already.
            self.guard.compiling = False
        plan = self._plan
        assert plan is not None, "a statement ran that was not inspected"
        rows = self._rows(cursor, plan)
        if plan.changes_schema:
            self.stale = True
            self.read_schema()
        elif not (self.guard.moves_savepoints or plan.explains):
            self._remember(sql, plan)
        self.check_rowids()
        return plan, rows

    def admit(self, access: Access) -> None:
        """Judge by this from here on; what was found of texts before is forgotten."""
        self.access = access
        self.guard.uses = set() if access.on else None
        self.read_schema()
        self.become(self._user)

    def become(self, user: int) -> None:
        """Run what follows for the user with this number, who may do what is granted to them.

        Texts that may be run without care are kept for each user, so that no command is slower
        for there being rights.
        """
        self._user = user
        self.rights = self.access.rights(user)
        self.quick = self._quick_of.setdefault(user, {})

    def _check(self, uses: frozenset[Use]) -> None:
        """Refuse a statement, before its first step, that its user may not run."""
        if self.rights is None:
            return
        problem = self.rights.problem(uses, self._tables)
        if problem is not None:
            raise Undo(Failed(Refusal.ACCESS, 0, problem), ran=False)

    def flush(self) -> None:
        """Have virtual tables write what they gathered, which opening a savepoint makes them do.

        Full-text tables gather words until their transaction ends, and nodes end transactions at
        different commands. Flushed after each, they lie alike on every node, and what looks at
        how they lie (their shadow tables, last_insert_rowid() after a flush) sees the same.
        """
        if self.gathering:
            self.gathering = False
            self.own("SAVEPOINT raftsql_flush")
            self.own("RELEASE raftsql_flush")

    def watch(self, *, on: bool) -> None:
        """Have SQLite tell each row number that is written, or stop it."""
        if on != self.watching:
            self.watching = on
            self.connection.set_update_hook(self.rowids if on else None)

    def check_rowids(self) -> None:
        """Undo a statement that wrote too high a row number."""
        if self.rowids.reached:
            raise Undo(TOO_HIGH, ran=True)

    def _remember(self, sql: str, plan: Plan) -> None:
        if len(self.plans) >= PLANS_MAX:
            self._forget_texts()
        self.plans[sql] = plan

    def promote(self, sql: str, parameters: Parameters, plan: Plan) -> None:
        """Look closer at a text that was met again, and whether it needs so much care."""
        plan.is_known = True
        if plan.inserts and "CONFLICT" not in sql.upper() and plan.target is not None:
            plan.sets_rowid = self.own(HAS_ROW_NUMBERS_SQL, [plan.target]) == [(1,)]
        program = self.own("EXPLAIN " + sql, parameters, can_cache=False)
        unseen = needs_watching(program, tells_rowid=plan.sets_rowid)
        plan.is_quick = not (unseen or plan.leaps or self.counts or self.careful)
        if plan.is_quick:
            self.quick[sql] = plan

    @property
    def careful(self) -> bool:
        """Whether a command may succeed and yet leave a foreign key open."""
        return self.defers or self.deferring

    def defer(self, *, deferring: bool) -> None:
        """Follow the client's setting."""
        self.deferring = deferring
        self._forget_texts()

    def refresh(self) -> None:
        """After a commit that changed the schema: read it anew, as a restarted node does.

        SQLite walks the tables it holds in memory in an order that depends on their history, and
        keeps statistics until it reads the schema: ANALYZE and query plans would follow. It must
        not happen inside a transaction, where full-text tables keep what they gathered so far.
        """
        if self.stale:
            self.stale = False
            self.own("PRAGMA writable_schema = RESET")
            # Setting it expires all prepared statements, which point into the schema that is gone.
            self.connection.authorizer = self.guard.writing
            self.read_schema()

    def _inspect(self, cursor: apsw.Cursor, text: str, _: object) -> bool:
        """Called by apsw when the text is compiled, before its first step."""
        if self._plan is not None:
            return True  # What follows the statement is blank: it was looked at already.
        blank = _BLANK.match(self._text, len(text))
        if blank is not None and blank.end() < len(self._text):
            raise Undo(ONE_STATEMENT, ran=False)
        word = leading_word(text)
        self._plan = EMPTY if _is_blank(text) else self._planned(cursor, word)
        if self.guard.uses is not None:
            self._plan.uses = frozenset(self.guard.uses)
            self._check(self._plan.uses)
        self.gathering = self.gathering or self._plan.writes_virtual
        if self._plan.leaps:
            self.meter.hurry()
        self.guard.compiling = False
        return True

    def _planned(self, cursor: apsw.Cursor, word: str) -> Plan:
        columns = [Column(c[0], c[1]) for c in cursor.description_full]
        changes_rows = word in _ROWS_CHANGERS and not cursor.is_readonly
        return Plan(
            columns=columns or None,
            changes_rows=changes_rows,
            inserts=changes_rows and word not in ("UPDATE", "DELETE"),
            reads=cursor.is_readonly or bool(cursor.is_explain),
            counts=self.guard.counts,
            changes_schema=self.guard.changes_schema,
            explains=bool(cursor.is_explain),
            leaps=word == "DELETE" and _WHERE.search(self._text) is None,
            writes_virtual=self.guard.writes_virtual,
            target=self.guard.target,
        )

    def _rows(self, cursor: apsw.Cursor, plan: Plan) -> list[list[Value]] | None:
        if plan.columns is None:
            return None
        rows: list[list[Value]] = []
        size = self.rows_bytes
        for row in cursor:
            size += 8 * len(row)
            for value in row:
                if isinstance(value, str | bytes):
                    size += len(value)
            if size > ROWS_BYTES_MAX:
                cursor.execute("")  # Lets the statement go, which would be in the way of others.
                raise Undo(TOO_MANY_READ if plan.reads else TOO_MANY_ROWS, ran=not plan.reads)
            rows.append(list(row))
        self.rows_bytes = size
        return rows

    def script(self, statements: list[Statement]) -> Done:
        """Run several statements; `changes` is the sum of those that count."""
        self.reset_counters()
        changes, last = NO_COUNT, 0
        for statement in statements:
            self.rows_bytes = 0
            plan, done = self.run(statement.sql, statement.parameters)
            if plan.changes_rows:
                changes = max(changes, 0) + done.changes
            if plan.inserts:
                last = done.last_insert_rowid
        return Done(changes, last)

    def step(self, sql: str, parameters: Parameters) -> tuple[Plan, Done]:
        """Run one statement of an interactive transaction."""
        self.rows_bytes, self.counted = 0, -1
        return self.run(sql, parameters)

    def changed_since(self, total: int) -> int:
        """What a statement changed, as replicas compare it: with triggers, if SQLite can tell."""
        connection = self.connection
        if self.virtual:
            return connection.changes() if self.counted < 0 else self.counted
        return connection.total_changes() - total

    def vacuum(self, sql: str, parameters: Parameters) -> None:
        """Run a VACUUM, which needs to be outside any transaction."""
        self._check(frozenset({(SHAPES, "")}))
        self._text, self._plan = sql, None
        self.guard.forget()
        self._inspector.execute(sql, parameters, can_cache=False)

    def failure(self, error: Exception, sql: str) -> Failed:
        """The answer to an error of a command; raises MachineStopped when it is not one."""
        if self.meter.impatient:
            raise TakesLonger from error
        if isinstance(error, Undo):
            return error.answer
        if self.meter.exhausted:
            return OUT_OF_FUEL
        if self.rowids.reached:
            return TOO_HIGH
        refusal, self.guard.refusal = self.guard.refusal, None
        sound = not self.pinned.vfs.write_failed
        return answer_to(error, sql, refusal=refusal, disk_is_sound=sound)

    def must_undo(self, error: Exception) -> bool:
        """Whether an error leaves rows behind that may not stay."""
        return self.rowids.reached or (isinstance(error, Undo) and error.ran)

    def may_leave_rows(self, error: Exception, sql: str) -> bool:
        """Whether SQLite may have kept rows of a statement that failed.

        It undoes what a constraint ends, but inside a transaction it keeps no way back from what
        it does not foresee: a value too big, JSON that is malformed or a sum that overflows in the
        middle of a query, a type that a STRICT table refuses, triggers nested too deep.
        """
        if not isinstance(error, apsw.Error) or isinstance(error, BINDING_ERRORS):
            return False
        foreseen = isinstance(error, apsw.ConstraintError)
        if foreseen and getattr(error, "extendedresult", 0) != apsw.SQLITE_CONSTRAINT_DATATYPE:
            return False
        plan = self.plans.get(sql) or (self._plan if self._text == sql else None)
        return plan is not None and not plan.reads

    def unresolved(self) -> Failed | None:
        """The error COMMIT would give for deferred foreign keys, if it came now."""
        pending, _ = self.connection.status(apsw.SQLITE_DBSTATUS_DEFERRED_FKS)
        return FOREIGN_KEY_FAILED if pending else None


COMMAND_ERRORS: Final = (*SQL_ERRORS, Undo)
