"""Doing something again and again, until Ctrl-C."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from raftsql_shell.errors import CommandError

if TYPE_CHECKING:
    from raftsql_shell.shell import Shell

PAUSE_MIN_S: Final = 0.1
_CLEAR: Final = "\x1b[H\x1b[2J"


def seconds_of(text: str) -> float:
    """A pause, given in seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not PAUSE_MIN_S <= seconds < 86_400:
        raise CommandError(f"{text!r}: expected seconds, from {PAUSE_MIN_S} up")
    return seconds


def repeat(shell: Shell, pause_s: float, draw: Callable[[], None]) -> None:
    """Draw on a clear screen, wait, and draw again."""
    clears = sys.stdout.isatty() and not shell.output.redirected
    try:
        while True:
            if clears:
                shell.output.write([_CLEAR])
            draw()
            if clears:
                shell.note(f"every {pause_s:g} s; Ctrl-C to stop")
            time.sleep(pause_s)
    except KeyboardInterrupt:
        if not shell.interactive:
            raise
        shell.note("")
