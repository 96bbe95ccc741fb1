"""A node's process from its start to its end: what it prints, what it answers, how it exits."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from raftsql.server.listening import SERVICES
from tests.server.processes import Node, until

NOBODY = "127.0.0.1:1"
SERVING = health_pb2.HealthCheckResponse.SERVING


def health(address: str, service: str = "") -> int:
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=service)
        try:
            return int(stub.Check(request, timeout=10).status)
        except grpc.RpcError as error:
            logging.getLogger(__name__).info("no health yet: %s", error)
            return 0


def test_a_node_that_runs_says_so_of_each_of_its_services(tmp_path: Path) -> None:
    node = Node(tmp_path / "node").start()
    try:
        node.serves()
        for service in ("", *SERVICES):
            assert health(node.address, service) == SERVING
    finally:
        node.stop()


def test_a_node_that_waits_for_others_is_not_healthy_and_stops_when_told(tmp_path: Path) -> None:
    node = Node(tmp_path / "node", "--join", NOBODY, "--bootstrap-expect", "2").start()
    try:
        until(lambda: node.status(), "an answer")
        assert health(node.address) != SERVING
        assert node.process is not None
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(15) == 0
    finally:
        node.stop()


def test_the_services_can_be_looked_up(tmp_path: Path) -> None:
    node = Node(tmp_path / "node").start()
    try:
        node.serves()
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        with grpc.insecure_channel(node.address) as channel:
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            (answer,) = stub.ServerReflectionInfo(iter([request]), timeout=10)
        names = {one.name for one in answer.list_services_response.service}
        assert set(SERVICES) <= names
    finally:
        node.stop()


def test_an_interrupt_stops_it_as_a_term_does(tmp_path: Path) -> None:
    node = Node(tmp_path / "node").start()
    try:
        node.serves()
        assert node.process is not None
        node.process.send_signal(signal.SIGINT)
        assert node.process.wait(15) == 0
    finally:
        node.stop()


def test_what_keeps_a_node_from_starting_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "node").write_text("not a folder")
    node = Node(tmp_path / "node")
    done = subprocess.run(node.command(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("raftsql serve: ")
    assert "Traceback" not in done.stderr


def test_systemd_hears_when_it_serves_and_when_it_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.settimeout(30)
        heard.bind("")
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + heard.getsockname()[1:].decode())
        node = Node(tmp_path / "node").start()
        try:
            assert node.process is not None
            assert heard.recv(100) == f"READY=1\nMAINPID={node.process.pid}".encode()
            node.serves()
            node.process.send_signal(signal.SIGTERM)
            assert heard.recv(100) == b"STOPPING=1"
            assert node.process.wait(15) == 0
        finally:
            node.stop()
