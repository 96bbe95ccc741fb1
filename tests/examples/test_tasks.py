"""The task queue: nothing lost and nothing twice, whoever dies."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import raftsql
from examples import tasks
from tests.examples.conftest import Start
from tests.server.processes import Cluster, Node, until

pytestmark = pytest.mark.e2e

TASKS = 60


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[raftsql.Connection]:
    """An empty queue on a node of its own."""
    node = Node(tmp_path / "node").start().serves()
    connection = raftsql.connect(node.url, autocommit=True)
    connection.executescript(tasks.SCHEMA)
    yield connection
    connection.close()
    node.end()


def paid(connection: raftsql.Connection) -> int:
    (cents,) = connection.execute("SELECT coalesce(sum(cents), 0) FROM account").fetchone()
    assert isinstance(cents, int)
    return cents


def test_a_worker_who_comes_back_after_its_lease_changes_nothing(
    queue: raftsql.Connection,
) -> None:
    tasks.fill(queue, 1)
    late = tasks.claim(queue, 0)
    second = tasks.claim(queue, 60)
    assert late is not None
    assert second is not None
    assert (second.id, second.claim) == (late.id, late.claim + 1)
    assert not tasks.finish(queue, late, "late")
    assert paid(queue) == 0
    assert tasks.finish(queue, second, "second")
    assert not tasks.finish(queue, second, "second"), "nor does who finishes again"
    assert paid(queue) == second.cents
    assert queue.execute("SELECT done_by FROM task").fetchall() == [("second",)]


def test_a_task_is_in_one_pair_of_hands(queue: raftsql.Connection) -> None:
    tasks.fill(queue, TASKS)
    with ThreadPoolExecutor(4) as pool:
        claims = list(pool.map(lambda _: tasks.claim(queue, 60), range(TASKS + 5)))
    had = [task.id for task in claims if task is not None]
    assert sorted(had) == list(range(1, TASKS + 1))


@pytest.mark.long
def test_every_task_is_done_once_though_workers_and_the_leader_are_killed(
    cluster: Cluster, start: Start
) -> None:
    cluster.of(3)
    flags = ["--tasks", str(TASKS), "--workers", "3", "--deaths", "2", "--lease", "1"]
    process = start("tasks", *flags, url=cluster.url)
    with raftsql.connect(cluster.url, autocommit=True) as connection:

        def done() -> int:
            try:
                (count,) = connection.execute("SELECT count(done_by) FROM task").fetchone()
            except raftsql.OperationalError:
                return 0  # There is no such table yet.
            assert isinstance(count, int)
            return count

        until(lambda: done() > 5, "some tasks done")
        cluster.leader().kill()
        said, _ = process.communicate(timeout=90)
        assert process.returncode == 0, said
        assert said.count("a worker is killed") == 2
        assert "equal" in said
        assert done() == TASKS
        owed = connection.execute("SELECT sum(cents) FROM task").fetchone()
        assert owed == (paid(connection),)
