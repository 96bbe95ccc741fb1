"""A node's console in this process, and a browser for it: bare HTTP, with a cookie jar."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raftsql.server.console.app import Console
from raftsql.server.console.encryption import Encryption
from raftsql.server.console.inside import Context
from raftsql.server.host import Host
from raftsql.server.metrics import Metrics
from raftsql.server.readiness import told
from raftsql.server.web import Web
from raftsql.storage.files import RealFiles
from raftsql_proto import users_pb2
from tests.rpc.net import free_port
from tests.server.test_host import led, made

SECONDS = 60.0
PASSWORD = "a long enough word"


_opened: list[asyncio.StreamWriter] = []
"""By the browsers of a test; closed at its end."""


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def kind(self) -> str:
        return str(self.json["error"]["kind"])


class Open:
    """A response that is being read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.status = 0
        self.headers: dict[str, str] = {}
        self._rest = b""

    async def head(self) -> Open:
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *others = text.strip().split("\r\n")
        self.status = int(first.split()[1])
        for line in others:
            name, _, value = line.partition(": ")
            self.headers[name.lower()] = value
        return self

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content as it comes."""
        if self.headers.get("transfer-encoding") != "chunked":
            length = int(self.headers.get("content-length", "0"))
            if length:
                yield await self.reader.readexactly(length)
            return
        while size := int(await self.reader.readline(), 16):
            yield await self.reader.readexactly(size)
            await self.reader.readexactly(2)

    async def lines(self) -> AsyncIterator[bytes]:
        """The content, line by line."""
        async for piece in self.pieces():
            *whole, self._rest = (self._rest + piece).split(b"\n")
            for line in whole:
                yield line

    async def events(self) -> AsyncIterator[tuple[str, Any]]:
        """Server-sent events."""
        name = ""
        async for line in self.lines():
            if line.startswith(b"event: "):
                name = line[7:].decode()
            elif line.startswith(b"data: "):
                yield name, json.loads(line[6:])

    def leave(self) -> None:
        """Go away without a word."""
        self.writer.transport.abort()


@dataclass
class Browser:
    """Somebody's."""

    address: str
    cookies: dict[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None

    async def open(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Open:
        host, _, port = self.address.rpartition(":")
        reader, writer = await asyncio.open_connection(
            host, int(port), ssl=self.tls, limit=1 << 24, server_hostname=host if self.tls else None
        )
        content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        given = {"host": self.address, "connection": "close"}
        if method not in ("GET", "HEAD"):
            given |= {"x-raftsql-console": "1", "content-type": "application/json"}
            given["content-length"] = str(len(content))
        if self.cookies:
            given["cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        given |= headers or {}
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
        request = f"{method} /console{path} HTTP/1.1\r\n{head}\r\n".encode()
        _opened.append(writer)
        writer.write(request + (content if method not in ("GET", "HEAD") else b""))
        answer = await Open(reader, writer).head()
        if cookie := answer.headers.get("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        async with asyncio.timeout(SECONDS):
            answer = await self.open(method, path, body, headers)
            content = b"" if method == "HEAD" else b"".join([p async for p in answer.pieces()])
            answer.writer.close()
            return Reply(answer.status, answer.headers, content)

    async def get(self, path: str, **headers: str) -> Reply:
        return await self.ask("GET", path, None, headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Reply:
        return await self.ask("POST", path, body, headers)

    async def query(self, sql: str, **more: Any) -> list[Any]:
        reply = await self.post("/api/query", {"sql": sql, **more})
        assert reply.status == 200, reply.body
        return reply.lines

    async def rows(self, sql: str, **more: Any) -> list[Any]:
        lines = await self.query(sql, **more)
        assert "end" in lines[-1], lines[-1]
        return [row for line in lines for row in line.get("rows", [])]

    async def login(self, user: str, password: str = PASSWORD) -> Browser:
        reply = await self.post("/api/login", {"user": user, "password": password})
        assert reply.status == 200, reply.body
        return self


@dataclass
class Served:
    """One node with its console."""

    host: Host
    console: Console
    address: str
    encryption: Encryption | None = None

    async def browser(self, user: str = "") -> Browser:
        made = Browser(self.address)
        if user:
            return await made.login(user)
        assert (await made.get("/api/me")).status == 200
        return made

    async def add(self, user: str, **what: Any) -> None:
        """Make a user, as an operator on this machine does."""
        request = users_pb2.AddUser(password=PASSWORD, **what)
        await self.change(user, add=request)

    async def change(self, user: str, **what: Any) -> None:
        by = self.host.gate.access.users.get("root")
        token = self.host.gate.token_of(by) if by is not None else ""
        context: Any = Context("unix:test", token)
        await self.host.users.Change(users_pb2.ChangeRequest(user=user, **what), context)


@asynccontextmanager
async def served(folder: Path, *flags: str) -> AsyncIterator[Served]:
    """A node of its own that leads, and serves its console."""
    address = f"127.0.0.1:{free_port()}"
    host = made(folder, "--http", address, "--console", *flags)
    host.admin.more |= told(host)
    web = Web(host, Metrics(host), address)
    web.start()
    try:
        host.start(await host.forming.place(), RealFiles())
        await led(host)
        assert web.console is not None
        yield Served(host, web.console, address, web.encryption)
    finally:
        await web.close()
        await host.close()
        leave_all()


def leave_all() -> None:
    """Close what the browsers of this test have opened, while there is a loop to close it in."""
    for writer in _opened:
        writer.transport.abort()
    _opened.clear()


async def until(happened: Callable[[], bool]) -> None:
    """Wait for what can't be awaited; it has an end."""
    async with asyncio.timeout(SECONDS):
        while not happened():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
