"""The composed nodes, started as the files say but on loopback ports: the same variables form a
cluster, the image's health check passes, and a pod's last command hands the lead over."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

import raftsql
from raftsql.server.operate import Unreachable, status
from raftsql.server.places import places
from tests.operations.nodes import free_ports
from tests.operations.page import environment
from tests.server.processes import Cluster, until

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
PROGRAM = [sys.executable, "-m", "raftsql.server"]


class Composed:
    """Three processes with the environment of the compose file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        services = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())["services"]
        ports = free_ports(2 * len(services))
        self.sql = {name: f"127.0.0.1:{port}" for name, port in zip(services, ports, strict=False)}
        self.http = dict(zip(services, ports[len(services) :], strict=True))
        self._environments = {
            name: {**image_environment(), **service["environment"]}
            for name, service in services.items()
        }

    def _placed(self, text: str) -> str:
        for name, address in self.sql.items():
            text = text.replace(f"{name}:4001", address)
        return text

    def environment(self, name: str) -> dict[str, str]:
        """What the container would have, with this machine's places in it."""
        given = {key: self._placed(value) for key, value in self._environments[name].items()}
        plain = {k: v for k, v in os.environ.items() if not k.startswith("RAFTSQL_")}
        return {
            **plain,
            **given,
            "RAFTSQL_DATA_DIR": str(self._folder / name),
            "RAFTSQL_LISTEN": self.sql[name],
            "RAFTSQL_HTTP": f"127.0.0.1:{self.http[name]}",
        }

    def start(self, name: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [*PROGRAM, "serve"], env=self.environment(name), stdout=log, stderr=log
            )

    def status(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(status(self.sql[name], timeout=5.0))
        except Unreachable:
            return {}
        return found


def image_environment() -> dict[str, str]:
    """What the image sets, but for PATH."""
    lines = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    (line,) = [line for line in lines if line.startswith("ENV ")]
    pairs = dict(pair.split("=", 1) for pair in shlex.split(line)[1:])
    return {name: value for name, value in pairs.items() if name != "PATH"}


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    found = Composed(tmp_path_factory.mktemp("composed"))
    with ExitStack() as ends:
        for name in found.sql:
            process = found.start(name)
            ends.callback(process.wait, 15)
            ends.callback(process.kill)
        for name in found.sql:
            until(lambda n=name: found.status(n).get("ready"), f"{name} to be ready")  # type: ignore[misc]
        yield found


def test_the_composed_nodes_form_one_cluster(composed: Composed) -> None:
    clusters = {composed.status(name)["cluster"] for name in composed.sql}
    assert len(clusters) == 1
    members = composed.status("n1")["members"]
    assert {member["address"] for member in members} == set(composed.sql.values())
    with raftsql.connect(f"raftsql://{','.join(composed.sql.values())}/") as connection:
        connection.execute("CREATE TABLE t(v)")
        connection.commit()


def test_the_images_health_check_passes_and_would_fail(composed: Composed) -> None:
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    (line,) = [line for line in text.splitlines() if line.startswith("HEALTHCHECK")]
    command = json.loads(line.partition("CMD")[2])
    for port, code in ((composed.http["n1"], 0), (1, 1)):
        words = [word.replace(":4080", f":{port}") for word in command]
        assert words[0] == "python"
        done = subprocess.run(
            [sys.executable, *words[1:]], capture_output=True, timeout=30, check=False
        )
        assert done.returncode == code


class Pod:
    """What Kubernetes runs before it stops a container, at one of the nodes."""

    def __init__(self, folder: Path) -> None:
        documents = yaml.safe_load_all((DEPLOY / "kubernetes" / "raftsql.yaml").read_text())
        (stateful,) = [one for one in documents if one["kind"] == "StatefulSet"]
        (container,) = stateful["spec"]["template"]["spec"]["containers"]
        self._command = container["lifecycle"]["preStop"]["exec"]["command"]
        self.secret = folder / "url"
        programs = folder / "bin"
        programs.mkdir()
        (programs / "raftsql").write_text(
            f'#!/bin/sh\nexec "{sys.executable}" -m raftsql.server "$@"\n'
        )
        (programs / "raftsql").chmod(0o755)
        self._environment = {**environment(), "PATH": f"{programs}:{os.environ['PATH']}"}

    def stops(self, address: str) -> subprocess.CompletedProcess[str]:
        script = [
            word.replace("/etc/raftsql/operator/url", str(self.secret))
            .replace("127.0.0.1:4001", address)
            for word in self._command
        ]  # fmt: skip
        return subprocess.run(
            script, env=self._environment, capture_output=True, text=True, timeout=30, check=False
        )


def test_a_pods_last_command_hands_the_lead_over(composed: Composed, tmp_path: Path) -> None:
    pod = Pod(tmp_path)

    def leader() -> str:
        return until(
            lambda: next((n for n in composed.sql if composed.status(n)["role"] == "leader"), ""),
            "a leader",
        )

    before = leader()
    done = pod.stops(composed.sql[before])
    assert done.returncode == 0, done.stderr
    assert leader() != before
    again = pod.stops(composed.sql[before])
    assert again.returncode == 0, "where it does not lead there is nothing to do"


def test_a_pod_of_a_cluster_with_users_hands_over_with_its_secret(tmp_path: Path) -> None:
    pod, cluster = Pod(tmp_path), Cluster(tmp_path)
    try:
        nodes = cluster.of(3)
        added = subprocess.run(
            [*PROGRAM, "user", "add", "operator", "--role", "admin", "--url", cluster.url],
            input="a word of its own\n", capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert added.returncode == 0, added.stderr
        login = f"raftsql://operator:a%20word%20of%20its%20own@{cluster.nodes[0].address}/"

        def leads(number: int) -> bool:
            (place,) = places(login.replace(nodes[0].address, nodes[number].address))
            return bool(json.loads(status(place, timeout=5.0))["role"] == "leader")

        until(lambda: any(leads(number) for number in range(3)), "a leader")
        (before,) = [number for number in range(3) if leads(number)]
        refused = pod.stops(nodes[before].address)
        assert refused.returncode == 1
        assert "give a user and a password" in refused.stderr
        pod.secret.write_text(login.replace(nodes[0].address, nodes[before].address) + "\n")
        done = pod.stops(nodes[before].address)
        assert done.returncode == 0, done.stderr
        until(lambda: any(leads(n) for n in range(3) if n != before), "another leader")
        assert "a word of its own" not in done.stdout + done.stderr
    finally:
        cluster.end()
