"""The program's command line, before any command has it."""

from __future__ import annotations

import pytest

from raftsql.server.cli import COMMANDS, main
from raftsql_shell.options import EPILOG


def test_the_shells_help_names_every_command() -> None:
    listed = EPILOG.partition("Other commands of raftsql: ")[2].partition(";")[0]
    assert {name.strip() for name in listed.split(",")} == set(COMMANDS)


@pytest.mark.parametrize(
    ("typed", "meant"), [("stat", "status"), ("statsu", "status"), ("server", "serve")]
)
def test_a_mistyped_command_is_not_taken_for_a_host(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([typed]) == 2
    said = capsys.readouterr().err
    assert f"did you mean {meant}?" in said
    assert f"raftsql://{typed}/" in said


def test_help_is_a_command_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    assert "The shell of raftsql" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["help", "transfer"])
    assert "usage: raftsql transfer" in capsys.readouterr().out


def test_its_release_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("raftsql ")


def test_a_user_command_without_its_words_shows_how_that_one_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["user", "passwd"])
    told = capsys.readouterr().err
    assert told.startswith("usage: raftsql user passwd [-h] [--url URL] name\n")
    assert "grant" not in told
