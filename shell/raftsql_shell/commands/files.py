"""Files: statements to run, data to load, copies to keep."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from raftsql_shell.commands import command
from raftsql_shell.errors import CommandError, counted

if TYPE_CHECKING:
    from raftsql_shell.import_ import Options
    from raftsql_shell.shell import Shell

DEPTH_MAX = 20
"""So many files may read one another: beyond it one of them reads itself."""

REDRAW_S = 0.1
BAR_CELLS = 30


@command(".read FILE")
def read(shell: Shell, arguments: list[str]) -> None:
    """Run the statements and commands in a file."""
    path = Path(arguments[0]).expanduser()
    if shell.depth >= DEPTH_MAX:
        raise CommandError(f"{path} is read from within itself")
    shell.depth += 1
    try:
        with path.open(encoding="utf-8", newline="") as file:
            if not shell.feed(file, str(path)):
                raise CommandError(f"{path} was given up")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    finally:
        shell.depth -= 1


@command(".import FILE TABLE [OPTION]...")
def import_(shell: Shell, arguments: list[str]) -> None:
    """Load a csv, tsv or jsonl file into a table.

    The table is made when it is not there.

    --csv, --tsv, --jsonl      the file's format, when its name does not tell
    --separator SIGN           what stands between the fields of csv, when it is no comma
    --atomic                   all in one transaction; else in chunks of some thousand rows
    --ragged stop|fill|skip    rows with too few or too many fields: end the load there (this is
                               what happens when nothing is said), make them fit, or leave them out
    --header yes|no            whether the first line names columns; when nothing is said it does
                               if all its fields are columns of the table, or there is no table
    --empty-text               an empty field of csv is an empty text, and not NULL
    """
    from raftsql_shell.import_ import load

    path = Path(arguments[0]).expanduser()
    bar = _Bar(shell)
    try:
        found = load(shell.session.connection, path, arguments[1], _options(arguments[2:]), bar)
    finally:
        bar.end()
    rate = f"{found.rows / found.seconds:,.0f} rows a second" if found.seconds else ""
    said = [f"{counted(found.rows, 'row')} loaded in {found.seconds:.1f} s ({rate})"]
    if found.created:
        said.append(f"table {arguments[1]} made")
    if found.filled:
        said.append(f"{counted(found.filled, 'row')} made to fit")
    if found.skipped:
        said.append(f"{counted(found.skipped, 'row')} left out")
    shell.note("; ".join(said))


def _options(arguments: list[str]) -> Options:
    from raftsql_shell.import_ import Options

    given: dict[str, object] = {}
    left = list(arguments)
    while left:
        option = left.pop(0)
        if option in ("--csv", "--tsv", "--jsonl"):
            given["kind"] = option[2:]
        elif option == "--atomic":
            given["atomic"] = True
        elif option == "--empty-text":
            given["empty_is_null"] = False
        elif option == "--ragged" and left and left[0] in ("stop", "fill", "skip"):
            given["ragged"] = left.pop(0)
        elif option == "--separator" and left and len(left[0]) == 1:
            given["separator"] = left.pop(0)
        elif option == "--header" and left and left[0] in ("yes", "no"):
            given["header"] = left.pop(0)
        else:
            raise CommandError(f"{option}: that is no option, or lacks its value; see .help import")
    return Options(**given)  # type: ignore[arg-type]


class _Bar:
    """How far a load is, drawn on the terminal of whoever waits for it."""

    def __init__(self, shell: Shell) -> None:
        self._drawn = 0.0
        self._write: Callable[[str], object] | None = None
        if sys.stderr.isatty() and (shell.interactive or sys.stdin.isatty()):
            self._write = sys.stderr.write

    def __call__(self, rows: int, part: float) -> None:
        now = time.monotonic()
        if self._write is None or now - self._drawn < REDRAW_S:
            return
        self._drawn = now
        full = round(part * BAR_CELLS)
        self._write(
            f"\r[{'#' * full}{'.' * (BAR_CELLS - full)}] {part:4.0%}"
            + (f"  {rows:,} rows " if rows else " ")
        )
        sys.stderr.flush()

    def end(self) -> None:
        """Wipe it away."""
        if self._write is not None and self._drawn:
            self._write("\r\x1b[K")
            sys.stderr.flush()


@command(".dump [TABLE]...")
def dump(shell: Shell, arguments: list[str]) -> None:
    """Write SQL that makes the database again, or these tables.

    All rows are of one moment. With `.once FILE` before it, into a file.
    """
    from raftsql_shell.dump import dump

    shell.output.write(dump(shell.session.connection, arguments))


@command(".backup FILE [--force]")
def backup(shell: Shell, arguments: list[str]) -> None:
    """Keep a copy of the leader's database as a plain SQLite file.

    Writes go on meanwhile. A file that is there already is replaced with --force only.
    """
    from raftsql_shell import copies

    path = Path(arguments[0]).expanduser()
    if arguments[1:] not in ([], ["--force"]):
        raise CommandError("usage: .backup FILE [--force]")
    if path.exists() and len(arguments) == 1:
        raise CommandError(f"{path} is there already; --force replaces it")
    bar = _Bar(shell)
    try:
        index, size = copies.backup(shell.session.address, path, lambda part: bar(0, part))
    finally:
        bar.end()
    shell.note(f"{path}: everything up to entry {index}, {size:,} bytes")


@command(".restore FILE [--yes]")
def restore(shell: Shell, arguments: list[str]) -> None:
    """Put a SQLite file in the place of the whole database.

    All nodes have it afterwards, or none; what was there before is gone. A script says --yes;
    at the prompt one is asked.
    """
    from raftsql_shell import copies

    path = Path(arguments[0]).expanduser()
    if arguments[1:] not in ([], ["--yes"]):
        raise CommandError("usage: .restore FILE [--yes]")
    if shell.session.connection.in_transaction:
        raise CommandError("a transaction is open; COMMIT or ROLLBACK it first")
    if len(arguments) == 1 and not _agreed(shell, f"replace the whole database by {path}?"):
        raise CommandError("nothing was done; .restore FILE --yes does it")
    bar = _Bar(shell)
    try:
        index = copies.restore(shell.session.address, path, lambda part: bar(0, part))
    finally:
        bar.end()
    shell.note(f"the database is {path} as of entry {index}")


def _agreed(shell: Shell, question: str) -> bool:
    if not shell.interactive:
        return False
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


@command(".edit [SQL]", raw=True)
def edit(shell: Shell, arguments: list[str]) -> None:
    """Write a statement in an editor, and run it.

    The editor is $VISUAL, $EDITOR or vi, and begins with SQL, or the last statement.
    """
    if not sys.stdin.isatty():
        raise CommandError("there is no terminal to edit in")
    text = _edited(arguments[0] if arguments else shell.last_statement)
    if text.strip():
        shell.text(text)
        shell.feed([text], "")


def _edited(text: str) -> str:
    import os
    import subprocess
    import tempfile

    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.NamedTemporaryFile("w", suffix=".sql", delete=False, encoding="utf-8") as file:
        file.write(text + "\n" if text else "")
    try:
        if subprocess.run(f'{editor} "{file.name}"', shell=True, check=False).returncode:
            raise CommandError(f"{editor} failed; nothing was run")
        return Path(file.name).read_text(encoding="utf-8")
    finally:
        Path(file.name).unlink()
