"""SIGHUP: what a running node takes up, and what it says of the rest."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

import pytest

from raftsql.server.configuration import Configuration
from raftsql.server.reloading import Reloading
from raftsql.server.settings import BadSettings, ServeSettings
from tests.server.processes import Node, until
from tests.server.test_settings import configured, decided


def test_what_can_be_taken_up_is_and_the_rest_is_named(caplog: pytest.LogCaptureFixture) -> None:
    applied: list[ServeSettings] = []
    found = configured("--log-level", "debug", "--election-ms", "900", RAFTSQL_LISTNE="h:1")
    reloading = Reloading(decided(), lambda: found, applied.append)
    with caplog.at_level(logging.INFO):
        reloading.reload()
        reloading.reload()
    assert [one.log_level for one in applied] == ["debug", "debug"]
    assert all(one.election_ms == 750 for one in applied)
    assert "changed: log_level" in caplog.text
    assert "changed: nothing" in caplog.text
    assert caplog.text.count("only after a restart: election_ms") == 2
    assert "did you mean RAFTSQL_LISTEN?" in caplog.text


def test_a_configuration_that_cant_be_used_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> Configuration:
        raise BadSettings("node.toml is not TOML")

    applied: list[ServeSettings] = []
    Reloading(decided(), broken, applied.append).reload()
    assert applied == []
    assert "the settings stay as they are: node.toml is not TOML" in caplog.text


def test_a_running_node_takes_up_its_file_again(tmp_path: Path) -> None:
    file, backups = tmp_path / "node.toml", tmp_path / "backups"
    file.write_text("election_ms = 600\n")
    node = Node(tmp_path / "node", "--config", str(file)).start()
    try:
        node.serves()
        assert node.process is not None
        file.write_text(
            f'election_ms = 700\nbackup_to = "{backups}"\nbackup_every_seconds = 1\n'
            'log_format = "json"\n'
        )
        os.kill(node.process.pid, signal.SIGHUP)
        until(lambda: '"message": "the settings were read again' in node.says(), "the news")
        assert "only after a restart: election_ms" in node.says()
        until(lambda: "backup" in node.status(), "the schedule")
        file.write_text("election_ms = 600\n")
        os.kill(node.process.pid, signal.SIGHUP)
        until(lambda: "backup" not in node.status(), "the end of the schedule")
    finally:
        node.stop()
