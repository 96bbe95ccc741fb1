"""The store of settings: a bookmark is honoured at every node, and no change is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path

import pytest

from examples.settings import Setting, Settings, near
from tests.examples.conftest import Start
from tests.server.processes import Cluster, Node

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def test_a_bookmark_is_honoured_at_every_node_though_the_leader_is_killed(
    cluster: Cluster,
) -> None:
    nodes = cluster.of(3)
    writer = Settings(cluster.url)
    writer.create()
    readers = [Settings(near(cluster.url, number)) for number in range(3)]
    assert {reader.connection.node for reader in readers} == {node.address for node in nodes}
    for value in range(60):
        if value == 20:
            cluster.leader().kill()
        written = writer.put("limit", str(value))
        for reader in readers:
            reader.seen = writer.seen
            assert reader.read("limit") == written


def test_a_swap_is_refused_when_somebody_was_faster_though_the_leader_is_killed(
    cluster: Cluster,
) -> None:
    cluster.of(3)
    first = Settings(cluster.url)
    first.create()
    first.put("counter", "0")

    def count_up(number: int) -> None:
        settings = Settings(near(cluster.url, number))
        settings.seen = first.seen
        for step in range(20):
            if (number, step) == (0, 10):
                cluster.leader().kill()
            while True:
                found = settings.read("counter")
                assert found is not None
                if settings.swap(found, str(int(found.value or 0) + 1)):
                    break

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(count_up, range(3)))
    assert first.put("end", None).version == 62, "each change has taken one version"
    found = first.read("counter")
    assert found is not None
    assert found.value == "60"


def test_watchers_see_changes_in_order_and_the_last_one_of_each(tmp_path: Path) -> None:
    node = Node(tmp_path / "node").start().serves()
    try:
        writer, watcher = Settings(node.url), Settings(node.url)
        writer.create()

        def watch() -> list[Setting]:
            return list(takewhile(lambda setting: setting.key != "end", watcher.watch()))

        with ThreadPoolExecutor(1) as pool:
            seen = pool.submit(watch)
            for value in range(30):
                writer.put(f"key{value % 3}", str(value))
            writer.put("key1", None)
            writer.put("end", "")
        versions = [setting.version for setting in seen.result()]
        assert versions == sorted(set(versions))
        last = {setting.key: setting.value for setting in seen.result()}
        assert last == {"key0": "27", "key1": None, "key2": "29"}
    finally:
        node.end()


def test_the_commands_hand_a_bookmark_from_one_to_the_other(tmp_path: Path, start: Start) -> None:
    node = Node(tmp_path / "node").start().serves()
    try:
        bookmark, _ = start("settings", "set", "limit", "20", url=node.url).communicate(timeout=30)
        assert bookmark.startswith("raftsql:1:"), bookmark
        flags = ["get", "limit", "--seen", bookmark.strip()]
        said, _ = start("settings", *flags, url=node.url).communicate(timeout=30)
        assert "value='20'" in said
    finally:
        node.end()


def test_each_near_url_begins_with_another_node() -> None:
    url = "raftsql://ada:secret@a:1,b:2/?timeout=3"
    assert near(url, 0) == url
    assert near("raftsql://a:1,b:2,c:3/?timeout=3", 1) == "raftsql://b:2,c:3,a:1/?timeout=3"
