"""The way from the console to its own node: it ends as a stream of gRPC's does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from raftsql.rpc.gate import Caller, Denied
from raftsql.server.console.inside import Administration, Conversation, Ended, HomeCluster
from raftsql_driver.aio import AsyncConnection
from raftsql_driver.errors import AuthenticationFailed, Error, Unavailable
from raftsql_proto import admin_pb2
from raftsql_proto.client_pb2 import Frames
from raftsql_proto.frames import PROTOCOL, Hello, encode
from tests.console.browsing import served, until
from tests.server.test_host import made


async def test_a_connection_inside_does_what_others_do(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        cluster = HomeCluster(node.host.clients, node.host.gate, None)
        connection = AsyncConnection(cluster.address, cluster)
        await connection.execute("CREATE TABLE t(a)")
        cursor = await connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(9)])
        assert cursor.rowcount == 9
        async with connection.transaction():
            await connection.execute("DELETE FROM t WHERE a > 4")
        assert await (await connection.execute("SELECT count(*) FROM t")).fetchall() == [(5,)]
        assert len(node.host.clients.streams) == 1
        await connection.close()
        await cluster.close()
        await until(lambda: not node.host.clients.streams)


async def test_a_user_that_is_not_one_any_more_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        await node.add("root", role="admin")
        user = node.host.gate.access.users["root"]
        stale = Caller("root", user.number, user.since - 1)
        for caller in (None, stale):
            cluster = HomeCluster(node.host.clients, node.host.gate, caller)
            connection = AsyncConnection(cluster.address, cluster)
            with pytest.raises((Error, Denied)):
                await connection.execute("SELECT 1")
            await connection.close()
            await cluster.close()


async def test_a_node_that_fails_is_no_end_without_a_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        async def Connect(self, requests: object, context: object) -> None:
            raise KeyError("secret")

    call: Any = Conversation(Broken(), "test")  # type: ignore[arg-type]
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.UNKNOWN
    assert await call.details() == "the node failed: KeyError"
    assert "a stream of the console's failed" in caplog.text


async def test_a_greeting_that_is_refused_says_how(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        await node.add("root", role="admin")
        call: Any = Conversation(node.host.clients, "test")
        await call.write(Frames(batch=encode([Hello(PROTOCOL, "x", "root:wrong")])))
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
        assert "wrong" in await call.details()
        with pytest.raises(asyncio.InvalidStateError):
            await call.write(Frames())
        await call.close()


async def test_a_node_without_a_cluster_is_unavailable(tmp_path: Path) -> None:
    host = made(tmp_path)
    cluster = HomeCluster(host.clients, host.gate, None)
    connection = AsyncConnection(cluster.address, cluster)
    connection.timeout = 0.2
    with pytest.raises((Unavailable, AuthenticationFailed)):
        await connection.execute("SELECT 1")
    await connection.close()
    await cluster.close()
    await host.close()


async def test_an_administrators_calls_pass_the_ward(tmp_path: Path) -> None:
    async with served(tmp_path) as node:
        await node.add("root", role="admin")
        await node.add("ann", role="write")
        users = node.host.gate.access.users
        administration = Administration(node.host.admin, node.host.gate)
        callers = {n: Caller(n, users[n].number, users[n].since) for n in ("root", "ann")}
        request = admin_pb2.CompactRequest()
        reply = await administration.call("Compact", request, callers["root"], "here")
        assert reply.durable_upto > 0
        with pytest.raises(Ended) as caught:
            await administration.call("Compact", request, callers["ann"], "here")
        assert caught.value.status is grpc.StatusCode.PERMISSION_DENIED
        with pytest.raises(Denied):
            await administration.call("Compact", request, None, "here")
        wish = admin_pb2.BackupRequest()
        with pytest.raises(Ended):
            await anext(administration.stream("Backup", wish, callers["ann"], "here"))
