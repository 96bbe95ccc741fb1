"""Real nodes for the examples, and the examples as a reader would start them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.server.processes import Cluster

ROOT = Path(__file__).parents[2]


class Start(Protocol):
    """Starts an example; without a URL it has a cluster of its own."""

    def __call__(self, name: str, *flags: str, url: str = "") -> subprocess.Popen[str]: ...


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """No node yet."""
    made = Cluster(tmp_path)
    yield made
    made.end()


@pytest.fixture
def start() -> Iterator[Start]:
    """Examples as processes, which end with the test."""
    started: list[subprocess.Popen[str]] = []

    def one(name: str, *flags: str, url: str = "") -> subprocess.Popen[str]:
        environment = {n: v for n, v in os.environ.items() if not n.startswith("RAFTSQL_")}
        process = subprocess.Popen(
            [sys.executable, "-m", f"examples.{name}", *flags],
            cwd=ROOT, env=environment | ({"RAFTSQL_URL": url} if url else {}),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield one
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
        assert process.stdout is not None
        process.stdout.close()
