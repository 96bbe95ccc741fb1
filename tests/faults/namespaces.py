"""Each node in a network namespace of its own, on a bridge: packets that are dropped are dropped.

Cuts and losses are rules of the receiving namespace's firewall. A delay is a detour: the sender's
route to the receiver leads into a device whose other end is this process, which lets packets wait
(see `detour`). The bridge has a namespace of its own too: on the host there is one interface, by
which clients reach it, whatever nodes come and go. Names tell whose it is.
"""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import ExitStack, suppress
from typing import Final

from tests.faults.detour import DEVICE, Detour, inside
from tests.faults.network import Link
from tests.interfaces import changing

COMMAND_S: Final = 10.0
TRY_S: Final = 2.0
PORT: Final = 4001


def run(*command: str, text: str = "") -> str:
    """Run a command of the system; a failure is told with what it said."""
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=COMMAND_S, check=False
    )
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


class Namespaces:
    """The network of one cluster."""

    name = "namespaces"

    def __init__(self) -> None:
        """Make the bridge, and two nodes; OSError where that may not be done."""
        if os.geteuid() != 0 or not os.access(DEVICE, os.R_OK | os.W_OK):
            raise OSError("only root may make network namespaces, with devices in them")
        self._mark = f"{os.getpid() % 1_000_000:06d}"
        self._clients = f"rsf{self._mark}"
        """The host's end of the clients' way to the bridge."""
        self._hub = f"rsf{self._mark}h"
        """Where the bridge is."""
        self._subnet = f"10.{213 + os.getpid() % 16}.{os.getpid() // 16 % 256}"
        self._spaces: dict[int, str] = {}
        self._cut: set[Link] = set()
        self._lost = 0
        self._slow: set[Link] = set()
        self._detour = Detour()
        try:
            run("ip", "netns", "add", self._hub)
            run("ip", "-n", self._hub, "-batch", "-", text=_BRIDGE)
            with changing():
                run("ip", "-batch", "-", text=self._way())
            run("ip", "-n", self._hub, "link", "set", "clients", "master", "bridge", "up")
            self._add(1)
            self._add(2)
            self._try_it()
        except (OSError, subprocess.TimeoutExpired):
            self.close()
            raise

    def _way(self) -> str:
        """The clients' way to the bridge. It has no address but ours: one that the kernel finds
        for itself comes later, when others may mind that the host's addresses change."""
        return (
            f"link add {self._clients} type veth peer name clients netns {self._hub}\n"
            f"link set {self._clients} addrgenmode none\n"
            f"addr add {self._subnet}.254/24 dev {self._clients}\n"
            f"link set {self._clients} up\n"
        )

    def _host(self, node: int) -> str:
        return f"{self._subnet}.{node}"

    def address(self, node: int) -> str:
        if node not in self._spaces:
            self._add(node)
        return f"{self._host(node)}:{PORT}"

    def _add(self, node: int) -> None:
        space = f"rsf{self._mark}n{node}"
        run("ip", "netns", "add", space)
        self._spaces[node] = space
        pair = f"link add node{node} type veth peer name bridge netns {space}\n"
        run(
            "ip",
            "-n",
            self._hub,
            "-batch",
            "-",
            text=f"{pair}link set node{node} master bridge up\n",
        )
        up = f"addr add {self._host(node)}/24 dev bridge\nlink set bridge up\nlink set lo up\n"
        run("ip", "-n", space, "-batch", "-", text=up)
        # Answers come back the straight way when requests took a detour, and the reverse.
        run(*self.wrap(node, ["sysctl", "-qw", *_LOOSE]))
        self._rules(node)

    def _try_it(self) -> None:
        """OSError where the host keeps namespaces from speaking, as some firewalls do."""
        with ExitStack() as stack:
            one, two = (stack.enter_context(inside(self._spaces[node], _socket)) for node in (1, 2))
            here = stack.enter_context(_socket())
            two.bind((self._host(2), PORT))
            for source in (one, here):
                source.sendto(b"?", (self._host(2), PORT))
                two.sendto(b"!", two.recvfrom(10)[1])
                source.recv(10)

    def wrap(self, node: int, command: list[str]) -> list[str]:
        return ["ip", "netns", "exec", self._spaces[node], *command]

    def flags(self, node: int) -> list[str]:
        return ["--listen", self.address(node), "--insecure"]

    def environment(self, node: int) -> dict[str, str]:
        return {}

    def cut(self, links: set[Link]) -> None:
        changed = {target for _, target in self._cut ^ links}
        self._cut = set(links)
        for node in changed:
            self._rules(node)

    def lose(self, percent: int) -> None:
        self._lost = percent
        for node in self._spaces:
            self._rules(node)

    def delay(self, links: set[Link], seconds: float) -> None:
        self._detour.seconds = seconds
        for source in {source for source, _ in links}:
            if not self._detour.leads_from(source):
                self._detour.open(source, self._spaces[source])
        for _, target in links:
            if not self._detour.leads_from(target):
                self._detour.open(target, self._spaces[target])
        for source, target in links - self._slow:
            place = f"{self._host(target)}/32"
            run("ip", "-n", self._spaces[source], "route", "replace", place, "dev", "detour",
                "src", self._host(source))  # fmt: skip
            self._detour.targets[self._host(target)] = target
        for source, target in self._slow - links:
            with suppress(OSError):  # It is gone already.
                run("ip", "-n", self._spaces[source], "route", "del", f"{self._host(target)}/32")
        self._slow = set(links)

    def _rules(self, node: int) -> None:
        """The node's firewall, as a whole, in one step."""
        cut = [self._host(source) for source, target in self._cut if target == node]
        lines = [f"ip saddr {host} drop" for host in sorted(cut)]
        if self._lost:
            # Between nodes only: a client's connection is no part of the fault.
            others = f"ip saddr {self._subnet}.0/24 ip saddr != {self._subnet}.254"
            some = f"numgen random mod 100 < {self._lost}" if self._lost < 100 else ""
            lines.append(f"{others} {some} drop")
        body = "\n".join(lines)
        text = (
            "flush ruleset\ntable ip faults {\nchain come {\n"
            f"type filter hook input priority 0;\n{body}\n}}\n}}\n"
        )
        run(*self.wrap(node, ["nft", "-f", "-"]), text=text)

    def close(self) -> None:
        self._detour.close()
        # The interface goes now, and not when the kernel comes round to it.
        with changing(), suppress(OSError, subprocess.TimeoutExpired):
            run("ip", "link", "del", self._clients)
        for space in (*self._spaces.values(), self._hub):
            with suppress(OSError, subprocess.TimeoutExpired):
                run("ip", "netns", "del", space)


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(TRY_S)
    return made


_LOOSE: Final = ("net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
_BRIDGE: Final = "link add bridge type bridge\nlink set bridge up\n"
