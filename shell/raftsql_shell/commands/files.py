"""Files: statements to run, data to load, copies to keep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from raftsql_shell.commands import command
from raftsql_shell.errors import CommandError

if TYPE_CHECKING:
    from raftsql_shell.shell import Shell

DEPTH_MAX = 20
"""So many files may read one another: beyond it one of them reads itself."""


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
