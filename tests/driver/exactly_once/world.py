"""Three real nodes behind proxies, writers of both colours, and leaders that are killed."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from typing import Final, Self

import raftsql
from benchmarks.nodes import Nodes, free_ports
from tests.driver.exactly_once.ledger import SCHEMA, Ledger
from tests.driver.exactly_once.proxy import Proxies
from tests.driver.exactly_once.workers import PATIENT_S, TaskWorker, ThreadWorker

WORKERS: Final = 9
FAULT_EVERY_S: Final = 0.25
KILL_EVERY_S: Final = (2.0, 4.0)
BLOWS: Final = {"kill": 5, "terminate": 1, "pause": 2}
"""What happens to a leader, and how often: kill -9, a polite stop, or sleep for longer than others
bear (it wakes up as one who still believes to lead)."""
PAUSE_S: Final = 1.2
WAIT_S: Final = 30.0
"""How long a node that was killed may take to be there again."""


class ProxiedNodes(Nodes):
    """Nodes that tell everybody the address of the proxy before them."""

    def __init__(self, seed: int) -> None:
        super().__init__(3)
        self.doors = dict(zip(self.addresses, free_ports(3), strict=True))
        targets = {door: int(address.rpartition(":")[2]) for address, door in self.doors.items()}
        self.proxies = Proxies(seed, targets, fault_every_s=FAULT_EVERY_S)

    @property
    def url(self) -> str:
        """Through the proxies."""
        return f"raftsql://{','.join(f'127.0.0.1:{door}' for door in self.doors.values())}/"

    def start(self, number: int) -> None:
        """Start, or start again, a node with the same command line."""
        address = self.addresses[number - 1]
        command = [
            sys.executable, "-m", "raftsql.server", "serve",
            "--data-dir", str(self.folder / f"node{number}"), "--node-id", str(number),
            "--listen", address, "--advertise", f"127.0.0.1:{self.doors[address]}",
        ]  # fmt: skip
        if number > 1:
            command += ["--join", ",".join(f"127.0.0.1:{door}" for door in self.doors.values())]
        with (self.folder / f"node{number}.log").open("ab") as log:
            self.processes[number] = subprocess.Popen(command, stdout=log, stderr=log)


class World:
    """The whole scene of one run."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.ledger = Ledger()
        self.blows: Counter[str] = Counter()
        self.nodes = ProxiedNodes(seed)
        self._stack = ExitStack()
        self._first_worker = 0

    @property
    def faults(self) -> Counter[str]:
        """What the network did."""
        return self.nodes.proxies.happened

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.nodes.proxies.start()
            stack.callback(self.nodes.proxies.stop)
            stack.enter_context(self.nodes)
            with raftsql.connect(self.nodes.url, autocommit=True, timeout=PATIENT_S) as connection:
                connection.executescript(SCHEMA)
                connection.close()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, colour: str, seconds: float) -> None:
        """So many seconds of trouble, with workers of one colour; then peace, and all nodes up."""
        first, self._first_worker = self._first_worker, self._first_worker + WORKERS
        with raftsql.connect(self.nodes.url, autocommit=True, timeout=PATIENT_S) as connection:
            counters = [(first + number,) for number in range(WORKERS)]
            connection.executemany("INSERT INTO counter VALUES(?, 0)", counters)
            connection.close()
        stop = threading.Event()
        trouble = threading.Thread(target=self._strike, args=(stop,))
        self.nodes.proxies.trouble()
        trouble.start()
        timer = threading.Timer(seconds, stop.set)
        timer.start()
        try:
            if colour == "threads":
                self._threads(first, stop)
            else:
                asyncio.run(self._tasks(first, stop))
        finally:
            timer.cancel()
            stop.set()
            trouble.join()
        self.nodes.proxies.heal()
        self.nodes.wait_for_leader(voters=3)
        self._wait_for_all()

    def _wait_for_all(self) -> None:
        """Until each node answers; one that has ended by itself is told with its last words."""
        give_up_at = time.monotonic() + WAIT_S
        for number, process in self.nodes.processes.items():
            while not self.nodes.status(number):
                ended = process.poll() is not None
                if ended or time.monotonic() > give_up_at:
                    words = (self.nodes.folder / f"node{number}.log").read_text()[-2000:]
                    raise AssertionError(f"node {number} does not answer:\n{words}")
                time.sleep(0.05)

    def _threads(self, first: int, stop: threading.Event) -> None:
        failures: list[BaseException] = []

        def work(worker: ThreadWorker) -> None:
            try:
                worker.work(stop)
            except BaseException as error:
                failures.append(error)

        workers = [
            ThreadWorker(first + number, self.nodes.url, self.ledger, self.seed)
            for number in range(WORKERS)
        ]
        threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    async def _tasks(self, first: int, stop: threading.Event) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                worker = TaskWorker(first + number, self.nodes.url, self.ledger, self.seed)
                group.create_task(worker.work(stop.is_set))

    def _strike(self, stop: threading.Event) -> None:
        """Hurt a leader now and then, until told to stop; leave all nodes running."""
        chance = random.Random(self.seed)
        while not stop.wait(chance.uniform(*KILL_EVERY_S)):
            leader = self.nodes.leader()
            if not leader:
                continue
            blow = chance.choices(list(BLOWS), list(BLOWS.values()))[0]
            self.blows[blow] += 1
            process = self.nodes.processes[leader]
            if blow == "pause":
                process.send_signal(signal.SIGSTOP)
                time.sleep(PAUSE_S)
                process.send_signal(signal.SIGCONT)
                continue
            if blow == "kill":
                self.nodes.kill(leader)
            else:
                self.nodes.stop(leader)
            time.sleep(chance.uniform(0.0, 1.0))
            self.nodes.start(leader)

    def anomalies(self) -> list[str]:
        """What each node's tables and the callers do not agree on."""
        with raftsql.connect(self.nodes.url, autocommit=True, timeout=PATIENT_S) as connection:
            # A write, so that all before it is behind the bookmark.
            connection.execute("UPDATE counter SET n = n WHERE worker = 0")
            bookmark = connection.bookmark
            connection.close()
        found: list[str] = []
        for address in self.nodes.addresses:
            connection = raftsql.connect(
                f"raftsql://{address}/", autocommit=True, consistency="session", timeout=PATIENT_S
            )
            connection.bookmark = bookmark
            found += [f"{address}: {each}" for each in self.ledger.anomalies(connection)]
            connection.close()
        return found
