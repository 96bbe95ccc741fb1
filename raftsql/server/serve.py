"""`raftsql serve`: one node, from its command line to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from grpc_health.v1 import health, health_pb2

from raftsql.cluster.opening import DatabaseBehind
from raftsql.database.environment import fingerprint
from raftsql.database.errors import MachineStopped
from raftsql.server import listening, logs, readiness, tracing
from raftsql.server.certificates import tls_of
from raftsql.server.configuration import Configuration
from raftsql.server.ending import Whereabouts, exit_code, last_words
from raftsql.server.forming import CannotJoin, Forming
from raftsql.server.host import Host
from raftsql.server.metrics import Metrics
from raftsql.server.notify import Supervisor
from raftsql.server.reloading import Reloading
from raftsql.server.settings import BadSettings, ServeSettings
from raftsql.storage.errors import StorageError
from raftsql.storage.files import RealFiles

if TYPE_CHECKING:
    from raftsql.server.web import Web

log = logging.getLogger("raftsql.server")

GRACE_SECONDS = 1.0

CANNOT_START = (CannotJoin, StorageError, MachineStopped, DatabaseBehind, OSError)


def run(configuration: Configuration, read: Callable[[], Configuration]) -> int:
    """Serve until told to stop; the exit code. `read` reads the configuration again."""
    settings = configuration.settings
    logs.configure(settings.log_level, settings.log_format, logs.Place)
    for doubt in configuration.doubts:
        log.warning("%s", doubt)
    # SQL's localtime is the machine's zone, which must be the same on every node.
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        return _run_loop(configuration, read)
    except BadSettings as error:
        print(f"raftsql serve: {error}", file=sys.stderr)
        return 2
    except CANNOT_START as error:
        return _ended(error, Whereabouts(settings.data_dir))


def _run_loop(configuration: Configuration, read: Callable[[], Configuration]) -> int:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(_serve(configuration, read))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(configuration, read))


async def _serve(configuration: Configuration, read: Callable[[], Configuration]) -> int:
    settings, stop = configuration.settings, asyncio.Event()
    files = RealFiles()
    tls = tls_of(settings)
    forming = Forming(settings, files, fingerprint(), lambda text: _waits(host, text), tls.roads)
    host = Host(settings, forming)
    spans = tracing.provider_of(settings.advertise) if settings.tracing else None
    if spans is not None:
        host.clients.tracing = tracing.tracing_of(spans, lambda: forming.me.node)

    def apply(changed: ServeSettings) -> None:
        logs.configure(changed.log_level, changed.log_format, host.where)
        host.reconfigure(changed)
        tls.refresh()

    metrics = Metrics(host)
    host.admin.metrics = metrics.text
    host.admin.more |= readiness.told(host)
    if settings.tls_cert:
        host.admin.more["certificates_valid_until"] = tls.told
    supervisor = Supervisor(os.environ)
    apply(settings)
    _heed_signals(stop, Reloading(settings, read, apply))
    vitals = health.aio.HealthServicer()
    await vitals.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    servers = listening.servers(host, vitals, tls)
    web = _web(host, metrics, settings.http)
    for server in servers:
        await server.start()
    supervisor.tell("READY=1", f"MAINPID={os.getpid()}")
    supervisor.keep_telling()
    try:
        place = await _first_of(forming.place(), stop)
        if place is None:
            return 0
        try:
            runner = host.start(place, files)
        except CANNOT_START as error:
            return _ended(error, host.whereabouts())
        log.info("node %d serves on %s, in %s", forming.me.node, settings.listen, settings.data_dir)
        for service in ("", *listening.SERVICES):
            await vitals.set(service, health_pb2.HealthCheckResponse.SERVING)
        await _first_of(runner.stopped.wait(), stop)
        supervisor.tell("STOPPING=1")
        await vitals.enter_graceful_shutdown()
        await host.hand_over()
        if runner.failure is None:
            return 0
        return _ended(runner.failure, host.whereabouts())
    finally:
        supervisor.close()
        await asyncio.gather(*(server.stop(GRACE_SECONDS) for server in servers))
        if web is not None:
            await web.close()
        await host.close()
        if spans is not None:
            tracing.close(spans)


def _ended(failure: BaseException, place: Whereabouts) -> int:
    """Say why, and what to do; the exit code."""
    print(f"raftsql serve: {last_words(failure, place)}", file=sys.stderr)
    return exit_code(failure)


def _web(host: Host, metrics: Metrics, address: str) -> Web | None:
    """The HTTP side, if it was asked for; its library is loaded for nobody else."""
    if not address:
        return None
    from raftsql.server.web import Web

    web = Web(host, metrics, address)
    web.start()
    log.info("metrics and health are served on http://%s", address)
    return web


def _heed_signals(stop: asyncio.Event, reloading: Reloading) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reloading.reload)


def _waits(host: Host, text: str) -> None:
    if host.admin.waits_for != text:
        host.admin.waits_for = text
        log.info("this node %s", text)


async def _first_of(work, stop: asyncio.Event):  # type: ignore[no-untyped-def]
    """The result of the work, or None when told to stop before."""
    task = asyncio.ensure_future(work)
    told = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for one in (task, told):
            one.cancel()
            with contextlib.suppress(asyncio.CancelledError, *CANNOT_START):
                await one
