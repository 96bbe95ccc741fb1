"""Where results go."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

import raftsql_shell.pager as pager
from raftsql_shell.errors import CommandError
from raftsql_shell.output import Output, ReaderGone


class Gone(StringIO):
    """A stream whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_result_goes_to_standard_output_unless_told_otherwise(tmp_path: Path) -> None:
    standard = StringIO()
    output = Output(standard)
    output.write(["a", "b\n"])
    output.redirect(str(tmp_path / "file"))
    with output.one_result():
        output.write(["in the file\n"])
    output.restore()
    output.write(["c\n"])
    assert standard.getvalue() == "ab\nc\n"
    assert (tmp_path / "file").read_text() == "in the file\n"


def test_once_ends_with_the_next_result_even_when_that_fails(tmp_path: Path) -> None:
    output = Output(StringIO())
    output.redirect(str(tmp_path / "file"), once=True)
    with pytest.raises(CommandError), output.one_result():
        raise CommandError("no")
    assert not output.redirected


def test_nobody_reading_standard_output_is_said_to_whoever_writes() -> None:
    with pytest.raises(ReaderGone):
        Output(Gone()).write(["a"])


def test_a_program_that_stops_reading_ends_its_result_and_nothing_else() -> None:
    standard = StringIO()
    output = Output(standard)
    output.redirect("|true")

    def pieces() -> Iterator[str]:
        while output.redirected:
            yield "x" * 65536

    output.write(pieces())
    output.write(["after\n"])
    assert standard.getvalue() == "after\n"


def test_what_fits_the_screen_is_shown_without_a_pager(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINES", "10")
    monkeypatch.setenv("COLUMNS", "80")
    pager.write(["line\n"] * 8, "false")
    assert capsys.readouterr().out == "line\n" * 8


def test_what_does_not_fit_goes_to_the_pager_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINES", "10")
    monkeypatch.setenv("COLUMNS", "80")
    pager.write(["line\n"] * 12, f"cat > {tmp_path}/paged")
    assert (tmp_path / "paged").read_text() == "line\n" * 12


def test_what_is_left_unread_is_ended_at_once() -> None:
    ended = []

    def pieces() -> Iterator[str]:
        try:
            yield "a"
            yield "b"
        finally:
            ended.append(True)

    with pytest.raises(ReaderGone) as gone:
        Output(Gone()).write(pieces())
    assert ended == [True], gone
