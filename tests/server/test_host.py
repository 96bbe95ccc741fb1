"""A node, assembled, in this process: who may join it, and what it says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from raftsql.raft.messages import Position, SnapshotMeta
from raftsql.rpc.joining import JoinAsked
from raftsql.server.forming import Forming
from raftsql.server.host import Host
from raftsql.server.logs import Place
from raftsql.storage.files import RealFiles
from tests.rpc.net import free_port
from tests.server.test_settings import decided


def made(folder: Path, *flags: str) -> Host:
    settings = decided(
        "--data-dir", str(folder / "node"), "--listen", f"127.0.0.1:{free_port()}", *flags
    )
    return Host(settings, Forming(settings, RealFiles(), "same", lambda _: None))


@asynccontextmanager
async def running(folder: Path, *flags: str) -> AsyncIterator[Host]:
    host = made(folder, *flags)
    host.start(await host.forming.place(), RealFiles())
    try:
        assert host.runner is not None
        await host.runner.housekeeping.compact()
        yield host
    finally:
        await host.close()


def asked(**changes: object) -> JoinAsked:
    plain = JoinAsked(
        cluster=0, node=0, identity="new", address="127.0.0.1:9", fingerprint="same",
        learner=True, priority=0,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


async def led(host: Host) -> None:
    assert host.runner is not None
    async with asyncio.timeout(20):
        while not host.runner.replica.leads:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_before_it_has_a_place_it_says_who_it_is_and_takes_nobody(tmp_path: Path) -> None:
    host = made(tmp_path, "--node-id", "3")
    said = host.introduce()
    assert (said.cluster, said.node, said.leader) == (0, 3, "")
    assert not (await host.join(asked())).accepted
    assert host.membership().members == {}
    meta = SnapshotMeta(Position(9, 1), b"")
    assert "not running yet" in host.snapshot_unwanted(meta, 1)
    assert host.where() == Place(3, 0)
    await host.hand_over()
    await host.close()


async def test_a_node_gets_a_number_and_the_same_one_when_it_asks_again(tmp_path: Path) -> None:
    async with running(tmp_path) as host:
        await led(host)
        answer = await host.join(asked())
        assert (answer.accepted, answer.node) == (True, 2)
        assert answer.cluster == host.forming.me.cluster
        again = await host.join(asked())
        assert (again.accepted, again.node) == (True, 2)
        assert host.membership().members[2].address == "127.0.0.1:9"
        assert not host.membership().members[2].voter


async def test_a_member_that_moved_is_known_where_it_is_now(tmp_path: Path) -> None:
    async with running(tmp_path) as host:
        await led(host)
        await host.join(asked())
        assert (await host.join(asked(address="127.0.0.1:10"))).accepted
        assert host.membership().members[2].address == "127.0.0.1:10"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"fingerprint": "other"}, "install the same versions"),
        ({"cluster": 77}, "belongs to cluster 4d"),
        ({"node": 1}, "another data directory"),
    ],
)
async def test_who_does_not_fit_is_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, object], why: str
) -> None:
    async with running(tmp_path) as host:
        await led(host)
        answer = await host.join(asked(**changes))
        assert not answer.accepted
        assert why in answer.reason
        assert list(host.membership().members) == [1]


async def test_an_allowed_fingerprint_is_let_in(tmp_path: Path) -> None:
    async with running(tmp_path, "--allow-fingerprint", "other") as host:
        await led(host)
        assert (await host.join(asked(fingerprint="other"))).accepted


async def test_a_snapshot_of_what_is_here_already_is_not_wanted(tmp_path: Path) -> None:
    async with running(tmp_path) as host:
        await led(host)
        assert host.runner is not None
        term, committed = host.runner.node.term, host.runner.node.log.committed
        assert "holds everything" in host.snapshot_unwanted(
            SnapshotMeta(Position(committed, 1), b""), term
        )
        assert "is over" in host.snapshot_unwanted(SnapshotMeta(Position(999, 1), b""), term - 1)
        assert host.snapshot_unwanted(SnapshotMeta(Position(999, 1), b""), term) == ""


async def test_new_settings_reach_what_can_take_them_up(tmp_path: Path) -> None:
    async with running(tmp_path) as host:
        assert host.runner is not None
        changes = decided("--log-entries-max", "77", "--backup-to", str(tmp_path / "b"))
        host.reconfigure(changes)
        assert host.runner.housekeeping.bounds.entries_max == 77
        assert "backup" in host.admin.more
        host.reconfigure(decided())
        assert "backup" not in host.admin.more


async def test_a_node_opens_its_own_directory_again(tmp_path: Path) -> None:
    async with running(tmp_path) as host:
        await led(host)
        await host.join(asked())
        address = host.settings.listen
    async with running(tmp_path, "--advertise", address) as host:
        member = host.membership().members[2]
        assert (member.address, member.identity) == ("127.0.0.1:9", "new")
        assert host.introduce().cluster == host.forming.me.cluster
