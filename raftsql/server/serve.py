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

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from raftsql.cluster.opening import DatabaseBehind
from raftsql.database.environment import fingerprint
from raftsql.database.errors import MachineStopped
from raftsql.rpc import channels, peer_service
from raftsql.server import logs
from raftsql.server.configuration import Configuration
from raftsql.server.forming import CannotJoin, Forming
from raftsql.server.host import Host
from raftsql.server.reloading import Reloading
from raftsql.server.settings import ServeSettings
from raftsql.storage.errors import StorageError
from raftsql.storage.files import RealFiles
from raftsql_proto import admin_pb2, client_pb2
from raftsql_proto.admin_pb2_grpc import add_AdminServicer_to_server
from raftsql_proto.client_pb2_grpc import add_ClientServicer_to_server

log = logging.getLogger("raftsql.server")

GRACE_SECONDS = 1.0
SERVICES = ("raftsql.v1.Client", "raftsql.v1.Peers", "raftsql.v1.Admin")

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
    except CANNOT_START as error:
        print(f"raftsql serve: {error}", file=sys.stderr)
        return 1


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
    forming = Forming(settings, files, fingerprint(), lambda text: _waits(host, text))
    host = Host(settings, forming)

    def apply(changed: ServeSettings) -> None:
        logs.configure(changed.log_level, changed.log_format, host.where)
        host.reconfigure(changed)

    apply(settings)
    _heed_signals(stop, Reloading(settings, read, apply))
    server, vitals = _server(host)
    await vitals.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    channels.listen(server, settings.listen)
    await server.start()
    try:
        place = await _first_of(forming.place(), stop)
        if place is None:
            return 0
        runner = host.start(place, files)
        log.info("node %d serves on %s, in %s", forming.me.node, settings.listen, settings.data_dir)
        for service in ("", *SERVICES):
            await vitals.set(service, health_pb2.HealthCheckResponse.SERVING)
        await _first_of(runner.stopped.wait(), stop)
        await vitals.enter_graceful_shutdown()
        await host.hand_over()
        return 1 if runner.failure else 0
    finally:
        await server.stop(GRACE_SECONDS)
        await host.close()


def _heed_signals(stop: asyncio.Event, reloading: Reloading) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reloading.reload)


def _waits(host: Host, text: str) -> None:
    if host.admin.waits_for != text:
        host.admin.waits_for = text
        log.info("this node %s", text)


def _server(host: Host) -> tuple[grpc.aio.Server, health.aio.HealthServicer]:
    server = channels.server()
    vitals = health.aio.HealthServicer()
    peer_service.add_to(server, host.peers)
    add_ClientServicer_to_server(host.clients, server)
    add_AdminServicer_to_server(host.admin, server)
    health_pb2_grpc.add_HealthServicer_to_server(vitals, server)
    # Naming the modules that define the services is what registers them for reflection.
    assert client_pb2.DESCRIPTOR
    assert admin_pb2.DESCRIPTOR
    reflection.enable_server_reflection(
        (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )
    return server, vitals


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
