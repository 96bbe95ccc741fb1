"""Three nodes are restarted one after another under load, as an upgrade does: nobody notices."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import raftsql
from tests.operations.nodes import Nodes

WRITERS = 4


class Load:
    """Writers, each with a connection of its own; every error they see is kept."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self.errors: list[str] = []
        self.written = [0] * WRITERS
        self.read = 0
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(WRITERS)]
        self._threads.append(threading.Thread(target=self._read))

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

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

    def goes_on(self, nodes: Nodes) -> None:
        """Wait until everybody has got further, or one has failed."""
        before, read = list(self.written), self.read

        def further() -> bool:
            ahead = all(now > then for now, then in zip(self.written, before, strict=True))
            return bool(self.errors) or (ahead and self.read > read)

        nodes.wait_until(further, "every client to get further")


@pytest.mark.long
@pytest.mark.parametrize("leader_is", ["last", "first"])
def test_a_rolling_restart_fails_no_request(tmp_path: Path, leader_is: str) -> None:
    with Nodes(tmp_path / "nodes", 3) as nodes:
        with nodes.connect() as connection:
            connection.execute("CREATE TABLE item(writer, number, PRIMARY KEY (writer, number))")
        with Load(nodes.url) as load:
            load.goes_on(nodes)
            # The leader last, as docs/operating.md says, is handed over once; but first works too.
            leader = nodes.leader()
            others = [n for n in (1, 2, 3) if n != leader]
            for number in [*others, leader] if leader_is == "last" else [leader, *others]:
                nodes.stop(number)
                assert nodes.processes[number].returncode == 0
                load.goes_on(nodes)
                nodes.start(number)
                nodes.wait_until(lambda n=number: nodes.status(n).get("ready"), "it to be ready")  # type: ignore[misc]
                load.goes_on(nodes)
        assert load.errors == []
        with nodes.connect() as connection:
            counted = connection.execute(
                "SELECT writer, count(*), max(number) FROM item GROUP BY writer ORDER BY writer"
            ).fetchall()
        assert counted == [(n, count, count - 1) for n, count in enumerate(load.written)]
        for number in (1, 2, 3):
            nodes.wait_until_level(number)
        assert nodes.verify()["equal"]
