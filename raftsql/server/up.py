"""`raftsql up`: a local cluster of real processes, to try things on and to develop against.

Node k listens on port + k - 1, or with port 0 wherever there is room. The first node founds the
cluster and the others join it; started again with the same data directory, it is the same cluster.
Whatever ends this process (Ctrl-C, TERM, a failing node) ends the nodes too, gracefully.
"""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

from raftsql.server.papers import NoPapers, Papers, papers_in

PEER_PORT_OFFSET = 1_000
"""What `raftsql serve` takes for it."""
STARTED_SECONDS_MAX = 30.0
STOPPED_SECONDS_MAX = 15.0
POLL_SECONDS = 0.05


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--nodes", type=int, default=3, metavar="N", help="how many (default: 3)")
    parser.add_argument(
        "--port", type=int, default=4001, metavar="PORT",
        help="of the first node (default: 4001); 0: any free ports, for a cluster made to be "
        "thrown away",
    )  # fmt: skip
    parser.add_argument(
        "--data-dir", type=Path, default=Path("raftsql-data"), metavar="DIR",
        help="a folder for each node is made in it (default: raftsql-data)",
    )  # fmt: skip
    parser.add_argument(
        "--tls", action="store_true",
        help="encrypted, with certificates made for this machine and kept in the data directory",
    )  # fmt: skip
    parser.add_argument("--shell", action="store_true", help="open a prompt; its end is the end")


def run(options: argparse.Namespace) -> int:
    """Start, wait until it can be written to, say where, and stay until told to stop."""
    if options.nodes < 1:
        print("raftsql up: --nodes must be at least 1", file=sys.stderr)
        return 2
    if not 0 <= options.port <= 65536 - options.nodes:
        print(
            f"raftsql up: there are no {options.nodes} ports from {options.port}", file=sys.stderr
        )
        return 2
    offset = PEER_PORT_OFFSET if options.tls else 0
    if options.port + options.nodes - 1 + offset > 65_535:
        print(
            f"raftsql up: with TLS, peers are served at port + {offset}: choose a lower --port",
            file=sys.stderr,
        )
        return 2
    ports = _ports(options.port, options.nodes, offset)
    addresses = [f"127.0.0.1:{port}" for port in ports]
    signal.signal(signal.SIGTERM, _interrupt)
    nodes: list[subprocess.Popen[bytes]] = []
    try:
        papers = papers_in(options.data_dir / "certificates") if options.tls else None
        flags = [] if papers is None else papers.flags
        url = _url(addresses, papers)
        for number, own in enumerate(addresses, 1):
            nodes.append(_start(number, own, addresses, options.data_dir, flags))
        failure = _wait_until_writable(nodes, url, options.data_dir)
        if failure:
            print(f"raftsql up: {failure}", file=sys.stderr)
            return 1
        print(url, flush=True)
        return _shell(url) if options.shell else _stay(nodes)
    except NoPapers as error:
        print(f"raftsql up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(nodes)


def _url(addresses: list[str], papers: Papers | None) -> str:
    query = "" if papers is None else f"?sslrootcert={quote(str(papers.authority.absolute()))}"
    return f"raftsql://{','.join(addresses)}/{query}"


def _ports(first: int, count: int, offset: int) -> list[int]:
    """So many ports; where peers have another one each, so far from it, that is free too."""
    if first:
        return list(range(first, first + count))
    found: list[int] = []
    with ExitStack() as stack:
        # All are held until the last one is found, or one might be found twice.
        while len(found) < count:
            port = _held(stack, 0)
            if not offset or (port + offset <= 65_535 and _held(stack, port + offset)):
                found.append(port)
    return found


def _held(stack: ExitStack, port: int) -> int:
    """The port, or any if it is 0, held while the stack lasts; 0 if it is taken."""
    each = stack.enter_context(socket.socket())
    try:
        each.bind(("127.0.0.1", port))
    except OSError:
        return 0
    found: int = each.getsockname()[1]
    return found


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _start(
    number: int, own: str, addresses: list[str], folder: Path, flags: list[str]
) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "raftsql.server", "serve",
        "--data-dir", str(folder / f"node{number}"), "--listen", own, "--node-id", str(number),
        *flags,
    ]  # fmt: skip
    if number > 1:
        command += ["--join", ",".join(addresses)]
    with (folder / f"node{number}.log").open("ab") as log:
        # In a session of its own: Ctrl-C is for this process, which ends the nodes in order.
        return subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


def _wait_until_writable(nodes: list[subprocess.Popen[bytes]], url: str, folder: Path) -> str:
    """Wait until there is a leader and every node has its vote; else what went wrong."""
    from raftsql.server.operate import Unreachable, status
    from raftsql.server.places import places

    first = places(url)[0]
    give_up_at = time.monotonic() + STARTED_SECONDS_MAX
    while time.monotonic() < give_up_at:
        for number, node in enumerate(nodes, 1):
            if node.poll() is not None:
                return f"node {number} has stopped: {_last_line(folder / f'node{number}.log')}"
        try:
            found = json.loads(status(first, timeout=1.0))
        except Unreachable:
            found = {}
        if found and found["pid"] != nodes[0].pid:
            return f"the port of {first} is taken by another node: choose another --port"
        voters = [m for m in found.get("members", []) if m["voter"]]
        if found.get("leader") and len(voters) >= len(nodes):
            return ""
        time.sleep(POLL_SECONDS)
    return f"no leader within {STARTED_SECONDS_MAX:.0f} s; see {folder}/node*.log"


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _shell(url: str) -> int:
    from raftsql_shell.__main__ import main

    return main([url])


def _stay(nodes: list[subprocess.Popen[bytes]]) -> int:
    """Until a node fails; one that somebody ends to see what happens is only spoken of."""
    running = dict(enumerate(nodes, 1))
    while running:
        for number, node in list(running.items()):
            code = node.poll()
            if code is None:
                continue
            if code > 0:
                print(f"raftsql up: node {number} stopped with code {code}", file=sys.stderr)
                return 1
            del running[number]
            print(
                f"raftsql up: node {number} has ended, the others go on; to start it again: "
                f"{_typed(node)}",
                file=sys.stderr,
            )
        time.sleep(0.2)
    print("raftsql up: no node is left", file=sys.stderr)
    return 1


def _typed(node: subprocess.Popen[bytes]) -> str:
    """What a person would type to run it."""
    assert isinstance(node.args, list), "it was started with a list of words"
    _python, _module, _server, *arguments = node.args
    return shlex.join(["raftsql", *map(str, arguments)])


def _stop(nodes: list[subprocess.Popen[bytes]]) -> None:
    """Ask all to stop, the followers first, so that the leader need not hand over twice."""
    for again in (signal.SIGTERM, signal.SIGINT):
        signal.signal(again, signal.SIG_IGN)  # Impatience may not leave nodes behind.
    for node in reversed(nodes):
        if node.poll() is None:
            node.send_signal(signal.SIGTERM)
    give_up_at = time.monotonic() + STOPPED_SECONDS_MAX
    for node in nodes:
        try:
            node.wait(max(0.1, give_up_at - time.monotonic()))
        except subprocess.TimeoutExpired:
            node.kill()
