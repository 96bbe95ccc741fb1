"""Packets that take their time: a device in each namespace whose other end is held here.

What a namespace sends into its device is read by one thread, kept for a while, and written to the
receiver's device. Packets of one link may overtake each other a little, as on long ways they do.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

TUNSETIFF: Final = 0x400454CA
IFF_TUN: Final = 0x0001
IFF_NO_PI: Final = 0x1000
DEVICE: Final = "/dev/net/tun"
CLONE_NEWNET: Final = 0x40000000
PACKET_BYTES_MAX: Final = 65_536
JITTER: Final = 0.2
"""The part of a delay by which it varies."""
WAITING_MAX: Final = 20_000
"""Packets on their way; one more is lost."""


class Detour:
    """All devices of one network, and the thread between them."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.targets: dict[str, int] = {}
        """By a receiver's address, its number."""
        self._ends: dict[int, int] = {}
        self._waiting: list[tuple[float, int, int, bytes]] = []
        self._chance = random.Random(0)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def leads_from(self, node: int) -> bool:
        """Whether the node has a device already."""
        return node in self._ends

    def open(self, node: int, space: str) -> None:
        """Give a node's namespace a device."""
        end = inside(space, _device)
        up = ["ip", "-n", space, "link", "set", "detour", "up"]
        subprocess.run(up, check=True, timeout=10)
        self._ends[node] = end
        if self._thread is None:
            self._thread = threading.Thread(target=self._carry, name="detour", daemon=True)
            self._thread.start()

    def _carry(self) -> None:
        number = 0
        while not self._stop.is_set():
            now = time.monotonic()
            while self._waiting and self._waiting[0][0] <= now:
                _, _, end, packet = heapq.heappop(self._waiting)
                with suppress(OSError):
                    os.write(end, packet)
            patience = min(0.05, max(0.0, self._waiting[0][0] - now)) if self._waiting else 0.05
            ends = list(self._ends.values())
            for end in select.select(ends, [], [], patience)[0]:
                with suppress(OSError):
                    number += 1
                    self._keep(number, os.read(end, PACKET_BYTES_MAX))

    def _keep(self, number: int, packet: bytes) -> None:
        if packet[0] >> 4 != 4 or len(self._waiting) >= WAITING_MAX:
            return
        target = self.targets.get(".".join(map(str, packet[16:20])))
        if target is None:
            return
        wait = self.seconds * self._chance.uniform(1 - JITTER, 1 + JITTER)
        heapq.heappush(self._waiting, (time.monotonic() + wait, number, self._ends[target], packet))

    def close(self) -> None:
        """End the thread; the devices go with their ends."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)
        for end in self._ends.values():
            os.close(end)
        self._ends.clear()


def inside(space: str, make: Callable[[], T]) -> T:
    """What is made in another namespace, by a thread that goes there and ends afterwards."""
    made: list[T] = []

    def go() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with Path(f"/var/run/netns/{space}").open() as place:
            if libc.setns(place.fileno(), CLONE_NEWNET) == 0:
                with suppress(OSError):
                    made.append(make())

    maker = threading.Thread(target=go)
    maker.start()
    maker.join(10)
    if not made:
        raise OSError(f"{space} can't be entered, or nothing made there")
    return made[0]


def _device() -> int:
    end = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    request = struct.pack("16sH22x", b"detour", IFF_TUN | IFF_NO_PI)
    fcntl.ioctl(end, TUNSETIFF, request)
    return end
