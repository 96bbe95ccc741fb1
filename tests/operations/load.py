"""Clients that write and read while something is done to the cluster, and keep what they see."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import raftsql
from tests.operations.beside import Beside

WRITERS = 4


class Load(Beside):
    """Writers, each with a connection of its own; every error they see is kept."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.errors: list[str] = []
        self.written = [0] * WRITERS
        self.read = 0
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(WRITERS)]
        self._threads.append(threading.Thread(target=self._read))

    def __enter__(self) -> Load:
        with raftsql.connect(self._url, autocommit=True) as connection:
            connection.execute("CREATE TABLE item(writer, number, PRIMARY KEY (writer, number))")
        self._begin()
        return self

    def is_all_there(self, connection: Any) -> None:
        """Nobody has met an error, and what was acknowledged is there, once."""
        assert self.errors == []
        counted = connection.execute(
            "SELECT writer, count(*), max(number) FROM item GROUP BY writer ORDER BY writer"
        ).fetchall()
        assert counted == [(n, count, count - 1) for n, count in enumerate(self.written)]

    def _write(self, number: int) -> None:
        try:
            with raftsql.connect(self._url, autocommit=True, timeout=30.0) as connection:
                while not self._stop.is_set():
                    row = (number, self.written[number])
                    connection.execute("INSERT INTO item VALUES (?, ?)", row)
                    self.written[number] += 1
        except Exception as error:
            self.errors.append(f"writer {number}: {type(error).__name__}: {error}")

    def _read(self) -> None:
        try:
            with raftsql.connect(self._url, autocommit=True, timeout=30.0) as connection:
                while not self._stop.is_set():
                    connection.execute("SELECT count(*) FROM item").fetchone()
                    self.read += 1
        except Exception as error:
            self.errors.append(f"reader: {type(error).__name__}: {error}")

    def goes_on(self, wait_until: Callable[[Callable[[], bool], str], object]) -> None:
        """Wait until everybody has got further, or one has failed."""
        before, read = list(self.written), self.read

        def further() -> bool:
            ahead = all(now > then for now, then in zip(self.written, before, strict=True))
            return bool(self.errors) or (ahead and self.read > read)

        wait_until(further, "every client to get further")
