"""What a node serves over HTTP, where it was asked to: /metrics, /livez and /readyz.

It runs in the node's own event loop, so that /livez says that this loop turns; each answer takes
it a few milliseconds at most, far less than a heartbeat's interval (decision 0140).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import uvicorn
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from raftsql.server.heads import PromptHeads
from raftsql.server.host import Host
from raftsql.server.metrics import Metrics
from raftsql.server.readiness import dead, unready
from raftsql.server.settings import ServeSettings

if TYPE_CHECKING:
    from raftsql.server.console.app import Console
    from raftsql.server.console.encryption import Encryption

log = logging.getLogger("raftsql.server")

STOP_SECONDS = 1
"""How long a scrape that is under way may keep a stopping node."""
CONNECTIONS_MAX = 100
PAGES_MAX = 1_000
"""With a console: a page that is open holds a connection, and may not keep a probe out."""


def application(host: Host, metrics: Metrics, console: Console | None = None) -> Starlette:
    """The pages of a node."""

    async def livez(_: Request) -> Response:
        return _verdict(dead(host), "alive")

    async def readyz(_: Request) -> Response:
        return _verdict(unready(host), "ready")

    async def numbers(_: Request) -> Response:
        return PlainTextResponse(metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return Starlette(
        routes=[
            Route("/livez", livez),
            Route("/readyz", readyz),
            Route("/metrics", numbers),
            *([console.mount()] if console is not None else []),
        ]
    )


def _verdict(problem: str, well: str) -> Response:
    return PlainTextResponse(f"{problem or well}\n", 503 if problem else 200)


class _Embedded(uvicorn.Server):
    """A server that leaves the process' signals to the node."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Web:
    """The HTTP side of a node, from `start` to `close`."""

    def __init__(self, host: Host, metrics: Metrics, address: str) -> None:
        """Take the port at once: OSError says that it can't be had."""
        place, _, port = address.rpartition(":")
        try:
            self._socket = socket.create_server(
                (place.strip("[]"), int(port)),
                family=socket.AF_INET6 if ":" in place else socket.AF_INET,
            )
        except OSError as error:
            raise OSError(error.errno, f"--http {address} can't be had: {error.strerror}") from None
        self.console = _console(host)
        config = uvicorn.Config(
            application(host, metrics, self.console),
            http=PromptHeads,
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,  # Or whoever is on this machine could say to be elsewhere.
            limit_concurrency=CONNECTIONS_MAX if self.console is None else PAGES_MAX,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        self.encryption = None if self.console is None else _tls(config, host.settings)
        self._server = _Embedded(config)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Serve from now on."""
        if self.console is not None:
            self.console.start()
        self._task = asyncio.create_task(self._serve())
        if self.encryption is not None:
            self.encryption.start()

    async def _serve(self) -> None:
        """A page that can't be served is no reason for the node to stop."""
        try:
            await self._server.serve(sockets=[self._socket])
        except Exception:
            log.exception("the pages are not served any more")

    async def close(self) -> None:
        """Let go of the port."""
        # That a page does not read its last words is nothing to tell an operator.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._server.should_exit = True
        if self.encryption is not None:
            self.encryption.close()
        if self.console is not None:
            await self.console.close()
        if self._task is not None:
            await self._task
        self._socket.close()


def _console(host: Host) -> Console | None:
    """The console, if it was asked for; loaded for nobody else."""
    if not host.settings.console:
        return None
    from raftsql.server.console.app import Console

    return Console(host)


def _tls(config: uvicorn.Config, settings: ServeSettings) -> Encryption | None:
    """Where clients are served with TLS, so is the console, and whatever else is at its port."""
    if not settings.tls_cert:
        return None
    from raftsql.server.console.encryption import Encryption

    encryption = Encryption(settings)
    config.load()
    config.ssl = encryption.context
    return encryption
