"""Real nodes as real processes on this machine, for tests from end to end.

Each gets ports that were free a moment ago and ends with its test, however that ends. Nothing waits
for a time: everything waits for what it is waiting for, with a bound.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from raftsql.server.operate import NotDone, Unreachable
from raftsql.server.operate import status as ask_status

T = TypeVar("T")

BOUND_SECONDS = 30.0
"""For anything that is waited for; the machine that runs the tests may be busy."""
POLL_SECONDS = 0.05


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(done: Callable[[], T], what: str, seconds: float = BOUND_SECONDS) -> T:
    """What `done` answers, as soon as that is something."""
    give_up_at = time.monotonic() + seconds
    while True:
        found = done()
        if found:
            return found
        assert time.monotonic() < give_up_at, f"{what} did not come within {seconds} s"
        time.sleep(POLL_SECONDS)


class Node:
    """A node: its place on disk, its address, and the process that runs it, if one does."""

    def __init__(self, folder: Path, *flags: str, address: str = "") -> None:
        self.folder = folder
        self.address = address or f"127.0.0.1:{free_port()}"
        self.flags = list(flags)
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder.with_name(folder.name + ".log")

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"raftsql://{self.address}/"

    def command(self) -> list[str]:
        """What an operator would type."""
        return [
            sys.executable, "-m", "raftsql.server", "serve", "--data-dir", str(self.folder),
            "--listen", self.address, *self.flags,
        ]  # fmt: skip

    def start(self) -> Node:
        """Run the process; it may not serve yet."""
        assert self.process is None, "it runs already"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        return self

    def says(self) -> str:
        """What it has printed so far, in all its lives."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def status(self) -> dict[str, Any]:
        """What it says of itself; nothing when it does not answer."""
        try:
            found: dict[str, Any] = json.loads(ask_status(self.address, timeout=5.0))
        except (Unreachable, NotDone):
            return {}
        return found

    def wait_for(self, fits: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        """Its status, as soon as it fits."""

        def found() -> dict[str, Any]:
            assert self.process is not None
            code = self.process.poll()
            assert code is None, f"the node has stopped with code {code}:\n{self.says()}"
            status = self.status()
            return status if status and fits(status) else {}

        try:
            return until(found, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.status()}\n{self.says()}") from None

    def serves(self) -> Node:
        """Wait until it knows a leader and holds what that one had committed."""
        self.wait_for(lambda s: s["leader"] and s["applied_index"] > 0, "a leader")
        return self

    def leads(self) -> bool:
        """Whether it says that it leads."""
        return self.status().get("role") == "leader"

    def kill(self) -> None:
        """As kill -9 or a power cut of the process would."""
        self._signal(signal.SIGKILL)

    def stop(self, seconds: float = 10.0) -> int:
        """Ask it to stop, as systemd would; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self.process = None
        return code

    def _signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(BOUND_SECONDS)
        self.process = None

    def pause(self) -> None:
        """Let it stand still."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def ended(self, seconds: float = BOUND_SECONDS) -> int:
        """Wait until the process ends by itself; its exit code."""
        assert self.process is not None
        code = self.process.wait(seconds)
        self.process = None
        return code

    def end(self) -> None:
        """Whatever it is doing, it is over."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(BOUND_SECONDS)
            self.process = None


class Cluster:
    """Several nodes in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: list[Node] = []

    def node(self, *flags: str, address: str = "", name: str = "") -> Node:
        """One more node, not started yet."""
        folder = self.folder / (name or f"node{len(self.nodes) + 1}")
        node = Node(folder, *flags, address=address)
        self.nodes.append(node)
        return node

    def founder(self, *flags: str) -> Node:
        """The first node, serving."""
        return self.node(*flags).start().serves()

    def of(self, count: int, *flags: str) -> list[Node]:
        """So many nodes, all of them voters."""
        first = self.founder(*flags)
        others = [self.node(*flags, "--join", first.address).start() for _ in range(count - 1)]
        for other in others:
            other.serves()
        first.wait_for(lambda s: sum(m["voter"] for m in s["members"]) == count, f"{count} voters")
        return [first, *others]

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"raftsql://{','.join(node.address for node in self.nodes)}/"

    def leader(self) -> Node:
        """The node that leads, as soon as one does."""
        running = [node for node in self.nodes if node.process is not None]
        return until(lambda: next((node for node in running if node.leads()), None), "a leader")

    def end(self) -> None:
        """All of it is over."""
        for node in self.nodes:
            node.end()


def raftsql(*arguments: str, seconds: float = BOUND_SECONDS) -> subprocess.CompletedProcess[str]:
    """The program, from its command line to its end."""
    environment = {n: v for n, v in os.environ.items() if not n.startswith("RAFTSQL_")}
    return subprocess.run(
        [sys.executable, "-m", "raftsql.server", *arguments],
        capture_output=True, text=True, timeout=seconds, check=False, env=environment,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
