"""What nodes ask each other beside the log, over loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from raftsql.cluster.marking import FileMissing
from raftsql.cluster.summing import NoSum
from raftsql.raft.membership import Membership
from raftsql.rpc import channels, siblings
from raftsql.rpc.peer_service import PeerService, add_to
from raftsql.rpc.peers import Me
from raftsql.rpc.shipping import Bandwidth
from raftsql.rpc.sibling_service import SiblingService
from raftsql.rpc.siblings import Siblings, Unreachable
from raftsql.sql.commands import CommandKind, Restore
from tests.operations.nodes import free_ports
from tests.operations.solo import Solo


def me(node: int, *, cluster: int = 1) -> Me:
    return Me(cluster=cluster, node=node, identity=f"{node}", fingerprint="f", address="h:1")


class Events:
    """As little of a host as the peers' door asks for."""

    def membership(self) -> Membership:
        return Membership()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        raise AssertionError(f"{name} is not asked for here")


@asynccontextmanager
async def served(solo: Solo) -> AsyncIterator[str]:
    """The node answers as number 1."""
    (port,) = free_ports(1)
    door = PeerService(me(1), Events())
    door.siblings = SiblingService(
        solo.runner, Siblings(me(1), solo.runner), door.unwelcome, Bandwidth(0)
    )
    server = channels.server()
    add_to(server, door)
    channels.listen(server, f"127.0.0.1:{port}")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Solo, Solo, str]]:
    async with Solo(tmp_path / "one") as one, Solo(tmp_path / "two") as two, served(one) as at:
        yield one, two, at


def held(solo: Solo, tmp_path: Path, size: int = 3_000_000) -> Restore:
    path = tmp_path / "file"
    path.write_bytes(bytes(n % 251 for n in range(size)))
    return solo.bring_in(path)


async def test_a_file_comes_whole(pair: tuple[Solo, Solo, str], tmp_path: Path) -> None:
    one, two, at = pair
    restore = held(one, tmp_path)
    await Siblings(me(2), two.runner).fetch_from(1, at, restore)
    path = two.runner.marking.uploads.held(restore)
    assert path is not None
    assert path.read_bytes() == (tmp_path / "file").read_bytes()


async def test_only_what_is_missing_is_sent_again(
    pair: tuple[Solo, Solo, str], tmp_path: Path
) -> None:
    one, two, at = pair
    restore = held(one, tmp_path)
    begun = two.runner.marking.uploads.resume(restore)
    begun.write((tmp_path / "file").read_bytes()[:2_999_000])
    begun.pause()
    taken: list[int] = []
    asking = Siblings(me(2), two.runner)
    write = asking._write

    async def counted(upload: Any, data: bytes) -> None:
        taken.append(len(data))
        await write(upload, data)

    asking._write = counted  # type: ignore[method-assign]
    await asking.fetch_from(1, at, restore)
    assert sum(taken) == 1_000
    assert two.runner.marking.uploads.held(restore) is not None


async def test_a_node_without_the_file_says_so(pair: tuple[Solo, Solo, str]) -> None:
    _, two, at = pair
    with pytest.raises(FileMissing, match="not here"):
        await Siblings(me(2), two.runner).fetch_from(1, at, Restore(b"x" * 32, 10))


async def test_a_node_of_another_cluster_is_told_nothing(
    pair: tuple[Solo, Solo, str], tmp_path: Path
) -> None:
    one, two, at = pair
    restore = held(one, tmp_path, 100)
    stranger = Siblings(me(2, cluster=9), two.runner)
    with pytest.raises(FileMissing, match="cluster"):
        await stranger.fetch_from(1, at, restore)
    with pytest.raises(NoSum, match="cluster"):
        await stranger.checksum(1, at, 1, 5.0)
    assert "cluster" in await stranger.hold(1, at, restore, 5.0)


async def test_a_node_that_is_gone_is_unreachable_and_soon_so(
    pair: tuple[Solo, Solo, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, two, _ = pair
    monkeypatch.setattr(siblings, "FAILURES_MAX", 1)
    asking = Siblings(me(2), two.runner)
    (port,) = free_ports(1)
    nobody = f"127.0.0.1:{port}"
    with pytest.raises(Unreachable):
        await asking.checksum(1, nobody, 1, 5.0)
    with pytest.raises(Unreachable):
        await asking.hold(1, nobody, Restore(b"x" * 32, 10), 5.0)
    with pytest.raises(FileMissing, match="reached"):
        await asking.fetch_from(1, nobody, Restore(b"x" * 32, 10))


async def test_a_sum_comes_over_as_it_was_made(pair: tuple[Solo, Solo, str]) -> None:
    one, two, at = pair
    await one.sql("CREATE TABLE t(a)")
    index, _ = await one.propose(CommandKind.VERIFY, b"")
    asking = Siblings(me(2), two.runner)
    assert await asking.checksum(1, at, index, 5.0) == await one.runner.marking.sums.of(index)
    with pytest.raises(NoSum, match="no checksum"):
        await asking.checksum(1, at, index - 1, 5.0)
    with pytest.raises((NoSum, Unreachable)):
        await asking.checksum(1, at, index + 1_000, 0.2)


async def test_a_snapshot_comes_whole_when_it_is_of_a_moment_late_enough(
    pair: tuple[Solo, Solo, str],
) -> None:
    one, two, at = pair
    await one.sql("CREATE TABLE t(a)")
    applied = one.runner.node.log.applied
    asking = Siblings(me(2), two.runner)
    taken = await asking._substitute_from(1, at, applied)
    assert taken.last.index == applied
    assert taken.path.parent == two.runner.stores.database.parent
    with pytest.raises(FileMissing, match="not applied"):
        await asking._substitute_from(1, at, applied + 1)
