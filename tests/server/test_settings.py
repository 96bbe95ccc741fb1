"""Flags over environment over file over defaults, each checked and named when it is wrong."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from raftsql.server.configuration import Configuration, add_flags, decide
from raftsql.server.settings import SETTINGS, BadSettings, ServeSettings, demands_users


def configured(*flags: str, **environment: str) -> Configuration:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return decide(parser.parse_args(flags), environment)


def decided(*flags: str, **environment: str) -> ServeSettings:
    return configured(*flags, **environment).settings


def problem(*flags: str, **environment: str) -> str:
    with pytest.raises(BadSettings) as bad:
        decided(*flags, **environment)
    return str(bad.value)


def test_nothing_has_to_be_said() -> None:
    settings = decided()
    assert settings.listen == settings.advertise == "127.0.0.1:4001"
    assert settings.join == ()
    assert settings.node_id is None


def test_a_flag_beats_the_environment_and_that_the_file(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text('priority = 1\nnode_id = 1\nelection_ms = 900\njoin = ["a:1", "b:2"]\n')
    settings = decided(
        "--config", str(file), "--priority", "3", RAFTSQL_PRIORITY="2", RAFTSQL_NODE_ID="2"
    )
    assert (settings.priority, settings.node_id, settings.election_ms) == (3, 2, 900)
    assert settings.join == ("a:1", "b:2")


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text("insecure = true\n")
    assert decided("--listen", "0.0.0.0:1", "--advertise", "h:1", RAFTSQL_CONFIG=str(file)).insecure


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.name)
def test_every_setting_has_help_and_a_field(setting) -> None:  # type: ignore[no-untyped-def]
    assert setting.help
    assert hasattr(decided(), setting.name)


def test_what_is_wrong_is_named_by_its_source(tmp_path: Path) -> None:
    assert problem("--election-ms", "x").startswith("--election-ms: ")
    assert problem(RAFTSQL_ELECTION_MS="0").startswith("RAFTSQL_ELECTION_MS: ")
    file = tmp_path / "node.toml"
    file.write_text('listen = "nowhere"\n')
    assert "listen in " in problem("--config", str(file))
    file.write_text("colour = 3\n")
    assert "no setting 'colour'" in problem("--config", str(file))
    file.write_text("= 3\n")
    assert "not TOML" in problem("--config", str(file))


@pytest.mark.parametrize(
    "place", ["localhost", "localhost:", ":4001", "localhost:0", "localhost:65536", "h:x"]
)
def test_an_address_has_a_host_and_a_port(place: str) -> None:
    assert "is not host:port" in problem("--listen", place)


def test_times_that_would_break_a_promise_are_refused() -> None:
    assert "two heartbeats" in problem("--lease-ms", "150")
    assert "break a lease" in problem("--lease-ms", "800")
    assert "less than lease_ms" in problem("--drift-ms", "300")


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "[::]", "example.org"])
def test_listening_to_other_machines_has_to_be_meant(host: str) -> None:
    assert "--insecure" in problem("--listen", f"{host}:4001")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "localhost", "[::1]"])
def test_this_machine_may_be_listened_to(host: str) -> None:
    assert decided("--listen", f"{host}:4001").listen == f"{host}:4001"


def test_a_place_that_nobody_can_reach_is_not_advertised() -> None:
    assert "--advertise" in problem("--listen", "0.0.0.0:4001", "--insecure")


def test_whoever_expects_others_says_where_they_are() -> None:
    assert "--join" in problem("--bootstrap-expect", "3")
    assert decided("--bootstrap-expect", "1").bootstrap_expect == 1


def test_a_console_needs_a_place_that_is_safe_for_passwords() -> None:
    assert "--console needs --http" in problem("--console")
    assert decided("--console", "--http", "127.0.0.1:4080").console
    assert "in the clear" in problem("--console", "--http", "10.0.0.1:4080")
    assert decided("--console", "--http", "10.0.0.1:4080", "--insecure").console


def test_a_console_that_others_can_reach_lets_in_users_only() -> None:
    tls = ("--tls-cert", "c", "--tls-key", "k", "--tls-ca", "a", "--console")
    assert not demands_users(decided(*tls, "--http", "127.0.0.1:4080"))
    assert demands_users(decided(*tls, "--http", "10.0.0.1:4080"))
    assert not demands_users(decided(*tls, "--http", "10.0.0.1:4080", "--insecure"))
