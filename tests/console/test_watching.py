"""What a page is told of the cluster: each second, and when something happens."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from raftsql.raft.ready import RoleChange, RoleName
from raftsql.server.console.watching import HAPPENED_MAX
from tests.console.browsing import served, until


async def test_the_cluster_is_told_each_second(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        await browser.query("CREATE TABLE t(a)")
        answer = await browser.open("GET", "/api/events")
        assert answer.headers["content-type"].startswith("text/event-stream")
        pictures = []
        async with asyncio.timeout(20):
            async for name, told in answer.events():
                if name != "cluster":
                    continue
                pictures.append(told)
                if len(pictures) == 1:
                    await browser.query("INSERT INTO t VALUES (1)")
                if told["rates"]["writes"]:
                    break
        (member,) = pictures[-1]["members"]
        assert pictures[-1]["leader"] == 1
        assert (member["role"], member["lag"], member["reachable"]) == ("leader", 0, True)
        assert member["applied"] > 0
        assert member["memory_bytes"] > 1_000_000
        assert member["disk_bytes"] > 0
        assert member["console"] == f"http://{node.address}/console/"
        assert pictures[-1]["alarms"] == []
        assert pictures[-1]["rates"]["write_p50_ms"] > 0
        answer.leave()
        watch = node.console.watch
        await until(lambda: not watch._listeners and not watch._gathering.known)


async def test_what_happened_is_kept_to_a_bound_and_told_to_whoever_looks(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        stream = await browser.open("GET", "/api/events")
        watch = node.console.watch
        await until(lambda: bool(watch._listeners))
        for number in range(3 * HAPPENED_MAX):
            watch.happen("alarm", f"number {number} <script>\nevent: cluster " + "x" * 1000)
        found = (await browser.get("/api/timeline")).json["happened"]
        assert len(found) == HAPPENED_MAX
        assert found[-1]["text"].startswith(f"number {3 * HAPPENED_MAX - 1} <script>")
        assert all(len(one["text"]) <= 500 for one in found)
        (listener,) = watch._listeners
        assert len(listener.happened) <= HAPPENED_MAX
        names = set()
        async with asyncio.timeout(20):
            async for name, told in stream.events():
                names.add(name)
                if name == "happened" and str(3 * HAPPENED_MAX - 1) in told["text"]:
                    break
        assert names <= {"cluster", "happened"}


async def test_a_change_of_the_lead_is_told_at_once(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        watch = node.console.watch
        watch.role_changed(RoleChange(RoleName.FOLLOWER, 9, 0))
        watch.role_changed(RoleChange(RoleName.CANDIDATE, 10, 0))
        watch.role_changed(RoleChange(RoleName.FOLLOWER, 10, 3))
        watch.role_changed(RoleChange(RoleName.FOLLOWER, 10, 3))
        assert [one["text"] for one in watch.happened()][-3:] == [
            "node 1 is not heard any more",
            "node 1 campaigns in term 10",
            "node 3 leads in term 10",
        ]


async def test_the_gatherer_goes_on_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path) as node:
        browser = await node.browser()
        watch, failures = node.console.watch, 0
        look = watch._gathering.look

        def broken() -> None:
            nonlocal failures
            failures += 1
            monkeypatch.setattr(watch._gathering, "look", look)
            raise RuntimeError("once")

        monkeypatch.setattr(watch._gathering, "look", broken)
        stream = await browser.open("GET", "/api/events")
        async with asyncio.timeout(20):
            async for name, _ in stream.events():
                if name == "cluster":
                    break
        assert failures == 1
