"""A fake cluster for each test that wants one."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from raftsql_driver.aio import AsyncConnection
from raftsql_driver.sync import Connection, connect
from tests.driver.fake import FakeServer


@pytest.fixture
def unused_tcp_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def server() -> Iterator[FakeServer]:
    server = FakeServer(1).start()
    yield server
    server.stop()


@pytest.fixture
def three() -> Iterator[FakeServer]:
    server = FakeServer(3).start()
    yield server
    server.stop()


@pytest.fixture
def connection(server: FakeServer) -> Iterator[Connection]:
    connection = connect(server.url, timeout=10)
    yield connection
    connection.close()


@pytest.fixture
async def aconnection(server: FakeServer) -> AsyncIterator[AsyncConnection]:
    connection = await AsyncConnection.connect(server.url, timeout=10)
    yield connection
    await connection.close()


@pytest.fixture
def table(connection: Connection) -> Any:
    connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
    connection.commit()
    return connection
