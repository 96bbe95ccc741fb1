"""Results that are longer than the screen go to a pager; those that fit never do.

The pager is started when the first page is full, and reads the rest as it comes. Leaving it early
ends the result: no more rows are fetched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain

from raftsql_shell.interrupts import interrupts_ignored


def screen_size() -> os.terminal_size:
    """The terminal's own word comes first: COLUMNS, where a parent exported it, is of another."""
    with suppress(OSError, ValueError):
        size = os.get_terminal_size(sys.stdout.fileno())
        if size.columns and size.lines:  # Some terminals don't know theirs.
            return size
    return shutil.get_terminal_size()


def program(chosen: str) -> str:
    """The pager's command line; empty where there is none."""
    line = chosen or os.environ.get("PAGER", "") or "less"
    if line == "off":
        return ""
    import shlex  # Here: scripts have no pager, and start without it.

    try:
        words = shlex.split(line)
    except ValueError:
        return ""
    return line if words and shutil.which(words[0]) else ""


def write(pieces: Iterable[str], line: str) -> None:
    """Write to the terminal, through the pager once the screen is full."""
    height = screen_size().lines - 2
    coming = iter(pieces)
    held, lines = [], 0
    for piece in coming:
        held.append(piece)
        lines += piece.count("\n")
        if lines > height:
            break
    else:
        sys.stdout.write("".join(held))
        sys.stdout.flush()
        return
    _page(chain(held, coming), line)


def _page(pieces: Iterator[str], line: str) -> None:
    environment = {"LESS": "-SRX", "LESSCHARSET": "utf-8", **os.environ}
    pager = subprocess.Popen(
        line, shell=True, stdin=subprocess.PIPE, text=True, encoding="utf-8", env=environment
    )
    assert pager.stdin is not None, "a pipe was asked for"
    try:
        with suppress(BrokenPipeError):
            for piece in pieces:
                pager.stdin.write(piece)
    finally:
        with suppress(BrokenPipeError):
            pager.stdin.close()
        with interrupts_ignored():  # Ctrl-C in a pager stops a search there, and is nothing to us.
            pager.wait()
