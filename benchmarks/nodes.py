"""Real nodes for measurements: started as processes on loopback, ended by their own ids."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks import usage
from raftsql.server.operate import Unreachable, status


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Nodes:
    """A cluster of processes in a folder that goes when it ends."""

    program: tuple[str, ...] = (sys.executable, "-m", "raftsql.server")

    def __init__(self, count: int, *flags: str) -> None:
        self.addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
        self._flags = flags
        self._temporary = tempfile.TemporaryDirectory(prefix="raftsql-bench-")
        self.folder = Path(self._temporary.name)
        self.processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Nodes:
        for number in range(1, len(self.addresses) + 1):
            self.start(number)
        self.wait_for_leader(voters=len(self.addresses))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._temporary.cleanup()

    @property
    def url(self) -> str:
        """For the driver."""
        return f"raftsql://{','.join(self.addresses)}/"

    def start(self, number: int) -> None:
        """Start, or start again, a node with the same command line."""
        while number > len(self.addresses):
            self.addresses += [f"127.0.0.1:{free_ports(1)[0]}"]
        command = [
            *self.program, "serve",
            "--data-dir", str(self.folder / f"node{number}"),
            "--listen", self.addresses[number - 1], "--node-id", str(number), *self._flags,
        ]  # fmt: skip
        if number > 1:
            command += ["--join", ",".join(self.addresses)]
        with (self.folder / f"node{number}.log").open("ab") as log:
            self.processes[number] = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self, number: int) -> None:
        """kill -9, and wait until the process is gone."""
        self.processes[number].kill()
        self.processes[number].wait()

    def stop(self, number: int) -> None:
        """Ask a node to stop, and wait for it."""
        self.processes[number].send_signal(signal.SIGTERM)
        self.processes[number].wait(20)

    def status(self, number: int) -> dict[str, Any]:
        """What a node says of itself; nothing when it does not answer."""
        try:
            found: dict[str, Any] = json.loads(status(self.addresses[number - 1], timeout=2.0))
        except Unreachable:
            return {}
        return found

    def leader(self) -> int:
        """The node that leads."""
        for number, process in self.processes.items():
            if process.poll() is None:
                found = self.status(number)
                if found.get("role") == "leader":
                    return int(found["node_id"])
        return 0

    def wait_for_leader(self, *, voters: int, seconds: float = 60.0) -> int:
        """Until there is one, with so many voters around it."""
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            leader = self.leader()
            if leader:
                members = self.status(leader).get("members", [])
                if sum(member["voter"] for member in members) >= voters:
                    return leader
            time.sleep(0.02)
        raise TimeoutError(f"no leader with {voters} voters; see {self.folder}")

    def resident_mb(self, number: int) -> float:
        """The memory a node has in use."""
        return usage.resident_mb(self.processes[number].pid)

    def cpu_seconds(self, number: int) -> float:
        """The processor time a node has used."""
        return usage.cpu_seconds(self.processes[number].pid)
