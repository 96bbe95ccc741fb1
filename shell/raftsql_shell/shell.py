"""What all ways of using the shell share: it runs statements and commands, and shows what came.

The prompt, `-c`, `-f`, standard input and `.read` differ only in where their lines come from.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TextIO

from raftsql_shell import commands
from raftsql_shell.errors import CommandError, counted, described, folded
from raftsql_shell.formats import format_of
from raftsql_shell.look import Batches, Look, Row
from raftsql_shell.output import Output
from raftsql_shell.statements import BadText, Command, Splitter, Statement

if TYPE_CHECKING:
    from raftsql_driver import Cursor
    from raftsql_shell.session import Session

BATCH_ROWS: Final = 1_000
"""Rows that are fetched and written together."""

PLAN_COLUMNS: Final = ["id", "parent", "notused", "detail"]
"""Of EXPLAIN QUERY PLAN, which is a tree."""

OK, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3
"""Exit codes."""


class Shell:
    """A session, where its results go and how they look; what commands act on."""

    def __init__(
        self,
        session: Session,
        look: Look,
        *,
        interactive: bool = False,
        output: Output | None = None,
        notes: TextIO | None = None,
    ) -> None:
        self.session = session
        self.look = look
        self.output = output or Output()
        self.interactive = interactive
        self.notes = notes or (sys.stdout if interactive else sys.stderr)
        """Where what is no data is written."""
        self.errors = sys.stderr if notes is None else notes
        self.bail = not interactive
        self.echo = False
        self.timer = interactive
        self.done = False
        """Somebody asked to leave."""
        self.exit_code = OK
        self.last_statement = ""
        self.last_seconds = 0.0
        self.name = ""
        """Of the file that is being read."""
        self.depth = 0
        """How many files are being read, one from within the other."""

    # What is run.

    def feed(self, lines: Iterable[str], name: str) -> bool:
        """Run all that a file or an argument holds; False when it was given up."""
        outer, self.name = self.name, name
        splitter = Splitter()
        try:
            for line in lines:
                for item in splitter.feed(line):
                    if not self.run(item) and self.bail:
                        return False
                    if self.done:
                        return True
            last = splitter.finish()
        except BadText as error:
            self.fail(f"{name}: error: {error}" if name else f"error: {error}")
            return False
        except UnicodeDecodeError as error:
            self.fail(f"{name}: error: this is no text in UTF-8: {error.reason}")
            return False
        finally:
            self.name = outer
        return last is None or self.run(last) or not self.bail

    def run(self, item: Statement | Command) -> bool:
        """Run one statement or command, and say what went wrong; whether all is well."""
        if self.echo:
            self.output.write([item.text + "\n"])
        from raftsql_driver import errors

        sql = item.text if isinstance(item, Statement) else ""
        try:
            with self.output.one_result():
                if isinstance(item, Statement):
                    self.statement(item.text, upright=item.upright)
                else:
                    commands.run(self, item.text)
            return True
        except CommandError as error:
            place = f"{self.name}:{item.line}: " if self.name else ""
            self.fail(f"{place}error: {error}")
        except errors.Error as error:
            self.fail(
                described(
                    str(error) or type(error).__name__,
                    sql or self.last_statement,
                    error.position,
                    line=item.line,
                    name=self.name,
                ),
                UNREACHABLE if isinstance(error, errors.Unavailable) else FAILED,
            )
        return False

    def statement(self, sql: str, *, upright: bool = False) -> None:
        """Run SQL and show its rows, or what it changed."""
        self.last_statement = sql
        self.last_seconds = 0.0
        with self._timed():
            cursor = self.session.execute(sql)
        changed = cursor.rowcount
        try:
            rows = self._show(cursor, upright=upright) if cursor.description else None
        finally:
            cursor.close()
        self._footer(changed, rows)

    def _show(self, cursor: Cursor, *, upright: bool) -> int:
        count = 0

        def fetched() -> Iterator[list[Row]]:
            nonlocal count
            while batch := self._fetched(cursor):
                count += len(batch)
                yield batch

        names = [column[0] for column in cursor.description or ()]
        if self.interactive and names == PLAN_COLUMNS and not upright:
            from raftsql_shell.plan import tree

            self.text(tree([row for batch in fetched() for row in batch]))
        else:
            self.show(names, fetched(), mode="vertical" if upright else None)
        return count

    def _fetched(self, cursor: Cursor) -> list[Row]:
        with self._timed():
            return cursor.fetchmany(BATCH_ROWS)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """What the statement takes; that somebody reads its rows in a pager is not its fault."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.last_seconds += time.perf_counter() - started

    def _footer(self, changed: int, rows: int | None) -> None:
        if self.interactive:
            if rows is not None:
                text = counted(rows, "row")
            elif changed >= 0:
                text = f"{counted(changed, 'row')} changed"
            else:
                text = "done"
            self.note(f"{text} ({self.last_seconds:.3f} s)" if self.timer else text)
        elif self.timer:
            self.note(f"time: {self.last_seconds:.3f} s")

    # What is said.

    def show(self, columns: Sequence[str], rows: Batches, *, mode: str | None = None) -> None:
        """Write a result in the mode that is set."""
        self.output.write(format_of(mode or self.look.mode)(columns, rows, self.look))

    def table(self, columns: Sequence[str], rows: Sequence[Row], *, blank: bool = False) -> None:
        """Write a small result of a command's own; what is NULL in it may be left blank."""
        look = replace(self.look, null="") if blank and self.look.null is None else self.look
        written = format_of(look.mode)(columns, iter([list(rows)] if rows else []), look)
        self.output.write(written)

    def text(self, text: str) -> None:
        """Write a text that is data."""
        self.output.write([text if text.endswith("\n") or not text else text + "\n"])

    def note(self, text: str) -> None:
        """Say something that is no data."""
        print(text, file=self.notes, flush=True)

    def fail(self, text: str, exit_code: int = FAILED) -> None:
        """Say what went wrong, and remember it for the end."""
        self.output.flush()
        if self.interactive and self.look.screen:
            text = folded(text, self.look.screen)
        print(text, file=self.errors, flush=True)
        self.exit_code = max(self.exit_code, exit_code)
