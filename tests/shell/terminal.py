"""A terminal that a shell runs in: keys go in, and what a person would see can be looked at."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping

import pyte

WAIT_S = float(os.environ.get("TERMINAL_WAIT_S", "20"))
"""How long something may take to appear; generous, as the machine may be busy."""

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
    ) -> None:
        self._own, other = os.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_THE_TERMINAL, *arguments],
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "LESS": "-SRX", **(environment or {})},
        )
        os.close(other)
        self.raw = b""
        self._screen = _Screen(columns, lines, self.type)
        self._stream = pyte.ByteStream(self._screen)

    def type(self, text: str) -> Terminal:
        """Press keys, without Enter."""
        os.write(self._own, text.encode())
        return self

    def enter(self, text: str) -> Terminal:
        """Press keys, and Enter when they stand on the screen."""
        return self.type(text).see(text[-20:]).type("\r")

    def see(self, text: str, *, times: int = 1) -> Terminal:
        """Wait until a text is on the screen."""
        return self._until(lambda: self.screen().count(text) >= times, f"{text!r} to appear")

    def insist(self, key: str, text: str) -> Terminal:
        """Press a key until a text appears, as people do with Ctrl-C.

        Python loses a signal that comes in the microseconds before a thread sleeps on a lock.
        """
        give_up_at = time.monotonic() + WAIT_S
        while text not in self.screen():
            if time.monotonic() > give_up_at:
                raise AssertionError(f"waited for {text!r}; the screen shows:\n{self.screen()}")
            self.type(key)
            until = time.monotonic() + 2.0
            while text not in self.screen() and self._read(until):
                pass
        return self

    def screen(self) -> str:
        """What a person sees."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def end(self) -> int:
        """Wait until the program ends; its exit code."""
        deadline = time.monotonic() + WAIT_S
        while self._read(deadline):
            pass
        return self._process.wait(WAIT_S)

    def close(self) -> None:
        """End the program, whatever it does."""
        self._process.kill()
        self._process.wait()
        os.close(self._own)

    def _until(self, done: Callable[[], bool], what: str) -> Terminal:
        deadline = time.monotonic() + WAIT_S
        while not done():
            if not self._read(deadline):
                raise AssertionError(f"waited for {what}; the screen shows:\n{self.screen()}")
        return self

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._own], [], [], max(0.0, deadline - time.monotonic()))
        try:
            data = os.read(self._own, 65536) if ready else b""
        except OSError:  # The program has ended.
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)
