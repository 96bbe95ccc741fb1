"""What completion knows of the database: tables, their columns, functions.

It is read over a connection of its own, so that typing never waits for a statement or a
transaction, and read again after a statement that may have changed it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from raftsql_shell.session import Session

READ_SECONDS: Final = 2.0
COLUMNS: Final = (
    "SELECT t.name, t.type, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c "
    "WHERE t.type IN ('table', 'view') AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
    "ORDER BY t.name, c.cid"
)
FUNCTIONS: Final = "SELECT DISTINCT name FROM pragma_function_list WHERE name GLOB '[a-z]*'"


@dataclass(slots=True)
class Catalogue:
    """Names, by what they are."""

    tables: dict[str, list[str]] = field(default_factory=dict)
    """The columns of each table and view."""
    views: set[str] = field(default_factory=set)
    functions: list[str] = field(default_factory=list)

    def columns(self, table: str) -> list[str]:
        """A table's columns; the case of its name does not matter."""
        folded = table.casefold()
        for name, columns in self.tables.items():
            if name.casefold() == folded:
                return columns
        return []


class Reader:
    """Reads the catalogue when it is asked for and may have changed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = Lock()
        self._stale = True
        self.catalogue = Catalogue()

    def changed(self) -> None:
        """The next to ask reads again."""
        self._stale = True

    def current(self) -> Catalogue:
        """The catalogue; what was known before, when no node answers soon."""
        with self._lock:
            if self._stale:
                self._stale = False
                try:
                    self._read()
                except Exception:  # Typing goes on without it, whatever went wrong.
                    self._stale = True
        return self.catalogue

    def _read(self) -> None:
        connection = self._session.another(READ_SECONDS)
        try:
            tables: dict[str, list[str]] = {}
            views = set()
            for table, kind, column in connection.execute(COLUMNS).fetchall():
                tables.setdefault(table, []).append(column)
                if kind == "view":
                    views.add(table)
            functions = [name for (name,) in connection.execute(FUNCTIONS).fetchall()]
        finally:
            with suppress(Exception):
                connection.close()
        self.catalogue = Catalogue(tables, views, sorted(functions))
