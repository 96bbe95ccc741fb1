"""A cursor's memory: one result, a page of it at a time. Shared by both colours; does no I/O.

A small result is one page. Of a large one two pages are held at most: the one being read, and the
next, which is asked for as soon as it is clear that the reader goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from operator import length_hint
from typing import TYPE_CHECKING, Any, Final

import msgspec

from raftsql_driver.errors import ProgrammingError, name_of
from raftsql_driver.flows import Answered, Flow
from raftsql_driver.rows import (
    Description,
    RowFactory,
    Values,
    convert,
    converters,
    describe,
    tuple_row,
)
from raftsql_driver.statements import Text
from raftsql_driver.unread import Forsake, Unread
from raftsql_proto.frames import Column

if TYPE_CHECKING:
    from raftsql_driver.convert import Converter

_decode_rows: Final = msgspec.msgpack.Decoder(list[tuple[Any, ...]]).decode
_EMPTY: Final[Iterator[Any]] = iter(())


class BaseCursor:
    """What both colours of cursor know and show."""

    def __init__(self, row_factory: RowFactory | None, detect_types: int, forsake: Forsake) -> None:
        self.arraysize: int = 1
        """How many rows `fetchmany` gives without being told."""
        self.row_factory = row_factory
        """Makes each row what the program wants; None for tuples."""
        self._detect_types = detect_types
        self._forsake = forsake
        self._closed = False
        self._lastrowid: int | None = None
        self._forget()

    def _forget(self) -> None:
        """As before the first execute."""
        self._rowcount = -1
        self._columns: list[Column] | None = None
        self._first: Values | None = None
        self._description: Description | None = None
        self._converters: list[Converter | None] | None = None
        self._page: Iterator[Any] = _EMPTY
        self._seen = 0
        """Rows up to the end of the page being read."""
        self._pages = 0
        self._unread: Unread | None = None
        """The rows after this page; None: there are none."""

    def __repr__(self) -> str:
        state = "without rows" if self._columns is None else f"at row {self.rownumber}"
        return f"<{name_of(self)} {'closed' if self._closed else state}>"

    @property
    def description(self) -> Description | None:
        """Name and type of each column; None where the statement gave no rows."""
        if self._description is None and self._columns is not None:
            self._description = describe(self._columns, self._first, self._detect_types)
        return self._description

    @property
    def rowcount(self) -> int:
        """How many rows the last statement inserted, updated or deleted; -1 for others."""
        return self._rowcount

    @property
    def lastrowid(self) -> int | None:
        """The rowid of the last row inserted by this cursor."""
        return self._lastrowid

    @property
    def rownumber(self) -> int | None:
        """The number of the next row, counted from 0; None without rows."""
        if self._columns is None:
            return None
        return self._seen - length_hint(self._page)

    @property
    def _rest(self) -> int:
        """What names the rows after this page at the node; 0: there are none."""
        return self._unread.number if self._unread is not None else 0

    def setinputsizes(self, sizes: object, /) -> None:
        """Nothing: SQLite needs no such hints."""

    def setoutputsize(self, size: int, column: int | None = None, /) -> None:
        """Nothing: SQLite needs no such hints."""

    def _usable(self) -> None:
        if self._closed:
            raise ProgrammingError("Cannot operate on a closed cursor; ask the connection for one.")

    def _readable(self) -> None:
        self._usable()
        if self._columns is None:
            raise ProgrammingError(
                "there are no rows to fetch: nothing was executed, or the statement gives none"
            )

    def _take(self, text: Text, answered: Answered) -> None:
        """Remember what a statement came to."""
        if answered.page is not None:
            self._columns = answered.page.columns or []
            self._converters = converters(self._columns, self._detect_types)
            if answered.page.cursor:
                where = answered.node, answered.serial
                self._unread = Unread(answered.page.cursor, *where, self._forsake)
            self._load(_decode_rows(answered.page.rows))
            return
        done = answered.done
        assert done is not None, "an answer is rows, or what a statement did"
        if text.counts:
            self._rowcount = done.changes
        if text.inserts and done.changes > 0:
            self._lastrowid = done.last_insert_rowid
        if done.columns is not None:
            self._columns = done.columns
            self._converters = converters(done.columns, self._detect_types)
            self._load([tuple(row) for row in done.rows or ()])

    def _show(self, columns: list[Column], rows: list[Values]) -> None:
        """Rows that the driver itself has to give."""
        self._columns = columns
        self._load(rows)

    def _load(self, rows: list[Values]) -> None:
        self._pages += 1
        self._seen += len(rows)
        if self._first is None and rows:
            self._first = rows[0]
        if self._converters is not None:
            rows = convert(rows, self._converters)
        factory = self.row_factory
        if factory is not None and factory is not tuple_row:
            self._page = iter([factory(self, values) for values in rows])
        else:
            self._page = iter(rows)

    def _next_page(self, timeout: float, now: float) -> Flow[None]:
        """Fetch the page after this one, and ask for one more where it is clearly wanted."""
        unread = self._unread
        assert unread is not None, "there are more rows"
        page = yield from unread.next_page(timeout, now)
        self._load(_decode_rows(page.rows))
        if not unread.number:
            self._unread = None
        elif self._pages >= 2:
            yield from unread.ask_ahead(timeout, now)

    def _let_go(self) -> Flow[None]:
        """Tell the node that the rest of the rows is not wanted. What is known of them stays."""
        unread, self._unread, self._page = self._unread, None, _EMPTY
        if unread is not None:
            yield from unread.let_go()

    def _taken(self, number: int) -> list[Any]:
        if number < 0:
            raise ProgrammingError(f"fetchmany({number}): expected a number of rows, 0 or more")
        return list(islice(self._page, number))
