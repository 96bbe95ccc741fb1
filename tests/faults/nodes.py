"""The nodes under test: real processes in a network and on disks that do what the suite wants."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.nodes import Nodes
from tests.faults import disks
from tests.faults.knobs import Knobs
from tests.faults.lives import Lives, What
from tests.faults.network import Link, Network
from tests.faults.node import DIARY

WAIT_S: Final = 60.0
"""How long a healed node may take to be as far as the others."""
COMPLAINT: Final = "raftsql serve:"
PROJECT: Final = Path(__file__).parents[2]


class FaultyNodes(Nodes):
    """A cluster that can be hurt. Ends what it started, whatever happened in between."""

    def __init__(
        self, network: Network, count: int, *, plant: str = "", flags: tuple[str, ...] = ()
    ):
        super().__init__(0, *flags)
        self.network, self._plant = network, plant
        self.addresses = [network.address(number) for number in range(1, count + 1)]
        self.knobs: dict[int, Knobs] = {}
        self.paused: set[int] = set()
        self.removed: set[int] = set()
        self.lives = Lives()

    def __exit__(self, *reason: Any) -> None:
        for number in list(self.paused):
            self.resume(number)
        for number in self.processes:
            self.lives.read(number, self.place(number) / DIARY)
        super().__exit__(*reason)
        for knobs in self.knobs.values():
            knobs.close()

    def place(self, number: int) -> Path:
        """Where the node's own things of this suite are."""
        return self.folder / f"faults{number}"

    def data(self, number: int) -> Path:
        """Where its data is."""
        return self.folder / f"node{number}"

    def log(self, number: int) -> str:
        """What it said."""
        return (self.folder / f"node{number}.log").read_text(errors="replace")

    def last_words(self, number: int) -> str:
        """Why it stopped, if it stopped by itself; else the last line it said."""
        lines = self.log(number).strip().splitlines() or ["it said nothing"]
        return next((line for line in reversed(lines) if line.startswith(COMPLAINT)), lines[-1])

    def start(self, number: int) -> None:
        """Start, or start again, a node; its disk and clock are sound."""
        while number > len(self.addresses):
            self.addresses.append(self.network.address(len(self.addresses) + 1))
        place = self.place(number)
        place.mkdir(exist_ok=True)
        if number not in self.knobs:
            self.knobs[number] = Knobs(place / "knobs")
        plant = ["--plant", self._plant] if self._plant else []
        command = [
            sys.executable, "-m", "tests.faults.node", str(place), *plant, "--", "serve",
            "--data-dir", str(self.data(number)), "--node-id", str(number),
            *self.network.flags(number), *self._flags,
        ]  # fmt: skip
        if number > 1:
            command += ["--join", ",".join(self.addresses[:number])]
        environment = {**os.environ, **self.network.environment(number)}
        self.lives.note(number, What.STARTED)
        with (self.folder / f"node{number}.log").open("ab") as log:
            self.processes[number] = subprocess.Popen(
                self.network.wrap(number, command),
                stdout=log,
                stderr=log,
                cwd=PROJECT,
                env=environment,
            )

    @property
    def members(self) -> list[int]:
        """The nodes that belong to the cluster."""
        return [number for number in self.processes if number not in self.removed]

    def is_up(self, number: int) -> bool:
        return self.processes[number].poll() is None

    def pause(self, number: int) -> None:
        """Let it sleep, however busy it is."""
        self.paused.add(number)
        self.lives.note(number, What.PAUSED)
        self.processes[number].send_signal(signal.SIGSTOP)

    def resume(self, number: int) -> None:
        """Wake it."""
        self.paused.discard(number)
        self.processes[number].send_signal(signal.SIGCONT)
        self.lives.note(number, What.RESUMED)

    def kill(self, number: int) -> None:
        self.kill_all([number])

    def stop(self, number: int) -> None:
        super().stop(number)
        self.lives.note(number, What.ENDED)

    def kill_all(self, numbers: list[int]) -> None:
        """All of them at one moment, as when the power goes."""
        for number in numbers:
            self.lives.note(number, What.ENDED)
            self.processes[number].kill()
        for number in numbers:
            self.processes[number].wait()

    def cut(self, links: set[Link]) -> None:
        """Nothing passes on exactly these links, until told otherwise."""
        self.lives.note_links(links)
        self.network.cut(links)

    def lose_unsynced(self, number: int, chance: random.Random, *, everything: bool = False) -> int:
        """Let a dead node's disk be as after a power cut; how many writes are gone."""
        undo = self.place(number) / "undo"
        return disks.lose(undo, self.data(number), chance, everything=everything)

    def soothe(self, number: int) -> None:
        """Its disk and clocks are sound from now on."""
        knobs = self.knobs[number]
        knobs.sync_fails = knobs.full = False
        knobs.slow_ms = knobs.wall_ms = knobs.steady_ppm = 0

    def leader(self) -> int:
        """The node that leads in the latest term, or 0: one that sleeps or was cut off may think
        that it leads still."""
        found = (0, 0)
        for number in self.members:
            if number not in self.paused and self.is_up(number):
                told = self.status(number)
                if told.get("role") == "leader":
                    found = max(found, (int(told["term"]), number))
        return found[1]

    def wait_until_level(self) -> None:
        """Until all members are up, know one leader and have applied the same."""
        give_up_at = time.monotonic() + WAIT_S
        told: list[dict[str, Any]] = []
        while time.monotonic() < give_up_at:
            for number in self.members:
                if not self.is_up(number):
                    raise AssertionError(f"node {number} has ended: {self.last_words(number)}")
            told = self.notice_removed()
            if all(told) and len({(one["leader"], one["applied_index"]) for one in told}) == 1:
                return
            time.sleep(0.05)
        raise AssertionError(f"the nodes do not come together: {told}")

    def notice_removed(self) -> list[dict[str, Any]]:
        """What all members say of themselves. A removal may have happened although nobody could be
        told so."""
        told = {
            number: self.status(number)
            for number in self.members
            if number not in self.paused and self.is_up(number)
        }
        for number, status in told.items():
            if status.get("role") == "removed":
                self.removed.add(number)
                self.kill(number)
        return [told.get(number, {}) for number in self.members]
