"""OpenTelemetry in the program: where a node's spans go, as the OTEL_* environment says.

The package is an extra and is loaded by nobody who did not ask. What the environment can say is
OpenTelemetry's own: the exporter, its address, the sampler, the batches, the resource.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

import raftsql
from raftsql.server.settings import BadSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

    from raftsql.rpc.tracing import Tracing

FLUSH_SECONDS_MAX: Final = 2.0
"""A node that stops does not wait longer for a collector that may be gone."""
_PROTOCOLS: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
_INSTALL: Final = "install the extra: pip install 'raftsql[opentelemetry]'"


def provider_of(address: str, environment: Mapping[str, str] = os.environ) -> TracerProvider:
    """What makes a node's spans and hands them to the exporter. Raises BadSettings."""
    try:
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise BadSettings(f"tracing needs OpenTelemetry ({error}); {_INSTALL}") from error
    own = {
        "service.name": "raftsql",
        "service.version": raftsql.__version__,
        "service.instance.id": address,
    }
    # What the operator names wins over what the program knows of itself.
    resource = Resource.create({**own, **OTELResourceDetector().detect().attributes})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = _exporter(environment)
    if exporter is not None:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _exporter(environment: Mapping[str, str]) -> SpanExporter | None:
    name = environment.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if name == "none":
        return None
    if name == "otlp":
        protocol = (
            environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
            or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL")
            or "grpc"
        ).strip()
        if protocol not in _PROTOCOLS:
            known = " or ".join(_PROTOCOLS)
            raise BadSettings(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: write {known}")
        name = _PROTOCOLS[protocol]
    found = entry_points(group="opentelemetry_traces_exporter", name=name)
    if not found:
        raise BadSettings(f"OTEL_TRACES_EXPORTER={name}: there is no such exporter; {_INSTALL}")
    exporter: SpanExporter = next(iter(found)).load()()
    return exporter


def tracing_of(provider: TracerProvider, node: Callable[[], int]) -> Tracing:
    """What the node's services follow requests with."""
    from raftsql.rpc.tracing import Tracing

    return Tracing(provider, raftsql.__version__, node)


def close(provider: TracerProvider) -> None:
    """Hand on what is left, as long as that takes no longer than a moment."""
    thread = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
    thread.start()
    thread.join(FLUSH_SECONDS_MAX)
