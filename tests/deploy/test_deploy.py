"""The files in deploy/ can be read, and name only what exists: flags, variables, metrics, pages."""

from __future__ import annotations

import argparse
import configparser
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from raftsql.server import cli, operate
from raftsql.server.configuration import OTHER_VARIABLES, add_flags, decide
from raftsql.server.ending import TO_BE_REPLACED
from raftsql.server.metrics import HISTOGRAM, METRICS
from raftsql.server.settings import SETTINGS, ServeSettings

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
VARIABLES = {setting.variable for setting in SETTINGS} | {"RAFTSQL_" + n for n in OTHER_VARIABLES}
HISTOGRAM_SERIES = re.compile("_(?:bucket|count|sum)$")
PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}


def files() -> list[Path]:
    return sorted(path for path in DEPLOY.rglob("*") if path.is_file())


def decided(environment: dict[str, str], *flags: str) -> ServeSettings:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return decide(parser.parse_args(flags), environment).settings


def metrics_in(text: str) -> set[str]:
    """The metrics that an expression names; of a histogram's three series, the histogram."""
    found = set(re.findall(r"\b(?:raftsql|process)_[a-z_]+\b", text))
    histograms = {"raftsql_" + one.name for one in METRICS if one.kind is HISTOGRAM}
    return {
        HISTOGRAM_SERIES.sub("", n) if HISTOGRAM_SERIES.sub("", n) in histograms else n
        for n in found
    }


def known_metrics() -> set[str]:
    return {"raftsql_" + named.name for named in METRICS} | PROCESS


@pytest.mark.parametrize("path", files(), ids=lambda p: p.name)
def test_every_variable_is_a_setting(path: Path) -> None:
    found = set(re.findall(r"\bRAFTSQL_[A-Z_]+\b", path.read_text()))
    assert found <= VARIABLES


def test_all_kinds_of_files_are_there() -> None:
    assert {path.name for path in files()} == {
        "Dockerfile", "Dockerfile.dockerignore", "docker-compose.yml", "raftsql.yaml",
        "raftsql.service", "node.toml", "alerts.yml", "raftsql.json",
    }  # fmt: skip


# Docker.


def test_the_image_serves_as_a_user_of_its_own_and_is_probed() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    last = dict(steps)
    assert last["USER"] == "raftsql"
    assert json.loads(last["ENTRYPOINT"]) == ["raftsql"]
    assert json.loads(last["CMD"]) == ["serve"]
    assert "/livez" in last["HEALTHCHECK"]
    environment = dict(pair.split("=", 1) for pair in shlex.split(last["ENV"]))
    settings = decided({**environment, "RAFTSQL_INSECURE": "1", "RAFTSQL_ADVERTISE": "n1:4001"})
    assert last["EXPOSE"].split() == [
        settings.listen.rpartition(":")[2], settings.http.rpartition(":")[2],
    ]  # fmt: skip
    assert str(settings.data_dir).startswith(last["VOLUME"])


