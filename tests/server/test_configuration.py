"""Where settings come from, how they are shown, documented and taken up by a running node."""

from __future__ import annotations

import argparse
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from raftsql.server import cli
from raftsql.server.configuration import add_flags, as_toml, printed, table, taken_up
from raftsql.server.kinds import ADDRESS
from raftsql.server.settings import SETTINGS, BadSettings, Setting, is_loopback
from tests.server.test_settings import configured, decided, problem

ROOT = Path(__file__).parent.parent.parent


def test_where_a_value_comes_from_is_told(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text("priority = 1\n")
    found = configured("--config", str(file), "--node-id", "3", RAFTSQL_ELECTION_MS="900").sources
    assert found["priority"] == str(file)
    assert found["node_id"] == "--node-id"
    assert found["election_ms"] == "RAFTSQL_ELECTION_MS"
    assert found["advertise"] == "as listen"
    assert found["mode"] == "default"


def test_what_is_printed_sets_the_same_again(tmp_path: Path) -> None:
    first = configured(
        "--join", "a:1,b:2", "--data-dir", 'odd "folder" ü', "--insecure", "--node-id", "7"
    )
    file = tmp_path / "printed.toml"
    file.write_text(printed(first))
    assert decided("--config", str(file)) == first.settings
    assert "# not set" in printed(configured())


def test_a_password_in_a_url_is_not_printed() -> None:
    text = printed(configured("--backup-to", "file://user:hunter2@host/there"))
    assert "hunter2" not in text
    assert 'backup_to = "file://********@host/there"' in text


def test_a_secret_is_neither_printed_nor_named_when_it_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from raftsql.server import configuration

    kept = [replace(one, secret=one.name == "advertise") for one in SETTINGS]
    monkeypatch.setattr(configuration, "SETTINGS", kept)
    assert "hunter2" not in printed(configured("--advertise", "hunter2:1"))
    assert "hunter2" not in problem("--advertise", "hunter2")


def test_the_program_prints_its_settings_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "--print-config", "--node-id", "4"]) == 0
    out = capsys.readouterr().out
    assert tomllib.loads(out)["node_id"] == 4
    assert "# --node-id" in out
    assert cli.main(["serve", "--print-config", "--node-id", "x"]) == 2
    assert "--node-id: 'x' is no whole number" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("elektion_ms = 3", "did you mean 'election_ms'?"),
        ("election-ms = 3", "did you mean 'election_ms'?"),
        ("election_ms = true", "write milliseconds as a whole number"),
        ("election_ms = 1.5", "write milliseconds as a whole number"),
        ("backup_keep = 0", "0 is too little; write 1 or more"),
        ("drift_ms = -1", "-1 is too little; write 0 or more"),
        ("mode = 'loose'", "write pinned or strict"),
        ("insecure = 'perhaps'", "write one of these"),
        ("backup_to = 3", "write it in quotes"),
        ("data_dir = 3", "write it in quotes"),
        ("listen = 4001", "write it as in 127.0.0.1:4001"),
        ("join = 3", "write it as in 127.0.0.1:4001"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_what_to_do(
    tmp_path: Path, line: str, says: str
) -> None:
    file = tmp_path / "node.toml"
    file.write_text(line)
    assert says in problem("--config", str(file))


def test_a_variable_that_is_nearly_a_setting_is_doubted_and_a_strangers_is_not() -> None:
    (doubt,) = configured(RAFTSQL_LISTNE="h:1", RAFTSQL_PORT="tcp://10.0.0.1:1").doubts
    assert doubt.endswith("did you mean RAFTSQL_LISTEN?")
    assert configured(RAFTSQL_URL="raftsql://h:1/").doubts == ()


def test_only_what_is_reloadable_is_taken_up() -> None:
    running = decided()
    wanted = decided("--log-level", "debug", "--election-ms", "900", "--backup-keep", "3")
    now, later = taken_up(running, wanted)
    assert (now.log_level, now.backup_keep, now.election_ms) == ("debug", 3, 750)
    assert later == ["election_ms"]


def test_http_needs_a_port_of_its_own() -> None:
    assert "a port each" in problem("--http", "127.0.0.1:4001")
    assert is_loopback("::1")
    assert not is_loopback("10.0.0.1")


def test_the_documents_table_is_the_definitions() -> None:
    assert table() in (ROOT / "docs" / "configuration.md").read_text(), "make configuration"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.name)
def test_every_setting_has_a_flag_a_variable_and_a_row(setting: Setting) -> None:
    parser = argparse.ArgumentParser(prog="x")
    add_flags(parser)
    assert setting.flag in parser.format_help()
    assert setting.variable == "RAFTSQL_" + setting.name.upper()
    assert f"| `{setting.name}` |" in table()


def test_the_file_in_the_documents_is_one(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    file = tmp_path / "example.toml"
    file.write_text(page.split("```toml\n")[1].split("```")[0])
    assert decided("--config", str(file)).bootstrap_expect == 3


def test_values_are_written_as_toml_reads_them() -> None:
    values = ("a\nb\\", ("x", "y"), True, 3, Path("/p"))
    for value in values:
        read = tomllib.loads(f"v = {as_toml(value)}")["v"]
        expected = list(value) if isinstance(value, tuple) else value
        assert read == (str(value) if isinstance(value, Path) else expected)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_bytes(b"\xff\xfe")
    assert f"{file} can't be read: they are not UTF-8" in problem("--config", str(file))
    absent = tmp_path / "absent"
    assert f"{absent} can't be read: No such file" in problem("--config", str(absent))


def test_reading_an_address_does_not_look_it_up() -> None:
    assert ADDRESS.read("nowhere.invalid:1") == "nowhere.invalid:1"
    assert sys.flags.optimize == 0, "tests run with assertions"
    assert issubclass(BadSettings, Exception)
