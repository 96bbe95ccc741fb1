"""Where a node's spans go: as OpenTelemetry's own variables say, and nowhere unless asked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as wire
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.sdk.trace import TracerProvider

from raftsql.server.settings import BadSettings
from raftsql.server.tracing import close, provider_of
from raftsql_proto import client_pb2
from raftsql_proto.client_pb2_grpc import ClientStub
from tests.server.processes import Cluster, until

NOWHERE = {"OTEL_TRACES_EXPORTER": "none"}


def test_an_exporter_that_is_not_there_is_named() -> None:
    with pytest.raises(BadSettings, match=r"OTEL_TRACES_EXPORTER=smoke-signals.*pip install"):
        provider_of("127.0.0.1:1", {"OTEL_TRACES_EXPORTER": "smoke-signals"})
    with pytest.raises(BadSettings, match="write grpc or http/protobuf"):
        provider_of("127.0.0.1:1", {"OTEL_EXPORTER_OTLP_PROTOCOL": "morse"})


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_both_of_otlps_protocols_are_spoken(protocol: str) -> None:
    made = provider_of("127.0.0.1:1", {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": protocol})
    close(made)


def test_what_the_operator_names_wins_over_what_the_program_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = provider_of("10.0.0.1:4001", NOWHERE).resource.attributes
    assert found["service.name"] == "raftsql"
    assert found["service.instance.id"] == "10.0.0.1:4001"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "orders")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=blue,site=north")
    found = provider_of("10.0.0.1:4001", NOWHERE).resource.attributes
    named = (found["service.name"], found["service.instance.id"], found["site"])
    assert named == ("orders", "blue", "north")


def test_a_collector_that_hangs_keeps_no_node_from_stopping() -> None:
    hangs = threading.Event()

    class Hanging(TracerProvider):
        def shutdown(self) -> None:
            hangs.wait(60)

    close(Hanging(shutdown_on_exit=False))
    hangs.set()


@pytest.mark.e2e
def test_without_the_extra_a_node_says_what_to_install(tmp_path: Path) -> None:
    serve = ["serve", "--tracing", "--data-dir", str(tmp_path / "data")]
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        f"from raftsql.server.cli import main; sys.exit(main({serve!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "pip install 'raftsql[opentelemetry]'" in done.stderr
    assert "Traceback" not in done.stderr


class Collector(TraceServiceServicer):
    """Takes spans as any OTLP collector does."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def Export(self, request: Any, context: Any) -> wire.ExportTraceServiceResponse:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return wire.ExportTraceServiceResponse()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    port = server.add_insecure_port("127.0.0.1:0")
    made = Collector()
    add_TraceServiceServicer_to_server(made, server)
    server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    assert "OTEL_TRACES_EXPORTER" not in os.environ
    yield made
    server.stop(None)


@pytest.mark.e2e
def test_a_real_node_hands_its_spans_to_a_collector(cluster: Cluster, collector: Collector) -> None:
    node = cluster.founder("--tracing")
    with grpc.insecure_channel(node.address) as channel:
        request = client_pb2.ExecuteRequest(sql="CREATE TABLE t (x)", timeout_ms=20_000)
        caller = [("traceparent", f"00-{'ab' * 16}-{'cd' * 8}-01")]
        ClientStub(channel).Execute(request, metadata=caller)
    wanted = {"raftsql write", "queue", "replicate", "apply"}
    until(lambda: {span.name for span in collector.spans} >= wanted, "the spans")
    assert {span.trace_id.hex() for span in collector.spans} == {"ab" * 16}
    assert node.stop() == 0
