"""Loads a file's rows into a table.

Rows travel in chunks, each of which is loaded as a whole or not at all; between chunks others get
their turn. An atomic load is one transaction instead: all of the file or nothing, and nobody else
writes meanwhile. Whatever stops a load, it says on which line, and what became of the rest.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from raftsql_shell.errors import CommandError, counted
from raftsql_shell.keywords import KEYWORDS
from raftsql_shell.literals import name
from raftsql_shell.sources import BadInput, Numbered, Source, kind_of, open_source, type_of

if TYPE_CHECKING:
    from raftsql_driver import Connection

CHUNK_ROWS: Final = 5_000
CHUNK_LETTERS: Final = 700_000
"""With what packing adds, one command of the log."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to load."""

    kind: str = ""
    """csv, tsv or jsonl; empty: told by the file's name."""
    atomic: bool = False
    ragged: str = "stop"
    """What to do with rows that are longer or shorter than the columns: stop, fill or skip."""
    empty_is_null: bool = True
    """Whether an empty field of csv is NULL or an empty text."""
    separator: str = ","
    """What stands between the fields of csv."""
    header: str = "auto"
    """Whether the first line names columns; auto: it does if they are columns of the table."""


@dataclass(slots=True)
class Outcome:
    """What a load came to."""

    rows: int = 0
    skipped: int = 0
    filled: int = 0
    created: bool = False
    seconds: float = 0.0


Progress = Callable[[int, float], None]
"""Is told how many rows are loaded, and what part of the file is read."""


def load(
    connection: Connection, path: Path, table: str, options: Options, progress: Progress
) -> Outcome:
    """Load a file into a table, which is made when it is not there."""
    started = time.monotonic()
    try:
        file = path.open("rb")
        size_bytes = max(1, path.stat().st_size)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    with file:
        kind = options.kind or kind_of(path)
        try:
            source = open_source(
                file, kind, empty_is_null=options.empty_is_null, separator=options.separator
            )
        except BadInput as bad:
            reason = f"{path.name}, line {bad.line}: {bad}; nothing was loaded"
            raise CommandError(reason) from None
        loading = _Loading(connection, table, options, source, path.name)
        for _ in loading.run():
            progress(loading.outcome.rows, min(1.0, file.tell() / size_bytes))
    loading.outcome.seconds = time.monotonic() - started
    return loading.outcome


