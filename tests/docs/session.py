"""A reader who types what a page says, in the page's order, and compares what is shown.

Addresses of the pages stand for those of real nodes, and are turned back in what these say. In
shown output `…` stands for anything within a line, and a line that is nothing else for any lines.
"""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any

from raftsql.server.operate import NotDone, Unreachable, hosts
from raftsql.server.operate import status as ask_status
from tests.docs.markdown import ROOT, Block
from tests.server.processes import BOUND_SECONDS, until
from tests.shell.terminal import Terminal

COMMAND_SECONDS = 60.0
PEERS_ARE = 1_000
"""With TLS a node's peers are served at its port plus this."""
PROGRAMS = (
    "raftsql", "make", "python", "pytest", "pip", "curl", "grpcurl", "kill", "systemctl", "git",
    "cat", "echo", "mv", "sed", "sqlite3",
)  # fmt: skip
"""A line that begins with one of these is a command, also in an indented block."""
_SECONDS = re.compile(r"\d+\\\.\d+\\ s\b")
"""How long something took, in a pattern."""
SSH = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[2], shell=True))"
"""Another machine, which is this one."""
SERVICES = re.compile(r"raftsql (?:up|serve)\b(?!.*--(?:print-config|help|version))")


class Session:
    """What lasts from block to block of one page: files, variables, names of Python, nodes."""

    def __init__(self, folder: Path, addresses: list[str] | None = None) -> None:
        self.folder = folder
        self.said = ""
        self.places: dict[str, str] = {}
        self.scenes: dict[str, Callable[[Session, str], str | None]] = {}
        """What else happens at a line that begins so; the line to run instead, or None."""
        self.services: dict[str, subprocess.Popen[bytes]] = {}
        self.names: dict[str, Any] = {"__name__": "page"}
        self.environment = self._environment()
        if addresses:
            self.settle(addresses)

    def _environment(self) -> dict[str, str]:
        programs = self.folder / "programs"
        programs.mkdir(parents=True)
        for name, module in (
            ("raftsql", f"{sys.executable} -m raftsql.server"),
            ("python", sys.executable),
            ("ssh", f"{sys.executable} -c {shlex.quote(SSH)}"),
            ("grpcurl", shutil.which("grpcurl") or f"{sys.executable} -m tests.docs.grpcurl"),
        ):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {module} "$@"\n')
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
        kept = {name: v for name, v in os.environ.items() if not name.startswith("RAFTSQL_")}
        kept |= {"PATH": f"{programs}:{kept['PATH']}", "HOME": str(self.folder), "PAGER": "cat"}
        kept |= {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "TMPDIR": str(self.folder)}
        return kept

    def settle(self, addresses: list[str]) -> None:
        """From here on the addresses of the pages mean these."""
        documented = ["127.0.0.1:4001", "127.0.0.1:4002", "127.0.0.1:4003"]
        self.places.update(zip(documented, addresses, strict=False))
        url = f"raftsql://{','.join(addresses)}/"
        self.environment.setdefault("RAFTSQL_URL", url)
        self.names.setdefault("url", f"raftsql://{addresses[0]}/")

    def real(self, text: str) -> str:
        """A page's text with what its places stand for."""
        for documented, real in self.places.items():
            text = text.replace(documented, real)
        return text

    def shown(self, text: str) -> str:
        """What a program says, as the page would have it."""
        for documented, real in self.places.items():
            text = text.replace(real, documented)
        return text

    def play(self, block: Block) -> None:
        """Do what a reader would do with the block."""
        if block.mark.startswith("file: "):
            target = self.folder / block.mark.removeprefix("file: ")
            target.write_text(self.real(block.text) + "\n", encoding="utf-8")
        elif block.mark == "output":
            assert_shown(block.text, self.said)
        elif block.mark == "prompt":
            self._prompt(block)
        elif block.kind == "python":
            self._python(block)
        elif block.kind == "console":
            for command, expected in dialogue(block.text):
                self.run(command, failing="error" in expected.lower())
                assert_shown(expected, self.said)
        else:
            for command in logical_lines(block.text):
                self.run(command)

    def run(self, command: str, *, failing: bool = False) -> None:
        """Run one line of a shell; what it says is kept."""
        for beginning, scene in self.scenes.items():
            if command.startswith(beginning):
                instead = scene(self, command)
                if instead is None:
                    return
                command = instead
        if command.startswith("#"):
            return
        if assigned := re.fullmatch(r"export (\w+)=(.*)", command):
            value = shlex.split(self.real(assigned[2]))
            self.environment[assigned[1]] = value[0] if value else ""
        elif SERVICES.match(command):
            self.serve(command)
        else:
            self.finish(command, failing=failing)

    def finish(self, command: str, *, failing: bool = False) -> None:
        """Run a command that ends."""
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", self.real(command)],
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip
        self.said = self.shown(done.stdout + done.stderr)
        said = f"{command}\nended with {done.returncode}: {self.said}"
        assert (done.returncode != 0) == failing, said

    def serve(self, command: str) -> None:
        """Start what runs until it is ended, and wait until it can be used."""
        line = re.sub(r"\s*(?:&|(?<=\s)#.*)\s*$", "", command)
        words = shlex.split(line)
        if words[1] == "up":
            self._up(words, line)
            return
        self.serve_node(line)

    def serve_node(self, line: str) -> None:
        """Start one node, and wait until it answers."""
        words = shlex.split(self.real(line))
        address = words[words.index("--listen") + 1] if "--listen" in words else ""
        log = self._start(line, words)
        until(lambda: self._serves(line, log, address), f"an answer of {line}")

    def _serves(self, line: str, log: Path, address: str) -> bool:
        code = self.services[line].poll()
        assert code is None, f"{line}\nended with {code}: {log.read_text()}"
        authority = f"?sslrootcert={self.folder / 'ca.crt'}" if "--tls-ca" in line else ""
        return bool(self.status(f"raftsql://{address}/{authority}"))

    def status(self, url: str) -> dict[str, Any]:
        """What a node says of itself; nothing when it does not answer."""
        try:
            return dict(json.loads(ask_status(hosts(self.real(url))[0])))
        except (Unreachable, NotDone):
            return {}

    def _up(self, words: list[str], line: str) -> None:
        ports = free_ports_in_a_row(int(words[words.index("--nodes") + 1]) if "--nodes" in words
                                    else 3)  # fmt: skip
        first = int(words[words.index("--port") + 1]) if "--port" in words else 4001
        if "--port" in words:
            words[words.index("--port") + 1] = str(ports[0])
        else:
            words += ["--port", str(ports[0])]
        for number, port in enumerate(ports):
            self.places[f"127.0.0.1:{first + number}"] = f"127.0.0.1:{port}"
        log = self._start(line, [self.real(word) for word in words])
        until(lambda: "raftsql://" in self._said_by(line, log), "the cluster's URL")
        self.said = self.shown(log.read_text())
        if first == 4001:
            self.settle([f"127.0.0.1:{port}" for port in ports])

    def _said_by(self, line: str, log: Path) -> str:
        code = self.services[line].poll()
        said = log.read_text()
        assert code is None, f"{line}\nended with {code}: {said}"
        return said

    def _start(self, line: str, words: list[str]) -> Path:
        log = self.folder / f"service{len(self.services)}.log"
        with log.open("wb") as out:
            self.services[line] = subprocess.Popen(
                words, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        return log

    def stop(self, line: str) -> None:
        """Ctrl-C for what a line has started."""
        process = self.services.pop(line)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(BOUND_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def end(self) -> None:
        """The reader goes home."""
        for line in reversed(list(self.services)):
            with suppress(ProcessLookupError):
                self.stop(line)

    def _python(self, block: Block) -> None:
        said = StringIO()
        code = "\n" * (block.line - 1) + self.real(block.text)
        before = dict(os.environ)
        ours = {
            n: v for n, v in self.environment.items() if n == "PATH" or n.startswith("RAFTSQL_")
        }
        os.environ.update(ours)
        try:
            with warnings.catch_warnings(), redirect_stdout(said):
                warnings.simplefilter("ignore", ResourceWarning)
                exec(compile(code, str(block.page), "exec"), self.names)
        finally:
            os.environ.clear()
            os.environ.update(before)
        self.said = self.shown(said.getvalue())

    def _prompt(self, block: Block) -> None:
        """What stands after the prompts is typed; the screen has to be the block's."""
        typed = re.findall(r"^(?:raftsql\*?>|   \.\.\.) (.+)$", block.text, re.MULTILINE)
        terminal = Terminal(
            self.environment["RAFTSQL_URL"], columns=96, lines=45, environment=self.environment,
            folder=self.folder,
        )  # fmt: skip
        try:
            terminal.prompted().see("│ linearizable")
            for line in typed:
                terminal.enter(self.real(line))
            screen = terminal.prompted().screen()
        finally:
            terminal.close()
        lines = [line.rstrip() for line in self.shown(screen).splitlines()]
        start = next(k for k, line in enumerate(lines) if line.startswith("raftsql> "))
        end = max(k for k, line in enumerate(lines) if re.match(r"raftsql\*?>$", line))
        assert_shown(block.text, "\n".join(lines[start:end]))


def free_ports_in_a_row(count: int, *, also: int = 0) -> list[int]:
    """Ports that follow each other and that nobody listens on, of four digits as in the pages; with
    `also`, those so much higher are free too."""
    starts = list(range(5200, 9990, 10))
    random.shuffle(starts)  # Several workers look at the same time.
    for start in starts:
        ports = list(range(start, start + count))
        if all(_free(port) and (not also or _free(port + also)) for port in ports):
            return ports
    raise AssertionError("no ports are free")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def logical_lines(text: str) -> list[str]:
    """Lines of a shell, each with those that continue it."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [line.strip() for line in joined.splitlines() if line.strip()]


def dialogue(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a console, each with what it shows."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        count = 1
        while lines[count - 1].endswith("\\"):
            count += 1
        yield "\n".join(lines[:count]).replace("\\\n", ""), "\n".join(lines[count:])


def assert_shown(expected: str, said: str) -> None:
    """What is shown in the page is what was said."""
    wanted = "".join(_pattern(line) for line in expected.strip("\n").splitlines())
    found = "".join(line.rstrip() + "\n" for line in said.strip("\n").splitlines())
    assert re.fullmatch(wanted, found), f"shown in the page:\n{expected}\n\nsaid now:\n{said}"


def _pattern(line: str) -> str:
    if line.strip() == "…":
        return r"(?:.*\n)*"
    exact = ".*".join(re.escape(part) for part in line.rstrip().split("…"))
    return _SECONDS.sub(r"\\d+\\.\\d+\\ s", exact) + "\n"
