"""Real nodes, in processes of their own, for the shell to talk to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

READY_S = 60.0


def free_ports(count: int, *, short: bool) -> list[int]:
    """Ports that nobody listens on; short ones have four digits, as those in the documents."""
    sockets: list[socket.socket] = []
    for port in range(5100, 9999) if short else [0] * count:
        with suppress(OSError):
            sockets.append(socket.create_server(("127.0.0.1", port)))
        if len(sockets) == count:
            break
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Nodes:
    """Real nodes, in processes of their own."""

    def __init__(self, count: int, folder: Path, *, short: bool = False) -> None:
        self.addresses = [f"127.0.0.1:{port}" for port in free_ports(count, short=short)]
        self.url = f"raftsql://{','.join(self.addresses)}/"
        self._folder = folder
        self.processes = {address: self._start(address) for address in self.addresses}

    def _start(self, address: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "raftsql.server", "serve", "--listen", address]
        command += ["--data-dir", str(self._folder / address.replace(":", "-"))]
        if len(self.addresses) > 1:
            command += ["--join", ",".join(self.addresses)]
            command += ["--bootstrap-expect", str(len(self.addresses))]
        with (self._folder / f"{address.replace(':', '-')}.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def status(self, address: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "raftsql.server", "status", "--json", "--url", address]
        done = subprocess.run(command, capture_output=True, check=False)
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {}

    def until_led(self) -> str:
        """Wait for a leader; its address."""
        give_up_at = time.monotonic() + READY_S
        while time.monotonic() < give_up_at:
            for address in self.addresses:
                found = self.status(address)
                if found.get("role") == "leader" and len(found["members"]) == len(self.addresses):
                    return address
        raise AssertionError("no node leads")

    def until_busy(self, address: str) -> None:
        """Wait until a node works hard: its processor time grows beyond what asking it costs."""
        begun, give_up_at = self._work_s(address), time.monotonic() + READY_S
        while self._work_s(address) < begun + 0.3:
            assert time.monotonic() < give_up_at, "the node does nothing"
            self.status(address)

    def until_idle(self, address: str) -> None:
        """Wait until a node rests, as it does when a long statement has ended."""
        give_up_at = time.monotonic() + READY_S
        while True:
            work_s, at = self._work_s(address), time.monotonic()
            for _ in range(2):
                self.status(address)
            if self._work_s(address) - work_s < 0.05 * (time.monotonic() - at):
                return
            assert time.monotonic() < give_up_at, "the node still works"

    def _work_s(self, address: str) -> float:
        """The processor time that a node has had."""
        stat = Path(f"/proc/{self.processes[address].pid}/stat").read_text(encoding="utf-8")
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self, address: str) -> None:
        self.processes[address].send_signal(signal.SIGKILL)
        self.processes[address].wait()

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
