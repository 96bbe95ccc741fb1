"""The console of a node, assembled: its routes, and what they share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Final, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from raftsql.rpc.gate import Caller
from raftsql.server.console import (
    acting,
    checking,
    entering,
    exporting,
    pages,
    queries,
    schema,
    transactions,
    watching,
)
from raftsql.server.console.guarding import (
    LOGIN_BYTES_MAX,
    Point,
    SafeHeaders,
    Takes,
    guarded,
    refused,
)
from raftsql.server.console.inside import Administration, HomeCluster
from raftsql.server.console.sessions import Sessions
from raftsql.server.console.streaming import Pace
from raftsql.server.console.watching import Watch
from raftsql.server.host import Host
from raftsql.server.readiness import console_url

T = TypeVar("T")

SWEEP_SECONDS: Final = 1.0

POINTS: Final = (
    Point("GET", "/", Takes.NOTHING, pages.index),
    Point("GET", "/static/{name}", Takes.NOTHING, pages.static),
    Point("POST", "/api/login", Takes.NOTHING, entering.login, entering.Login, LOGIN_BYTES_MAX),
    Point("GET", "/api/me", Takes.NOTHING, entering.me),
    Point("POST", "/api/logout", Takes.USER, entering.logout),
    Point("GET", "/api/events", Takes.USER, watching.events),
    Point("GET", "/api/timeline", Takes.USER, watching.timeline),
    Point("POST", "/api/query", Takes.USER, queries.query, queries.QueryAsked),
    Point("DELETE", "/api/query/{id}", Takes.USER, queries.cancel),
    Point("POST", "/api/transactions", Takes.USER, transactions.begin),
    Point("POST", "/api/transactions/{id}/commit", Takes.USER, transactions.commit),
    Point("POST", "/api/transactions/{id}/rollback", Takes.USER, transactions.rollback),
    Point("POST", "/api/export", Takes.USER, exporting.export, exporting.ExportAsked),
    Point("POST", "/api/check", Takes.USER, checking.check, checking.CheckAsked),
    Point("POST", "/api/plan", Takes.USER, checking.explain, checking.PlanAsked),
    Point("GET", "/api/schema", Takes.USER, schema.schema),
    Point("GET", "/api/table", Takes.USER, schema.table),
    Point("POST", "/api/actions/transfer", Takes.ADMIN, acting.transfer, acting.Transfer),
    Point("POST", "/api/actions/add", Takes.ADMIN, acting.add, acting.Add),
    Point("POST", "/api/actions/promote", Takes.ADMIN, acting.add, acting.Add),
    Point("POST", "/api/actions/remove", Takes.ADMIN, acting.remove, acting.Remove),
    Point("POST", "/api/actions/snapshot", Takes.ADMIN, acting.snapshot),
    Point("POST", "/api/actions/verify", Takes.ADMIN, acting.verify),
    Point("GET", "/api/backup", Takes.ADMIN, acting.backup),
)
"""All that the console serves. What is not here is not there."""


class Console:
    """One node's console, from `start` to `close`."""

    def __init__(self, host: Host) -> None:
        """Nothing runs yet."""
        settings = host.settings
        self.host = host
        self.log = logging.getLogger("raftsql.console")
        self.pace = Pace()
        self.queries = 0
        """Under way now, of all sessions."""
        self.held = 0
        """Those of them that hold a large result."""
        self.actions = 0
        """Of administrators, under way now."""
        # A cookie is for a machine and not for a port: each node's has a name of its own.
        self.cookie = f"raftsql_console_{settings.http.rpartition(':')[2]}"
        self.names = {address.rpartition(":")[0] for address in (settings.http, settings.advertise)}
        self.administration = Administration(host.admin, host.gate)
        self.sessions = Sessions(
            host.gate, self._way, idle_seconds=settings.console_idle_seconds, clock=monotonic
        )
        self.watch = Watch(self)
        self._clusters: dict[Caller | None, HomeCluster] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="console")
        self._sweeper: asyncio.Task[None] | None = None

    def mount(self) -> Mount:
        """The routes, under /console."""
        routes = [Route(p.path, guarded(self, p), methods=[p.method]) for p in POINTS]

        async def lost(_: Request, error: Exception) -> Response:
            return refused(self, error)

        app = Starlette(routes=routes, exception_handlers={404: lost, 405: lost, 500: lost})
        return Mount("/console", app=SafeHeaders(app))

    def start(self) -> None:
        """Look after sessions, and note what happens."""
        self._sweeper = asyncio.create_task(self._sweep())
        self.watch.start()
        self.log.info("the console is served at %s", console_url(self.host))

    async def beside(self, look: Callable[[], T]) -> T:
        """Do what takes long in a thread, one at a time."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, look)

    def _way(self, caller: Caller | None) -> HomeCluster:
        """All sessions of one user share their way to the node."""
        found = self._clusters.get(caller)
        if found is None:
            found = self._clusters[caller] = HomeCluster(self.host.clients, self.host.gate, caller)
        return found

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sessions.sweep()
                for caller in set(self._clusters) - self.sessions.callers():
                    await self._clusters.pop(caller).close()
            except Exception:
                self.log.exception("sessions could not be looked after")

    async def close(self) -> None:
        """End everything."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self.watch.close()
        await self.sessions.close()
        for cluster in self._clusters.values():
            await cluster.close()
        self._thread.shutdown(wait=False, cancel_futures=True)
