"""Processes of a peer: started in a folder that goes, ended by their own ids."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.usage import family
from benchmarks.work import Client

START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 15.0


class NotThere(Exception):
    """The peer isn't installed here; the message names it."""


class Fleet:
    """The base of every peer's servers."""

    clients: Sequence[Client] = ()
    stop_signal = signal.SIGTERM

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="raftsql-peer-")
        self.folder = Path(self._temporary.name)
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Fleet:
        try:
            self.begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def begin(self) -> None:
        """Start all, and set `clients`."""
        raise NotImplementedError

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.send_signal(self.stop_signal)
        for process in reversed(self._processes):
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._temporary.cleanup()

    def pids(self) -> list[int]:
        """The servers and what they started."""
        return family(one.pid for one in self._processes if one.poll() is None)

    def spawn(self, *command: str, **how: Any) -> None:
        """One server; what it says goes to a file beside its data."""
        number = len(self._processes) + 1
        with (self.folder / f"server{number}.log").open("ab") as log:
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=log, **how))

    def until(self, ready: Callable[[], object], what: str) -> None:
        """Ask until it is."""
        give_up_at = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < give_up_at:
            if any(process.poll() is not None for process in self._processes):
                break
            if ready():
                return
            time.sleep(0.1)
        logs = "\n".join(
            path.read_text(errors="replace")[-500:] for path in self.folder.glob("*.log")
        )
        raise TimeoutError(f"{what} did not get ready: {logs}")