def test_three_composed_nodes_find_each_other() -> None:
    composed = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())
    places = set()
    for name, service in composed["services"].items():
        settings = decided({**service["environment"], "RAFTSQL_LISTEN": "0.0.0.0:4001"})
        assert settings.advertise == f"{name}:4001"
        assert settings.bootstrap_expect == len(composed["services"]) == 3
        places |= set(settings.join)
        assert service["volumes"] == [f"{name}:/var/lib/raftsql"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert places == {f"{name}:4001" for name in composed["services"]}
    assert set(composed["volumes"]) == set(composed["services"])


# Kubernetes.


def objects() -> dict[tuple[str, str], Any]:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes" / "raftsql.yaml").read_text())
    return {(one["kind"], one["metadata"]["name"]): one for one in documents}


def container() -> Any:
    (found,) = objects()["StatefulSet", "raftsql"]["spec"]["template"]["spec"]["containers"]
    return found


def test_pods_find_each_other_by_names_that_do_not_wait_for_readiness() -> None:
    found = objects()
    peers, stateful = found["Service", "raftsql-nodes"]["spec"], found["StatefulSet", "raftsql"]
    assert peers["clusterIP"] == "None"
    assert peers["publishNotReadyAddresses"] is True
    assert stateful["spec"]["serviceName"] == "raftsql-nodes"
    assert stateful["spec"]["podManagementPolicy"] == "Parallel"
    environment = {one["name"]: one.get("value", "raftsql-0") for one in container()["env"]}
    environment = {
        name: value.replace("$(POD_NAME)", "raftsql-0") for name, value in environment.items()
    }
    settings = decided(environment)
    replicas = stateful["spec"]["replicas"]
    assert settings.join == tuple(f"raftsql-{n}.raftsql-nodes:4001" for n in range(replicas))
    assert settings.advertise in settings.join
    assert settings.bootstrap_expect == replicas


def test_probes_ask_the_pages_that_there_are() -> None:
    probes = {
        name: container()[name]["httpGet"]["path"]
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert probes == {
        "startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz",
    }  # fmt: skip
    assert container()["args"] == ["serve"]


def test_a_pod_hands_over_before_it_stops() -> None:
    shell, flag, script = container()["lifecycle"]["preStop"]["exec"]["command"]
    assert (shell, flag) == ("sh", "-c")
    (last,) = re.findall(r"^exec raftsql transfer (.*)$", script, re.MULTILINE)
    parser = argparse.ArgumentParser()
    operate.add_flags("transfer", parser)
    assert parser.parse_args(last.split()).away
    pod = objects()["StatefulSet", "raftsql"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= 20
    assert objects()["PodDisruptionBudget", "raftsql"]["spec"]["maxUnavailable"] == 1


def test_the_url_that_a_pod_hands_over_with_is_a_secret_that_may_be_missing() -> None:
    script = container()["lifecycle"]["preStop"]["exec"]["command"][2]
    mounts = {mount["name"]: mount for mount in container()["volumeMounts"]}
    assert f"{mounts['operator']['mountPath']}/url" in script
    assert mounts["operator"]["readOnly"]
    pod = objects()["StatefulSet", "raftsql"]["spec"]["template"]["spec"]
    (volume,) = pod["volumes"]
    assert volume["name"] == "operator"
    assert volume["secret"]["optional"] is True
    page = (ROOT / "docs" / "operating.md").read_text()
    assert f"kubectl create secret generic {volume['secret']['secretName']} --from-file=url" in page


# systemd.


def test_the_unit_notifies_reloads_and_is_not_restarted_for_bad_settings() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((DEPLOY / "systemd" / "raftsql.service").read_text())
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["ExecReload"].split()[1:] == ["-HUP", "$MAINPID"]
    assert service["RestartPreventExitStatus"] == f"2 {TO_BE_REPLACED}"
    assert int(service["TimeoutStopSec"]) > 10
    words = shlex.split(service["ExecStart"])
    assert Path(words[0]).name == "raftsql"
    assert words[1] in cli.COMMANDS
    parser = argparse.ArgumentParser()
    add_flags(parser)
    parser.parse_args(words[2:])


def test_the_units_settings_form_a_cluster() -> None:
    settings = decided({}, "--config", str(DEPLOY / "systemd" / "node.toml"))
    assert settings.listen in settings.join
    assert settings.bootstrap_expect == len(settings.join)
    assert str(settings.data_dir).startswith("/var/lib/raftsql")


# Prometheus and Grafana.


def test_every_rule_is_about_metrics_that_a_node_tells_and_is_explained() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
    page = (ROOT / "docs" / "operating.md").read_text()
    (group,) = rules["groups"]
    for rule in group["rules"]:
        assert metrics_in(rule["expr"]) <= known_metrics(), rule["alert"]
        assert metrics_in(rule["expr"]), rule["alert"]
        assert f"| {rule['alert']} |" in page
        assert rule["annotations"]["summary"]


def test_every_alarm_of_the_page_is_a_rule_and_says_what_to_do() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
    page = (ROOT / "docs" / "operating.md").read_text()
    part = page.partition("## What each alarm means")[2].partition("\n## ")[0]
    rows = [
        line.strip("|").split("|") for line in part.splitlines() if line.startswith("| Raftsql")
    ]
    assert {name.strip() for name, *_ in rows} == {
        rule["alert"] for rule in rules["groups"][0]["rules"]
    }
    for name, *told in rows:
        assert len(told) == 2, name
        assert all(len(cell.split()) >= 2 for cell in told), name
    linked = set(re.findall(r"\]\(#([\w-]+)\)", part))
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    assert linked <= {heading.lower().replace(" ", "-") for heading in headings}


def test_every_panel_shows_metrics_that_a_node_tells() -> None:
    board = json.loads((DEPLOY / "grafana" / "raftsql.json").read_text())
    shown = set()
    for panel in board["panels"]:
        for target in panel["targets"]:
            found = metrics_in(target["expr"])
            assert found, panel["title"]
            assert found <= known_metrics(), panel["title"]
            shown |= found
    for name in ("raftsql_raft_commit_seconds", "raftsql_journal_sync_seconds"):
        assert name in shown
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"]]
    assert len(set(places)) == len(places), "no panel covers another"
    assert len({p["id"] for p in board["panels"]}) == len(places)


def test_a_name_that_no_node_tells_would_be_found() -> None:
    assert metrics_in("rate(raftsql_raft_commit_seconds_bucket[5m])") <= known_metrics()
    assert not metrics_in("raftsql_raft_commit_secondz_bucket") <= known_metrics()
    assert not metrics_in("raftsql_raft_term_count") <= known_metrics()