class _Loading:
    """One load, and how far it is."""

    def __init__(
        self, connection: Connection, table: str, options: Options, source: Source, file: str
    ) -> None:
        self.outcome = Outcome()
        self._connection = connection
        self._table = table
        self._options = options
        self._source = source
        self._file = file

    def run(self) -> Iterator[None]:
        """Load chunk after chunk; in a transaction when all must happen or nothing."""
        if not self._options.atomic:
            yield from self._chunks()
            return
        if self._connection.in_transaction:
            raise CommandError("a transaction is open already, and the load will be part of it")
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield from self._chunks()
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.rollback()
            raise

    def _chunks(self) -> Iterator[None]:
        try:
            rows, columns = self._prepared()
        except BadInput as bad:
            raise self._stopped(bad.line, str(bad)) from None
        into = ",".join(name(each, KEYWORDS) for each in columns)
        marks = ",".join("?" * len(columns))
        sql = f"INSERT INTO {name(self._table, KEYWORDS)}({into}) VALUES({marks})"
        for first, last, chunk in self._cut(self._even(rows, len(columns))):
            self._send(sql, first, last, chunk)
            yield

    # What goes where.

    def _prepared(self) -> tuple[Numbered, list[str]]:
        """The rows without a header, and the columns that they are for."""
        there = self._columns()
        sample = list(itertools.islice(self._source.rows, 1000)) if not there else []
        rows: Numbered = itertools.chain(sample, self._source.rows)
        named = self._source.columns
        if named is None:
            named, rows = self._header(rows, there)
        if not there:
            if named is None:
                raise CommandError(
                    f"there is no table {self._table}, and the file names no columns to make one of"
                )
            self._create(named, [row for _, row in sample[self._source.columns is None :]])
            return rows, named
        for each in named or ():
            if each.casefold() not in {column.casefold() for column in there}:
                raise CommandError(
                    f"{self._file}: the table {self._table} has no column {each}; "
                    f"it has {', '.join(there)}"
                )
        return rows, named or there

    def _columns(self) -> list[str]:
        found = self._connection.execute(
            "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid", (self._table,)
        )
        return [row[0] for row in found.fetchall()]

    def _header(self, rows: Numbered, there: list[str]) -> tuple[list[str] | None, Numbered]:
        first = next(rows, None)
        if first is None:
            return None, rows
        names = [str(each).strip() if each else "" for each in first[1]]
        folded = {column.casefold() for column in there}
        if self._options.header == "auto":
            is_header = not there or all(each.casefold() in folded for each in names)
        else:
            is_header = self._options.header == "yes"
        if is_header:
            return names, rows
        return None, itertools.chain([first], rows)

    def _create(self, names: list[str], sample: list[list[Any]]) -> None:
        for sign in ";|\t":
            if len(names) == 1 and sign in names[0]:
                option = "--tsv" if sign == "\t" else f"--separator '{sign}'"
                raise CommandError(
                    f"{self._file}: its first line is one field with {sign!r} in it; if that "
                    f"stands between fields, say {option}; if not, make the table first"
                )
        if "" in names or len({each.casefold() for each in names}) < len(names):
            raise CommandError(
                f"{self._file}: the first line has an empty name or one twice; make the table "
                "first, or correct it"
            )
        columns = ", ".join(
            f"{name(each, KEYWORDS)} {type_of([row[k] for row in sample if k < len(row)])}"
            for k, each in enumerate(names)
        )
        self._connection.execute(f"CREATE TABLE {name(self._table, KEYWORDS)}({columns})")
        self.outcome.created = True

    # The rows.

    def _even(self, rows: Numbered, count: int) -> Numbered:
        """Rows of one length; the user said what to do with others."""
        for line, row in rows:
            if len(row) == count:
                yield line, row
            elif self._options.ragged == "fill":
                self.outcome.filled += 1
                yield line, (row + [None] * (count - len(row)))[:count]
            elif self._options.ragged == "skip":
                self.outcome.skipped += 1
            else:
                fields = counted(len(row), "field")
                raise BadInput(line, f"{fields} where {count} are wanted (see --ragged)")

    def _cut(self, rows: Numbered) -> Iterator[tuple[int, int, list[list[Any]]]]:
        """Chunks, with the lines on which their first and last rows begin."""
        chunk: list[list[Any]] = []
        first = last = letters = 0
        bad: BadInput | None = None
        try:
            for last, row in rows:
                first = first or last
                chunk.append(row)
                letters += 8 * len(row) + sum([len(e) for e in row if type(e) is str])
                if len(chunk) >= CHUNK_ROWS or letters >= CHUNK_LETTERS:
                    yield first, last, chunk
                    chunk, first, letters = [], 0, 0
        except BadInput as error:
            bad = error
        if chunk and not (bad and self._options.atomic):
            yield first, last, chunk
        if bad is not None:
            raise self._stopped(bad.line, str(bad)) from None

    def _send(self, sql: str, first: int, last: int, chunk: list[list[Any]]) -> None:
        from raftsql_driver import errors

        try:
            self._connection.executemany(sql, chunk)
        except errors.OutcomeUnknown as error:
            raise CommandError(
                f"{self._file}: {counted(self.outcome.rows, 'row')} loaded before; what became of "
                f"lines {first} to {last} is not known: {error}"
            ) from error
        except errors.Error as error:
            where = f"in the lines up to {last}: " if last > first else ""
            raise self._stopped(first, f"{where}{error}") from error
        self.outcome.rows += len(chunk)

    def _stopped(self, line: int, reason: str) -> CommandError:
        """The error that ends the load, with what became of the rows before."""
        rows = f"{counted(self.outcome.rows, 'row')} before it"
        if self._options.atomic:
            kept = "nothing was loaded"
        elif self._connection.in_transaction:
            kept = f"{rows} are in the open transaction, nothing after"
        else:
            kept = f"{rows} loaded, nothing after"
        return CommandError(f"{self._file}, line {line}: {reason}; {kept}")
