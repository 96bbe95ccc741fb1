"""Plays each transcript at a shell, and compares what it says with what was approved."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import pytest

from raftsql_shell import commands
from raftsql_shell.formats import MODES
from tests.shell.conftest import Kept
from tests.shell.fake import ShellServer

FOLDER = Path(__file__).parent / "transcripts"
TRANSCRIPTS = sorted(FOLDER.glob("*.txt"))
PROMPT, MORE = "raftsql> ", "    ...> "


def played(shell: Kept, text: str, folder: Path) -> str:
    """The transcript with what the shell says now; {folder} is a place for files."""
    lines: list[str] = []
    typed: list[str] = []

    def run() -> None:
        if typed:
            source = "\n".join(typed).replace("{folder}", str(folder))
            said = shell.type(source + "\n").replace(str(folder), "{folder}")
            for node in re.findall(r"127\.0\.0\.1:\d+", said):
                said = said.replace(node, "a.node:4001".ljust(len(node)))
            said = said.replace("a.node:4001    /", "a.node:4001/")
            said = re.sub(r"in \d+\.\d s \([\d,]+ rows", "in 0.0 s (0 rows", said)
            lines.extend(line.rstrip() for line in said.splitlines())
            typed.clear()

    for line in text.splitlines():
        if line.startswith(MORE):
            typed.append(line.removeprefix(MORE))
        elif line.startswith((PROMPT, "# ")):
            run()
            if line.startswith(PROMPT):
                typed.append(line.removeprefix(PROMPT))
            elif lines:
                lines.append("")
        else:
            continue
        lines.append(line)
    run()
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_shell_says_what_was_approved(
    path: Path, server: ShellServer, shell: Kept, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server.named = True
    approved = path.read_text(encoding="utf-8")
    now = played(shell, approved, tmp_path)
    if request.config.getoption("rewrite", default=False):
        path.write_text(now, encoding="utf-8")
        return
    difference = difflib.unified_diff(
        approved.splitlines(), now.splitlines(), "approved", "now", lineterm=""
    )
    assert now == approved, "\n".join(difference)


TRANSCRIPT_OF = {
    "raftsql_shell.commands.asking": "asking_commands",
    "raftsql_shell.commands.display": "display_commands",
    "raftsql_shell.commands.files": "file_commands",
    "raftsql_shell.commands.members": "member_commands",
    "raftsql_shell.commands.place": "place_commands",
    "raftsql_shell.commands.schema": "schema_commands",
}


@pytest.mark.parametrize("name", commands.registry())
def test_every_command_is_in_the_transcript_of_its_room(name: str) -> None:
    room = commands.registry()[name].run.__module__
    text = (FOLDER / f"{TRANSCRIPT_OF[room]}.txt").read_text(encoding="utf-8")
    assert re.search(rf"^{re.escape(PROMPT + name)}\b", text, re.MULTILINE)


def test_every_format_has_a_transcript() -> None:
    assert {f"format_{mode}" for mode in MODES} <= {path.stem for path in TRANSCRIPTS}
