"""What an operator asks of a node that is alone; test_members.py asks whole clusters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from raftsql.raft.membership import RemoveMember
from raftsql.raft.ready import Refused, Why
from raftsql.rpc.admin_service import AdminService, changed, most_level
from raftsql.rpc.handing_over import hand_over
from raftsql_proto import admin_pb2
from tests.cluster.running import running


class Aborted(Exception):
    """The call was ended with a status."""


class Context:
    """A call's surroundings."""

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise Aborted(details)

    def invocation_metadata(self) -> tuple[Any, ...]:
        return ()


async def test_a_node_without_a_place_answers_status_and_nothing_else() -> None:
    service, context = AdminService("n1:1"), Context()
    reply = await service.Status(admin_pb2.StatusRequest(), context)  # type: ignore[arg-type]
    assert "n1:1" in reply.json
    with pytest.raises(Aborted, match="belongs to no cluster yet"):
        await service.Transfer(admin_pb2.TransferRequest(), context)  # type: ignore[arg-type]


async def test_metrics_are_told_once_somebody_counts() -> None:
    service, context = AdminService("n1:1"), Context()
    with pytest.raises(Aborted, match="counts nothing"):
        await service.Metrics(admin_pb2.MetricsRequest(), context)  # type: ignore[arg-type]
    service.metrics = lambda: "raftsql_up 1.0\n"
    reply = await service.Metrics(admin_pb2.MetricsRequest(), context)  # type: ignore[arg-type]
    assert reply.text == "raftsql_up 1.0\n"


async def test_a_lead_can_not_be_handed_to_a_stranger(tmp_path: Path) -> None:
    async with running(tmp_path / "d") as node:
        with pytest.raises(Refused) as refused:
            await hand_over(node.runner, 9, seconds=1)
        assert refused.value.why is Why.NOT_A_VOTER
        assert most_level(node.runner) == 0, "there is nobody else"


async def test_a_change_that_is_refused_says_why(tmp_path: Path) -> None:
    async with running(tmp_path / "d") as node:
        problem = await changed(node.runner, RemoveMember(9))
        assert problem is not None
        assert "9" in problem
