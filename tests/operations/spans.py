"""A cluster in this process whose spans are kept in memory, and a driver's beside them.

OpenTelemetry knows one provider for a program, set once: the driver's spans go there. The nodes
have providers of their own, and all of them end in one place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path

from grpc_health.v1 import health
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from raftsql.server import listening, tracing
from raftsql.server.certificates import Tls
from raftsql.server.forming import Forming
from raftsql.server.host import Host
from raftsql.storage.files import RealFiles
from tests.rpc.net import free_port
from tests.server.test_settings import decided

FORMED_SECONDS_MAX = 30.0


def provider(spans: InMemorySpanExporter) -> TracerProvider:
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(SimpleSpanProcessor(spans))
    return made


@cache
def _of_the_program() -> InMemorySpanExporter:
    spans = InMemorySpanExporter()
    trace.set_tracer_provider(provider(spans))
    return spans


def of_the_program() -> InMemorySpanExporter:
    """Where the spans of this process end; empty."""
    spans = _of_the_program()
    spans.clear()
    return spans


@asynccontextmanager
async def cluster(
    folder: Path, spans: InMemorySpanExporter | None, count: int = 3
) -> AsyncIterator[list[Host]]:
    """So many nodes that record their spans there, the first of them leading; None: no spans."""
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(count)]
    async with AsyncExitStack() as stack:
        hosts = []
        for number, address in enumerate(addresses, 1):
            join = [] if number == 1 else ["--join", addresses[0]]
            settings = decided(
                "--data-dir", str(folder / f"node{number}"), "--listen", address, *join
            )
            hosts.append(await stack.enter_async_context(_node(settings, spans)))
        async with asyncio.timeout(FORMED_SECONDS_MAX):
            while not _formed(hosts):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        yield hosts


@asynccontextmanager
async def _node(settings, spans: InMemorySpanExporter | None) -> AsyncIterator[Host]:  # type: ignore[no-untyped-def]
    host = Host(settings, Forming(settings, RealFiles(), "same", lambda _: None))
    if spans is not None:
        host.clients.tracing = tracing.tracing_of(provider(spans), lambda: host.forming.me.node)
    servers = listening.servers(host, health.aio.HealthServicer(), Tls())
    for server in servers:
        await server.start()
    try:
        host.start(await host.forming.place(), RealFiles())
        yield host
    finally:
        for server in servers:
            await server.stop(0.5)
        await host.close()


def _formed(hosts: list[Host]) -> bool:
    runners = [host.runner for host in hosts if host.runner is not None]
    voters = [len(runner.node.membership.voters) for runner in runners]
    level = {runner.node.log.applied for runner in runners}
    return runners[0].replica.leads and voters == [len(hosts)] * len(hosts) and len(level) == 1


def url(*hosts: Host) -> str:
    return f"raftsql://{','.join(host.settings.advertise for host in hosts)}/?tracing=on"


def names(spans: list[ReadableSpan]) -> list[str]:
    """What was recorded, in the order of its beginning."""
    ordered = sorted(spans, key=lambda span: (span.start_time or 0, -(span.end_time or 0)))
    return [span.name for span in ordered]
