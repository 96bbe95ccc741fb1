"""A terminal that a shell runs in: keys go in, and what a person would see can be looked at.

A thread plays the terminal: it draws what comes at once, and answers at once when it is asked
where the cursor is, as real terminals do. A late answer would look like something typed.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyte

WAIT_S = float(os.environ.get("TERMINAL_WAIT_S", "50"))
"""How long something may take to appear; generous, as the machine may be busy."""
PROMPTS = ("raftsql>", "raftsql*>", "...")

_TAKE_THE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "raftsql_shell", *sys.argv[1:]])
"""
"""Done in a process of its own: forking one that has gRPC in it leads to grief."""


class _Screen(pyte.Screen):
    """Answers when a program asks where the cursor is, as real terminals do."""

    def __init__(self, columns: int, lines: int, answer: Callable[[str], object]) -> None:
        super().__init__(columns, lines)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        self._answer(data)


class Terminal:
    """A pseudo-terminal, the program in it, and its screen."""

    def __init__(
        self,
        *arguments: str,
        columns: int = 100,
        lines: int = 30,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self._own, other = os.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_THE_TERMINAL, *arguments],
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color", "LESS": "-SRX", **(environment or {})},
        )
        os.close(other)
        self.raw = b""
        self._screen = _Screen(columns, lines, self.type)
        self._stream = pyte.ByteStream(self._screen)
        self._drawn = threading.Condition()
        self._ended = False
        self._drawer = threading.Thread(target=self._draw, name="terminal", daemon=True)
        self._drawer.start()

    def type(self, text: str) -> Terminal:
        """Press keys, without Enter."""
        os.write(self._own, text.encode())
        return self

    def enter(self, text: str) -> Terminal:
        """Press keys at an empty prompt, and Enter when they stand on the screen."""
        return self.prompted().type(text).see(text[-20:]).type("\r")

    def prompted(self) -> Terminal:
        """Wait until the cursor stands at an empty prompt.

        What is typed earlier goes to a terminal that still edits lines itself, where a Ctrl-D is
        swallowed and a Ctrl-C goes to whatever runs.
        """
        return self._until(lambda: self._line_at_cursor() in PROMPTS, "an empty prompt")

    def _line_at_cursor(self) -> str:
        return self._screen.display[self._screen.cursor.y].strip()

    def see(self, text: str, *, times: int = 1) -> Terminal:
        """Wait until a text is on the screen."""
        return self._until(lambda: self.screen().count(text) >= times, f"{text!r} to appear")

    def insist(self, key: str, text: str) -> Terminal:
        """Press a key until a text appears, as people do with Ctrl-C.

        Python loses a signal that comes in the microseconds before a thread sleeps on a lock.
        """
        give_up_at = time.monotonic() + WAIT_S
        with self._drawn:
            while text not in self.screen():
                if time.monotonic() > give_up_at:
                    raise self._waited_for(f"{text!r} to appear")
                self.type(key)
                self._drawn.wait_for(lambda: text in self.screen(), 2.0)
        return self

    def screen(self) -> str:
        """What a person sees."""
        with self._drawn:
            return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def end(self) -> int:
        """Wait until the program ends; its exit code."""
        self._drawer.join(WAIT_S)
        if not self._ended:
            raise self._waited_for("the program to end")
        return self._process.wait(WAIT_S)

    def close(self) -> None:
        """End the program, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._drawer.join(WAIT_S)
        os.close(self._own)

    def _until(self, done: Callable[[], bool], what: str) -> Terminal:
        with self._drawn:
            self._drawn.wait_for(lambda: done() or self._ended, WAIT_S)
            if not done():
                raise self._waited_for(what)
        return self

    def _waited_for(self, what: str) -> AssertionError:
        return AssertionError(f"waited for {what}; the screen shows:\n{self.screen()}")

    def _draw(self) -> None:
        while data := self._next():
            with self._drawn:
                self.raw += data
                self._stream.feed(data)
                self._drawn.notify_all()
        with self._drawn:
            self._ended = True
            self._drawn.notify_all()

    def _next(self) -> bytes:
        try:
            return os.read(self._own, 65536)
        except OSError:  # The program has ended.
            return b""
