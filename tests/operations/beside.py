"""Threads that do something beside a test, from its `with` to the end of it."""

from __future__ import annotations

import threading


class Beside:
    """Threads, and the word that it is over."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def _begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
