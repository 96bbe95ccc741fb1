"""SQLite's authorizer: the same refusals as `raftsql.sql` makes, enforced by SQLite itself.

`raftsql.sql` reads a statement before it may enter the log, and explains what it refuses. This
guard is behind it: it is asked by SQLite while a statement is compiled, sees through triggers and
views, and says no with the same error on every node. So a hole in the reading is a refused
statement, never a difference between nodes.
"""

from __future__ import annotations

from typing import Final

import apsw

from raftsql.sql import determinism
from raftsql.sql.access import READS, SHAPES, WRITES, Use, folded
from raftsql.sql.functions import PURE_MODULES, REFUSED_FUNCTIONS
from raftsql.sql.pragmas import SCHEMA_PRAGMAS, WRITE_PRAGMAS

INTERNAL_PREFIX: Final = determinism.INTERNAL_PREFIX.lower()
"""Internal tables' names begin so; SQLite itself keeps users from dropping or altering them."""

ACTIONS_MAX: Final = 20_000
"""What a statement may come to, counted in what SQLite asks about while it compiles it: a use of a
column or a function is one. Views of views double with every level, and compiling is not counted
by fuel: some 65,000 take half a minute, where SQLite gives up by itself, these 0.4 s."""

OK: Final = apsw.SQLITE_OK
DENY: Final = apsw.SQLITE_DENY

FUNCTIONS_REFUSED: Final = frozenset(
    name.lower() for name in REFUSED_FUNCTIONS | {"SQLITE_OFFSET", "CARRAY"}
)
"""They tell of the local build, file layout or history, which differ between nodes."""

MODULES: Final = frozenset(name.lower() for name in PURE_MODULES)
"""Virtual tables whose contents are a function of the rows."""

COUNTERS: Final = frozenset({"changes", "last_insert_rowid"})
"""They answer from the connection's history, so a command that asks starts from a fixed value."""

TABLES_REFUSED: Final = frozenset(
    {"dbstat", "sqlite_dbpage", "sqlite_stmt", "bytecode", "tables_used", "carray"}
)
"""Virtual tables that show pages, memory or connections."""

PRAGMAS_READ: Final = frozenset(
    name.lower() for name in SCHEMA_PRAGMAS | WRITE_PRAGMAS | {"ENCODING", "PAGE_SIZE"}
)
"""PRAGMAs whose answer is a function of rows and schema, or the same in every file of ours."""

PRAGMAS_WRITTEN: Final = frozenset(name.lower() for name in WRITE_PRAGMAS)
"""PRAGMAs that are kept in the file, and so are writes like others."""

_TEMPORARY: Final = frozenset(
    {
        apsw.SQLITE_CREATE_TEMP_INDEX,
        apsw.SQLITE_CREATE_TEMP_TABLE,
        apsw.SQLITE_CREATE_TEMP_TRIGGER,
        apsw.SQLITE_CREATE_TEMP_VIEW,
        apsw.SQLITE_DROP_TEMP_INDEX,
        apsw.SQLITE_DROP_TEMP_TABLE,
        apsw.SQLITE_DROP_TEMP_TRIGGER,
        apsw.SQLITE_DROP_TEMP_VIEW,
    }
)
_RESTRUCTURING: Final = frozenset(
    {
        apsw.SQLITE_DROP_INDEX,
        apsw.SQLITE_DROP_TABLE,
        apsw.SQLITE_DROP_TRIGGER,
        apsw.SQLITE_DROP_VIEW,
        apsw.SQLITE_DROP_VTABLE,
        apsw.SQLITE_ALTER_TABLE,
    }
)
_SCHEMA: Final = _RESTRUCTURING | {
    apsw.SQLITE_CREATE_INDEX,
    apsw.SQLITE_CREATE_TABLE,
    apsw.SQLITE_CREATE_TRIGGER,
    apsw.SQLITE_CREATE_VIEW,
    apsw.SQLITE_CREATE_VTABLE,
    apsw.SQLITE_ANALYZE,
    apsw.SQLITE_REINDEX,
}
_ROW_CHANGES: Final = frozenset({apsw.SQLITE_INSERT, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE})
_TABLE_USES: Final = _ROW_CHANGES | {apsw.SQLITE_READ}


