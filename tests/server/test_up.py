"""`raftsql up`: a cluster on one machine, from one command."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

import raftsql as client
from tests.server.processes import free_port, raftsql

pytestmark = pytest.mark.e2e


def three_free_ports() -> int:
    """The first of three ports in a row that nobody listens on."""

    def free(first: int) -> bool:
        with ExitStack() as stack:
            for port in range(first, first + 3):
                try:
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
                except (OSError, OverflowError):
                    return False
        return True

    return next(port for port in iter(free_port, None) if free(port))


def start(folder: Path, port: int, *flags: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [
            sys.executable, "-m", "raftsql.server", "up",
            "--data-dir", str(folder), "--port", str(port), *flags,
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def stop(process: subprocess.Popen[str], number: signal.Signals) -> int:
    process.send_signal(number)
    process.communicate(timeout=20)
    return process.returncode


def test_up_prints_a_url_that_can_be_written_to_and_is_the_same_cluster_again(
    tmp_path: Path,
) -> None:
    port = three_free_ports()
    process, url = start(tmp_path, port)
    try:
        assert url == "raftsql://" + ",".join(f"127.0.0.1:{port + k}" for k in range(3)) + "/"
        with client.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE t (x)")
    finally:
        assert stop(process, signal.SIGINT) == 0
    process, url = start(tmp_path, port)
    try:
        with client.connect(url, autocommit=True) as connection:
            assert connection.execute("SELECT count(*) FROM t").fetchall() == [(0,)]
    finally:
        assert stop(process, signal.SIGTERM) == 0
    done = raftsql("status", "--url", f"127.0.0.1:{port}")
    assert done.returncode == 3, "no node is left behind"


def test_up_speaks_tls_when_asked_and_its_url_says_whom_to_trust(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    process, url = start(folder, 0, "--tls", "--nodes", "2")
    try:
        assert url.endswith("?sslrootcert=" + quote(f"{folder}/certificates/ca.crt"))
        with client.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE t (x)")
        done = raftsql(url, "-c", "SELECT count(*) AS n FROM t")
        assert (done.returncode, done.stdout.split()) == (0, ["n", "0"]), done.stderr
        assert raftsql("status", "--url", url).returncode == 0
        with pytest.raises(client.OperationalError):
            client.connect(url.partition("?")[0], connect_timeout=5)
    finally:
        assert stop(process, signal.SIGINT) == 0


def test_up_with_tls_says_that_peers_need_ports_above(tmp_path: Path) -> None:
    done = raftsql("up", "--tls", "--port", "65000", "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert "choose a lower --port" in done.stderr


def test_up_finds_free_ports_itself_when_it_may(tmp_path: Path) -> None:
    process, url = start(tmp_path, 0)
    try:
        ports = {int(node.rpartition(":")[2]) for node in url.rstrip("/").split(",")}
        assert len(ports) == 3
        assert 0 not in ports
        with client.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE t (x)")
    finally:
        assert stop(process, signal.SIGTERM) == 0


def test_up_says_why_it_can_not(tmp_path: Path) -> None:
    port = three_free_ports()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + 1))
        taken.listen()
        done = raftsql("up", "--data-dir", str(tmp_path), "--port", str(port), seconds=60)
    assert done.returncode == 1
    assert "node 2 has stopped" in done.stderr
    assert "taken" in done.stderr


@pytest.mark.parametrize(
    "flags", [["--nodes", "0"], ["--port", "70000"], ["--port", "-1"], ["--nodes", "x"]]
)
def test_up_refuses_what_makes_no_sense(flags: list[str]) -> None:
    done = raftsql("up", *flags)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_node_that_is_killed_does_not_end_the_others(tmp_path: Path) -> None:
    process, url = start(tmp_path, three_free_ports())
    try:
        with client.connect(url, autocommit=True, timeout=20) as connection:
            connection.execute("CREATE TABLE t (x)")
            os.kill(int((tmp_path / "node1" / "lock").read_text()), signal.SIGKILL)
            connection.execute("INSERT INTO t VALUES (1)")
            assert connection.execute("SELECT x FROM t").fetchall() == [(1,)]
        assert process.stderr is not None
        told, _, again = process.stderr.readline().strip().partition(": raftsql serve ")
        assert told.endswith("node 1 has ended, the others go on; to start it again")
        assert f"--data-dir {tmp_path / 'node1'} " in again
        assert process.poll() is None
    finally:
        assert stop(process, signal.SIGTERM) == 0
