"""The pages of a running node: alive, ready, and its numbers."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from raftsql.raft.ready import RoleChange, RoleName
from raftsql.server.configuration import taken_up
from raftsql.server.host import Host
from raftsql.server.metrics import METRICS, Metrics
from raftsql.server.readiness import dead, unready
from raftsql.server.web import Web
from tests.rpc.net import free_port
from tests.server.test_host import led, made, running
from tests.server.test_settings import decided


async def fetched(address: str, path: str) -> tuple[int, str]:
    import asyncio

    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = (await asyncio.wait_for(reader.read(), 20)).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), body


@asynccontextmanager
async def served(host: Host) -> AsyncIterator[str]:
    address = f"127.0.0.1:{free_port()}"
    web = Web(host, Metrics(host), address)
    web.start()
    try:
        yield address
    finally:
        await web.close()


async def test_a_node_with_a_leader_is_alive_and_ready(tmp_path: Path) -> None:
    async with running(tmp_path) as host, served(host) as address:
        await led(host)
        assert await fetched(address, "/livez") == (200, "alive\n")
        assert await fetched(address, "/readyz") == (200, "ready\n")
        assert (await fetched(address, "/"))[0] == 404


async def test_a_node_that_waits_for_its_cluster_is_alive_and_not_ready(tmp_path: Path) -> None:
    host = made(tmp_path)
    async with served(host) as address:
        assert (await fetched(address, "/livez"))[0] == 200
        code, text = await fetched(address, "/readyz")
        assert code == 503
        assert "belongs to no cluster yet" in text
        assert "raftsql_up 0.0" in (await fetched(address, "/metrics"))[1]
    await host.close()


async def test_a_node_that_can_not_be_right_is_dead(tmp_path: Path) -> None:
    async with running(tmp_path) as host, served(host) as address:
        await led(host)
        assert host.runner is not None
        host.runner.fail(OSError("the disk is gone"))
        assert await fetched(address, "/livez") == (503, "the node has stopped: the disk is gone\n")
        assert (await fetched(address, "/readyz"))[0] == 503
        assert "raftsql_up 0.0" in (await fetched(address, "/metrics"))[1]


async def test_a_node_that_stops_or_lags_or_has_no_leader_is_not_ready(tmp_path: Path) -> None:
    async with running(tmp_path) as host:
        assert host.runner is not None
        if not host.runner.replica.leads:
            assert unready(host) == "no leader is known"
        await led(host)
        assert unready(host) == dead(host) == ""
        node = host.runner.node
        node.log.committed += 5
        host.settings, _ = taken_up(host.settings, decided("--ready-lag-entries", "4"))
        assert unready(host) == "the database is 5 entries behind what is committed"
        node.log.committed -= 5
        await host.hand_over()
        assert unready(host) == "the node is stopping"


async def test_every_number_of_the_table_is_told_by_a_leader_that_has_worked(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, "--backup-to", str(tmp_path / "b")) as host, served(host) as at:
        await led(host)
        host.admin.more["verified"] = lambda: {"equal": True}
        host.admin.more["backup"] = lambda: {"age_seconds": 3, "failure": None}
        ends = {"clients": "2026-11-21T00:00:00+00:00"}
        host.admin.more["certificates_valid_until"] = lambda: ends
        host.clients.tally.cells[0][0].add(250)
        code, text = await fetched(at, "/metrics")
        assert code == 200
        families = {one.name: one for one in text_string_to_metric_families(text)}
        absent = [
            named.name
            for named in METRICS
            if "raftsql_" + named.name.removesuffix("_total") not in families
        ]
        # These need a second member.
        assert absent == ["raft_peer_lag_entries", "raft_peer_heard_seconds"]
        assert families["raftsql_raft_is_leader"].samples[0].value == 1
        assert families["raftsql_journal_sync_seconds"].type == "histogram"
        assert families["raftsql_backup_age_seconds"].samples[0].value == 3
        assert "raftsql_raft_members" in families
        (end,) = families["raftsql_certificate_expires_time_seconds"].samples
        assert (end.labels, end.value) == ({"side": "clients"}, 1795219200.0)
        assert "process_resident_memory_bytes" in families


async def test_a_members_lag_is_told_by_the_leader(tmp_path: Path) -> None:
    from tests.server.test_host import asked

    async with running(tmp_path) as host:
        await led(host)
        await host.join(asked())
        text = Metrics(host).text()
        (line,) = [x for x in text.splitlines() if x.startswith("raftsql_raft_peer_lag_entries{")]
        assert 'peer="2"' in line
        assert float(line.split()[-1]) > 0


def test_each_name_is_lawful_and_has_help() -> None:
    names = [named.name for named in METRICS]
    assert len(set(names)) == len(names)
    assert all(named.help for named in METRICS)


async def test_elections_are_counted(tmp_path: Path) -> None:
    async with running(tmp_path) as host:
        await led(host)
        assert host.runner is not None
        before = host.runner.meters.elections
        assert before >= 1
        host.runner.meters.role_changed(RoleChange(RoleName.CANDIDATE, 99, 0))
        assert f"raftsql_raft_elections_total {before + 1}.0" in Metrics(host).text()


def test_a_port_that_is_taken_is_said_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        host = made(tmp_path)
        with pytest.raises(OSError, match=f"--http {address} can't be had"):
            Web(host, Metrics(host), address)