class Guard:
    """The writer's authorizer, and what it saw of the statement compiled last."""

    __slots__ = (
        "actions",
        "changes_schema",
        "compiling",
        "counts",
        "hidden",
        "moves_savepoints",
        "refusal",
        "restructures",
        "savepoints",
        "target",
        "trusting",
        "uses",
        "vacuuming",
        "virtual",
        "writes_virtual",
    )

    def __init__(self) -> None:
        self.trusting = True
        """Set while the machine runs statements of its own."""
        self.vacuuming = False
        """Set while VACUUM runs, which copies every table into a database it attaches."""
        self.savepoints = False
        """Set in an interactive transaction, whose savepoints are its client's own affair."""
        self.hidden: frozenset[str] = frozenset()
        """Tables that only the virtual table above them may read, in small letters."""
        self.uses: set[Use] | None = None
        """What it does to which table, while that is asked for: where there are users."""
        self.virtual: frozenset[str] = frozenset()
        """The schema's virtual tables, in small letters."""
        self.forget()

    def forget(self) -> None:
        """Start watching a new statement."""
        if self.uses is not None:
            self.uses = set()
        self.compiling = True
        """Cleared when its first step is taken: what is compiled then, a virtual table asks for."""
        self.actions = 0
        """How much was asked about it so far."""
        self.refusal: str | None = None
        """Why it was refused, in words."""
        self.changes_schema = False
        """Whether it changes the schema or the planner's statistics."""
        self.restructures = False
        """Whether it is an ALTER or a DROP, whose own reading and writing of the schema is SQLite's
        doing: neither has room for a query of the user's."""
        self.counts = False
        """Whether it asks for last_insert_rowid() or changes()."""
        self.moves_savepoints = False
        """Whether it is a SAVEPOINT, a RELEASE or a ROLLBACK TO."""
        self.writes_virtual = False
        """Whether it, or a trigger, changes rows of a virtual table."""
        self.target: str | None = None
        """The first table it inserts into."""

    def writing(
        self, action: int, first: str | None, second: str | None, schema: str | None, by: str | None
    ) -> int:
        """Judge one action of a statement that comes from the log."""
        if self.trusting:
            return OK
        if self.vacuuming:
            return DENY if action == apsw.SQLITE_ATTACH and first != "" else OK
        self._note(action, first, second, by)
        reason = self._refusal(action, first, second, schema)
        if reason is None:
            return OK
        self.refusal = self.refusal or reason
        return DENY

    def _note(self, action: int, first: str | None, second: str | None, by: str | None) -> None:
        if action == apsw.SQLITE_INSERT and by is None and self.target is None:
            self.target = first
        if self.uses is not None and self.compiling:
            self.uses |= uses_of(action, first, second)
        if action in _ROW_CHANGES and (first or "").lower() in self.virtual:
            self.writes_virtual = True
        if action in _RESTRUCTURING:
            self.restructures = True
        if action in _SCHEMA or _touches_statistics(action, first):
            self.changes_schema = True
        elif action == apsw.SQLITE_FUNCTION and (second or "").lower() in COUNTERS:
            self.counts = True
        elif action == apsw.SQLITE_SAVEPOINT:
            self.moves_savepoints = True

    def _refusal(
        self, action: int, first: str | None, second: str | None, schema: str | None
    ) -> str | None:
        if action == apsw.SQLITE_SAVEPOINT and self.savepoints:
            return None
        if action == apsw.SQLITE_PRAGMA and first == "data_version" and not self.compiling:
            return None  # FTS5 looks whether its own cache is still good.
        if self.compiling:
            self.actions += 1
            if self.actions > ACTIONS_MAX:
                return (
                    f"it uses columns and functions more than {ACTIONS_MAX} times, once its views"
                    " are written out, which takes too long to compile"
                )
        if self.restructures and (action, (first or "").lower()) in _RESTRUCTURING_READS:
            return None
        if self.compiling and action in _TABLE_USES and (first or "").lower() in self.hidden:
            return f"{first} depends on where transactions ended, which differs between nodes"
        return _refusal_in_write(action, first, second, schema)


