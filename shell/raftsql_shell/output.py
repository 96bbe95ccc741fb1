"""Where results go: standard output, a pager, a file, or another program.

A reader who has seen enough closes the pipe. That ends the result, and is no error.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from raftsql_shell import pager
from raftsql_shell.errors import CommandError


class ReaderGone(Exception):
    """Nobody reads standard output any more: there is nothing left to do."""


class Output:
    """Standard output, unless `.output` or `.once` named another place."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._standard = stream or sys.stdout
        self._target: IO[str] | None = None
        self._program: subprocess.Popen[str] | None = None
        self._once = False
        self.pager = ""
        """The program for results longer than the screen; empty: none."""

    @property
    def redirected(self) -> bool:
        """Whether results go elsewhere than to standard output."""
        return self._target is not None

    def redirect(self, place: str, *, once: bool = False) -> None:
        """Write to a file, or to a program where the place begins with `|`."""
        self.restore()
        if place.startswith("|"):
            self._program = subprocess.Popen(
                place[1:], shell=True, stdin=subprocess.PIPE, text=True, encoding="utf-8"
            )
            self._target = self._program.stdin
        else:
            try:
                self._target = Path(place).expanduser().open("w", encoding="utf-8", newline="")
            except OSError as error:
                raise CommandError(f"{place}: {error.strerror}") from error
        self._once = once

    def restore(self) -> None:
        """Back to standard output."""
        target, self._target = self._target, None
        program, self._program = self._program, None
        self._once = False
        if target is not None:
            with suppress(OSError):  # What could not be written was said before.
                target.close()
        if program is not None:
            program.wait()

    @contextmanager
    def one_result(self) -> Iterator[None]:
        """Around all that one statement or command writes."""
        once = self._once
        try:
            yield
        finally:
            if once:
                self.restore()

    def write(self, pieces: Iterable[str]) -> None:
        """Write pieces as they come, until they end or the reader goes; then end them."""
        try:
            self._write(pieces)
        finally:
            if isinstance(pieces, Generator):
                pieces.close()  # Now, and not when it is collected: a dump ends its transaction.

    def _write(self, pieces: Iterable[str]) -> None:
        target = self._target
        if target is not None:
            try:
                for piece in pieces:
                    target.write(piece)
                target.flush()
            except BrokenPipeError:
                self.restore()
            except OSError as error:
                self.restore()
                raise CommandError(f"can't write the result: {error.strerror}") from error
            return
        if self.pager:
            pager.write(pieces, self.pager)
            return
        try:
            for piece in pieces:
                self._standard.write(piece)
            self._standard.flush()
        except BrokenPipeError:
            raise ReaderGone from None
        except OSError as error:
            raise CommandError(f"can't write the result: {error.strerror}") from error

    def flush(self) -> None:
        """Let what was written be seen before what is said next."""
        with suppress(OSError):
            (self._target or self._standard).flush()
