"""Who founds a cluster that several wait for: exactly one of them, once all are there."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from raftsql.rpc.joining import Introduction
from raftsql.server.forming import CannotJoin, Forming
from raftsql.server.settings import ServeSettings
from raftsql.storage.errors import DataDirError
from raftsql.storage.files import RealFiles
from tests.server.test_settings import decided


def forming(folder: Path, number: int, *flags: str) -> Forming:
    address = f"h{number}:1"
    others = ",".join(f"h{n}:1" for n in (1, 2, 3))
    settings: ServeSettings = decided(
        "--data-dir", str(folder / str(number)), "--listen", f"127.0.0.1:{number}",
        "--advertise", address, "--bootstrap-expect", "3", "--join", others, *flags,
    )  # fmt: skip
    return Forming(settings, RealFiles(), "same", lambda _: None)


def introduced(node: Forming, **fields: Any) -> Introduction:
    given: dict[str, Any] = {
        "cluster": 0,
        "node": node.me.node,
        "identity": node.me.identity,
        "address": node.me.address,
        "fingerprint": node.me.fingerprint,
        "expects": node.expects,
    }
    return Introduction(**(given | fields))


@pytest.mark.parametrize("numbers", [(), (1,), (1, 2, 3), (3, 2)])
def test_exactly_one_of_those_that_wait_founds(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    nodes = [
        forming(tmp_path, place, *(["--node-id", str(number)] if number else []))
        for place, number in itertools.zip_longest((1, 2, 3), numbers)
    ]
    founders = [
        node
        for node in nodes
        if node._may_found([introduced(other) for other in nodes if other is not node])
    ]
    assert len(founders) == 1
    if numbers:
        assert founders[0].me.node == min(numbers)


def test_nobody_founds_before_all_are_there(tmp_path: Path) -> None:
    nodes = [forming(tmp_path, number) for number in (1, 2, 3)]
    for one, other in itertools.permutations(nodes, 2):
        assert not one._may_found([introduced(other)])
        assert not one._may_found([introduced(other), introduced(other)]), "one node, two places"


def test_who_waits_for_another_number_does_not_count(tmp_path: Path) -> None:
    nodes = [forming(tmp_path, number) for number in (1, 2, 3)]
    for node in nodes:
        rest = [introduced(other, expects=5) for other in nodes if other is not node]
        assert not node._may_found(rest)


def test_two_nodes_with_one_number_are_told(tmp_path: Path) -> None:
    one, two, three = (forming(tmp_path, n, "--node-id", "4") for n in (1, 2, 3))
    with pytest.raises(CannotJoin, match="two nodes are started with --node-id 4"):
        one._may_found([introduced(two), introduced(three)])


def test_a_node_that_was_killed_on_its_way_is_the_same_node_again(tmp_path: Path) -> None:
    first = forming(tmp_path, 1)
    (tmp_path / "1").mkdir()
    first._begin(founds=False)
    assert forming(tmp_path, 1).me.identity == first.me.identity
    assert forming(tmp_path, 2).me.identity != first.me.identity


async def test_a_data_directory_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataDirError, match=r"file/1 can't be made: .*--data-dir"):
        await forming(tmp_path / "file", 1).place()
