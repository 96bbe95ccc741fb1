"""Every block of every page is played by the page's order, or UNPLAYED says why not."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import raftsql
from tests.docs.markdown import ROOT, Block, blocks, name_of, pages
from tests.docs.scenes import SCENERY
from tests.docs.session import PROGRAMS, Session, free_ports_in_a_row, logical_lines
from tests.docs.unplayed import LOOKED_AT, UNPLAYED
from tests.server.processes import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SHOWN_ELSEWHERE = ("screen",)
"""Marks of blocks that other tests play: tests/shell/test_screens.py."""
STARTS_NODES = re.compile(r"^(?:\$ )?raftsql (?:up|serve)\b(?!.*--print-config)", re.MULTILINE)
STATIC = ("toml", "text", "plain", "sql", "json", "proto", "http")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes for all pages that start none of their own."""
    cluster = Cluster(tmp_path_factory.mktemp("nodes"))
    try:
        addresses = [f"127.0.0.1:{port}" for port in free_ports_in_a_row(3)]
        first = cluster.node(address=addresses[0]).start().serves()
        for address in addresses[1:]:
            cluster.node("--join", addresses[0], address=address).start().serves()
        first.wait_for(lambda s: sum(m["voter"] for m in s["members"]) == 3, "three voters")
        yield cluster
    finally:
        cluster.end()


def emptied(url: str) -> None:
    """Take out what the page before has left."""
    with raftsql.connect(url, autocommit=True) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        found = connection.execute(
            "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view') "
            "AND name NOT LIKE 'sqlite%' AND sql NOT LIKE 'CREATE TABLE ''%'"
        ).fetchall()
        for kind, name in found:
            connection.execute(f'DROP {kind} IF EXISTS "{name}"')
        connection.close()


def is_reason(block: Block, text: str, reasons: dict[tuple[str, str], str]) -> bool:
    """Whether a list of reasons has this block, or this line of it."""
    page = name_of(block.page)
    return any(where in (page, "*") and text.startswith(how) for where, how in reasons)


def is_played(block: Block) -> bool:
    """Whether a reader would do something with it, or compare it."""
    if block.kind in ("python", "console", "sh") or block.mark.startswith("file: "):
        return True
    if block.mark in ("output", "prompt"):
        return True
    return block.kind == "indented" and _first_word(block.text) in PROGRAMS


def _first_word(text: str) -> str:
    line = next((line for line in text.splitlines() if not line.startswith("#")), "")
    return line.partition(" ")[0]


def parts(block: Block) -> Iterator[Block]:
    """The block, or its commands one by one where some of them are not run."""
    if block.kind in ("sh", "indented"):
        for line in logical_lines(block.text):
            yield Block(block.page, block.line, "sh", line)
    else:
        yield block


def _followed() -> list[Any]:
    """The pages, of which those that build and break clusters take long."""
    slow = {ROOT / name for name in ("docs/operating.md", "docs/security.md")}
    marks = pytest.mark.long
    return [pytest.param(page, marks=marks if page in slow else []) for page in pages()]


@pytest.mark.parametrize("page", _followed(), ids=map(name_of, pages()))
def test_a_page_can_be_followed(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    found = [block for block in blocks(page) if is_played(block)]
    if not found:
        pytest.skip("nothing on it is a command or a program")
    session = _session(page, tmp_path, request)
    try:
        for block in found:
            if not is_reason(block, block.text, UNPLAYED):
                for part in parts(block):
                    _play(session, part)
    finally:
        session.end()


def _session(page: Path, folder: Path, request: pytest.FixtureRequest) -> Session:
    lines = [block for block in blocks(page) if not is_reason(block, block.text, UNPLAYED)]
    if any(STARTS_NODES.search(block.text) for block in lines):
        session = Session(folder)
    else:
        cluster: Cluster = request.getfixturevalue("shared")
        emptied(cluster.url)
        session = Session(folder, [node.address for node in cluster.nodes])
    for block in blocks(page):
        if block.mark.startswith("file: "):
            session.play(block)
    SCENERY.get(name_of(page), id)(session)
    return session


def _play(session: Session, part: Block) -> None:
    try:
        if is_reason(part, part.text, UNPLAYED):
            return
        if part.kind == "sh" and (how := looked_at(part.text)):
            how(part.text)
        else:
            for module in re.findall(
                r"^(?:import|from) (alembic|pandas|polars|sqlalchemy)\b", part.text, re.MULTILINE
            ):
                pytest.importorskip(module)
            session.play(part)
    except BaseException as error:
        error.add_note(f"at {part.place}")
        raise


def looked_at(line: str) -> Callable[[str], None] | None:
    """How a command that takes too long is checked, if it is one."""
    if line.startswith("make "):
        return _make_knows
    return _flags_are_told if line.startswith("python -m ") else None


def _make_knows(line: str) -> None:
    words = shlex.split(line, comments=True)
    done = subprocess.run(
        [words[0], "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@cache
def _help(module: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + _source(module)


def _source(module: str) -> str:
    """Some hand their arguments on to pytest, which has a help of its own."""
    path = ROOT / module.replace(".", "/")
    return (path / "__main__.py" if path.is_dir() else path.with_suffix(".py")).read_text()


def _flags_are_told(line: str) -> None:
    words = shlex.split(line, comments=True)
    told = _help(words[2])
    assert [word for word in words[3:] if word.startswith("--") and word not in told] == []


def test_every_block_is_played_or_has_a_reason() -> None:
    """A block that is neither: write it as one of those, or say why not."""
    silent = [
        f"{block.place}: {block.text.splitlines()[0]}"
        for page in pages()
        for block in blocks(page)
        if not is_played(block)
        and block.kind not in STATIC
        and not block.mark.startswith(SHOWN_ELSEWHERE)
        and not is_reason(block, block.text, UNPLAYED)
    ]
    assert silent == []


def test_every_reason_is_of_something_that_is_there() -> None:
    texts: dict[str, list[str]] = {}
    for page in pages():
        for block in blocks(page):
            for where in (name_of(page), "*"):
                texts.setdefault(where, []).extend([block.text, *logical_lines(block.text)])
    stale = [
        (where, how)
        for where, how in UNPLAYED
        if not any(text.startswith(how) for text in texts[where])
    ]
    assert stale == []
    assert all(LOOKED_AT.values())
