"""Every script in scripts/ does what it did when its output was approved."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from tests.raft.script import performed
from tests.raft.verbs import Verbs

FOLDER = Path(__file__).parent / "scripts"
SCRIPTS = sorted(FOLDER.glob("*.txt"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script(path: Path, request: pytest.FixtureRequest) -> None:
    approved = path.read_text()
    now = performed(approved)
    if request.config.getoption("rewrite", default=False):
        path.write_text(now)
        return
    difference = difflib.unified_diff(
        approved.splitlines(), now.splitlines(), "approved", "now", lineterm="", n=6
    )
    if approved != now:
        pytest.fail("\n".join([f"{path.name} does something else:", *difference]), pytrace=False)


def test_every_script_says_why_it_exists() -> None:
    silent = [path.name for path in SCRIPTS if not path.read_text().startswith("# ")]
    assert silent == []


def test_every_command_of_the_scripts_is_documented() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "scripts.md").read_text()
    usages = [
        (getattr(Verbs, name).__doc__ or "").splitlines()[0].split(" : ")[0]
        for name in dir(Verbs)
        if name.startswith("do_")
    ]
    assert [usage for usage in usages if f"`{usage}`" not in manual] == []
