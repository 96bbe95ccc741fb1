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
from tests.operations.nodes import free_ports
from tests.server.processes import until

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


def test_a_pods_last_command_hands_the_lead_over(composed: Composed) -> None:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes" / "raftsql.yaml").read_text())
    (stateful,) = [one for one in documents if one["kind"] == "StatefulSet"]
    (container,) = stateful["spec"]["template"]["spec"]["containers"]
    command = container["lifecycle"]["preStop"]["exec"]["command"]

    def leader() -> str:
        return until(
            lambda: next((n for n in composed.sql if composed.status(n)["role"] == "leader"), ""),
            "a leader",
        )

    before = leader()
    words = [word.replace("127.0.0.1:4001", composed.sql[before]) for word in command[1:]]
    done = subprocess.run([*PROGRAM, *words], capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert leader() != before
    again = subprocess.run([*PROGRAM, *words], capture_output=True, timeout=30, check=False)
    assert again.returncode == 0, "where it does not lead there is nothing to do"
