"""A cluster of an example's own: it is there when it is needed, and gone with the example."""

from __future__ import annotations

import re
import signal
import subprocess
from urllib.request import urlopen

import pytest

pytest.importorskip("sqlalchemy")

from tests.examples.conftest import Start
from tests.server.processes import free_port, raftsql, until

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def first_line(process: subprocess.Popen[str], pattern: str) -> str:
    """The first thing it says that looks like this."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if found := re.search(pattern, line):
            return found[0]
    raise AssertionError(f"no {pattern} in: {''.join(lines)}")


def is_there(page: str) -> bool:
    try:
        with urlopen(page, timeout=10) as response:
            return b"Box office" in response.read()
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_example_that_is_stopped_leaves_no_node_behind(
    start: Start, number: signal.Signals
) -> None:
    process = start("settings", "--changes", "100000")
    node = first_line(process, r"127\.0\.0\.1:\d+")
    process.send_signal(number)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert raftsql("status", "--url", node).returncode == 3, "nobody answers there any more"


@pytest.mark.parametrize(
    ("name", "flags", "words"),
    [
        ("settings", ["--changes", "3"], "written 2 as version 3; read 2 at"),
        ("tasks", ["--tasks", "20", "--deaths", "1", "--lease", "1"], "20 tasks done"),
    ],
)
def test_an_example_that_is_done_ends_with_its_cluster(
    start: Start, name: str, flags: list[str], words: str
) -> None:
    process = start(name, *flags)
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said
    assert words in said


def test_the_page_is_there_with_a_cluster_of_its_own_until_ctrl_c(start: Start) -> None:
    port = free_port()
    process = start("web", "--port", str(port))
    url = first_line(process, r"raftsql://\S+")
    page = f"http://127.0.0.1:{port}/"
    until(lambda: process.poll() is not None or is_there(page), "the page")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert raftsql("status", "--url", url).returncode == 3