def uses_of(action: int, first: str | None, second: str | None) -> set[Use]:
    """What an action does that a user needs a right to."""
    if action == apsw.SQLITE_READ:
        return {(READS, folded(first or ""))}
    if action in _ROW_CHANGES:
        return {(WRITES, folded(first or ""))}
    if action in _SCHEMA or (action == apsw.SQLITE_PRAGMA and _writes_pragma(first, second)):
        return {(SHAPES, "")}
    return set()


def _writes_pragma(name: str | None, value: str | None) -> bool:
    return value is not None and (name or "").lower() in PRAGMAS_WRITTEN


def reading(
    action: int, first: str | None, second: str | None, schema: str | None, by: str | None
) -> int:
    """Judge one action of a client's query on a reader."""
    if action in _TABLE_USES and _is_internal(first):
        return DENY
    if action in (apsw.SQLITE_ATTACH, apsw.SQLITE_DETACH):
        return DENY
    if action == apsw.SQLITE_FUNCTION and (second or "").lower() == "load_extension":
        return DENY
    if action == apsw.SQLITE_PRAGMA and second is not None and (first or "").lower() in _RISKY:
        return DENY
    return OK


_RISKY: Final = frozenset({"query_only", "writable_schema", "trusted_schema", "journal_mode"})


def _refusal_in_write(
    action: int, first: str | None, second: str | None, schema: str | None
) -> str | None:
    if action in _TABLE_USES:
        return _refusal_of_table(action, first, second, schema)
    if action == apsw.SQLITE_FUNCTION:
        name = (second or "").lower()
        return f"{name}() differs between nodes" if name in FUNCTIONS_REFUSED else None
    if action == apsw.SQLITE_PRAGMA:
        return _refusal_of_pragma((first or "").lower(), second)
    if action in (apsw.SQLITE_TRANSACTION, apsw.SQLITE_SAVEPOINT):
        return "a command can't begin or end a transaction"
    if action in (apsw.SQLITE_ATTACH, apsw.SQLITE_DETACH):
        return "no other database can be attached"
    if action in _TEMPORARY:
        return "temporary tables, views and triggers are not replicated"
    if action == apsw.SQLITE_CREATE_VTABLE and (second or "").lower() not in MODULES:
        return f"the virtual table module {second} is not among those that are replicated"
    return None


def _refusal_of_table(
    action: int, table: str | None, column: str | None, schema: str | None
) -> str | None:
    name = (table or "").lower()
    if _is_internal(name):
        return f"{table} belongs to raftsql"
    if schema == "temp" and action != apsw.SQLITE_READ:
        return "temporary tables, views and triggers are not replicated"
    if name in TABLES_REFUSED or (
        name.startswith("pragma_") and name.removeprefix("pragma_") not in PRAGMAS_READ
    ):
        return f"{table} differs between nodes"
    if action == apsw.SQLITE_READ and column == "rootpage" and name in _CATALOGUES:
        return "rootpage is a place in the local file and differs between nodes"
    return None


_CATALOGUES: Final = frozenset(
    {"sqlite_master", "sqlite_schema", "sqlite_temp_master", "sqlite_temp_schema"}
)
_RESTRUCTURING_READS: Final = frozenset(
    {(use, table) for use in _TABLE_USES for table in _CATALOGUES}
    | {(apsw.SQLITE_READ, "pragma_quick_check"), (apsw.SQLITE_PRAGMA, "quick_check")}
)
"""What SQLite itself asks for in an ALTER or DROP; ADD COLUMN ... CHECK looks at the old rows."""


def _refusal_of_pragma(name: str, value: str | None) -> str | None:
    if name in PRAGMAS_WRITTEN or (name in PRAGMAS_READ and (value is None or name in _TAKES_NAME)):
        return None
    return f"PRAGMA {name} can't be replicated"


_TAKES_NAME: Final = PRAGMAS_READ - {"encoding", "page_size"}


def _is_internal(name: str | None) -> bool:
    return name is not None and name.lower().startswith(INTERNAL_PREFIX)


def _touches_statistics(action: int, table: str | None) -> bool:
    return action in _ROW_CHANGES and table is not None and table.lower().startswith("sqlite_stat")
