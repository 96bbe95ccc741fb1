"""A task queue: every task is done once, though its workers die in the middle of them.

    python -m examples.tasks                  # workers are killed on the way; the books must agree

The tasks are payments. A worker claims one for a while (a lease), does it, and marks it done in the
same transaction as its effect. When it dies, or is too slow, the lease ends and the task is
another worker's. Claims are counted: who comes back late finds that his claim is not the last one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import signal
import time
from contextlib import suppress
from multiprocessing.process import BaseProcess
from typing import NamedTuple

import raftsql
from examples.cluster import cluster

SCHEMA = """
CREATE TABLE IF NOT EXISTS task(
    id INTEGER PRIMARY KEY,
    payee TEXT NOT NULL,
    cents INTEGER NOT NULL,
    claims INTEGER NOT NULL DEFAULT 0,
    leased_until REAL NOT NULL DEFAULT 0,
    done_by TEXT
);
CREATE INDEX IF NOT EXISTS task_to_do ON task(id) WHERE done_by IS NULL;
CREATE TABLE IF NOT EXISTS account(payee TEXT PRIMARY KEY, cents INTEGER NOT NULL);
"""

# One statement takes a task and tells which: nobody can come between, and the driver may repeat it
# after a lost answer, since a write that is sent again has the answer of the first time. The time
# is the cluster's, the same on every node, and never goes back; no worker's clock matters.
CLAIM = """
UPDATE task SET claims = claims + 1, leased_until = unixepoch('subsec') + :seconds
WHERE id = (
    SELECT id FROM task
    WHERE done_by IS NULL AND leased_until <= unixepoch('subsec') ORDER BY id LIMIT 1
)
RETURNING id, payee, cents, claims
"""
DONE = "UPDATE task SET done_by = ? WHERE id = ? AND claims = ? AND done_by IS NULL"
PAY = """
INSERT INTO account VALUES (?, ?) ON CONFLICT DO UPDATE SET cents = cents + excluded.cents
"""
TO_DO = "SELECT count(*) FROM task WHERE done_by IS NULL"


class Task(NamedTuple):
    """A task in the hands of a worker; `claim` is the how manieth hands these are."""

    id: int
    payee: str
    cents: int
    claim: int


def claim(connection: raftsql.Connection, seconds: float) -> Task | None:
    """The next task, for so long; None when there is none to be had now."""
    row = connection.execute(CLAIM, {"seconds": seconds}).fetchone()
    return Task(*row) if row else None


def finish(connection: raftsql.Connection, task: Task, worker: str) -> bool:
    """Mark it done, and pay, together; False, and nothing is paid, if the claim is not the last."""

    def both(connection: raftsql.Connection) -> bool:
        if not connection.execute(DONE, (worker, task.id, task.claim)).rowcount:
            return False
        connection.execute(PAY, (task.payee, task.cents))
        return True

    return connection.run_transaction(both)


def work(url: str, worker: str, lease: float) -> None:
    """Do tasks until none is left, in a process that may be killed at any time."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started it.
    connection = raftsql.connect(url, autocommit=True)
    while connection.execute(TO_DO).fetchone() != (0,):
        task = claim(connection, lease)
        if task is None:
            time.sleep(lease / 10)  # All are in other hands.
            continue
        time.sleep(random.uniform(0.01, 0.05))  # The work itself.
        finish(connection, task, worker)
    connection.close()


def fill(connection: raftsql.Connection, count: int) -> None:
    """Put so many tasks into the queue."""
    rows = [(random.choice(("Ada", "Grace", "Barbara")), 100 + k) for k in range(count)]
    connection.executemany("INSERT INTO task(payee, cents) VALUES (?, ?)", rows)


def run(url: str, *, tasks: int, workers: int, deaths: int, lease: float) -> None:
    """Let workers do tasks, and kill some of them on the way."""
    connection = raftsql.connect(url, autocommit=True)
    connection.executescript(SCHEMA)
    fill(connection, tasks)
    spawn = multiprocessing.get_context("spawn")
    crew: list[BaseProcess] = []
    while (left := connection.execute(TO_DO).fetchone()[0]) or any(w.is_alive() for w in crew):
        crew = [worker for worker in crew if worker.is_alive()]
        while left and len(crew) < workers:
            name = f"worker-{random.randrange(10**6)}"
            crew.append(spawn.Process(target=work, args=(url, name, lease), daemon=True))
            crew[-1].start()
        time.sleep(0.3)
        if deaths and left < tasks:
            deaths -= 1
            random.choice(crew).kill()
            print(f"{left} tasks left; a worker is killed", flush=True)
    report(connection)
    connection.close()


def report(connection: raftsql.Connection) -> None:
    """Compare the tasks with the accounts; both come from one moment."""
    with connection.transaction():
        done, claims, owed = connection.execute(
            "SELECT count(done_by), sum(claims), sum(cents) FROM task"
        ).fetchone()
        (paid,) = connection.execute("SELECT sum(cents) FROM account").fetchone()
    print(f"{done} tasks done, {claims - done} of them taken over from others")
    print(f"{owed} cents owed, {paid} paid: {'equal' if owed == paid else 'NOT EQUAL'}")


def main() -> None:
    """Run the queue on RAFTSQL_URL's cluster, or on one of its own."""
    parser = argparse.ArgumentParser("examples.tasks", description="a task queue")
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--deaths", type=int, default=5, help="how many workers are killed")
    parser.add_argument("--lease", type=float, default=2.0, metavar="SECONDS")
    with cluster() as url:
        run(url, **vars(parser.parse_args()))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
