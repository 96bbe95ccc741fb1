"""The screens in the documentation are what the shell shows on a real cluster.

A screen stands under a line `<!-- screen: NAME -->`. `pytest tests/shell/test_screens.py
--rewrite` writes all of them anew; read the difference like code. What differs from run to run
(times, terms, ports) is replaced by something of the same width.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import pytest

from raftsql_shell.formats import MODES
from tests.shell.nodes import Nodes
from tests.shell.terminal import Terminal
from tests.shell.test_scripting import run

pytestmark = pytest.mark.e2e

DOCUMENT = Path(__file__).parents[2] / "docs" / "shell.md"
BLOCK = re.compile(
    r"(?P<mark><!-- screen: (?P<name>[\w-]+) -->\n```text\n)(?P<text>.*?)(?=```\n)", re.S
)
BOOKS = (
    "CREATE TABLE author(id INTEGER PRIMARY KEY, name TEXT NOT NULL, born INTEGER);"
    "CREATE TABLE book(id INTEGER PRIMARY KEY, title TEXT, author INTEGER, price REAL);"
    "CREATE INDEX book_by_author ON book(author);"
    "INSERT INTO author VALUES(1, 'Ursula K. Le Guin', 1929), (2, '紫式部', 973);"
    "INSERT INTO book VALUES(1, 'The Dispossessed', 1, 9.5), (2, '源氏物語', 2, NULL),"
    " (3, 'Four Ways to Forgiveness', 1, 7.25);"
)
QUERY = "SELECT title, name, price FROM book JOIN author ON author.id = book.author;"
TAB = "\t"

Screen = Callable[[Terminal], Terminal]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Three nodes of which the third leads."""
    nodes = Nodes(3, tmp_path_factory.mktemp("screens"), short=True)
    try:
        leader = nodes.until_led()
        run(f"raftsql://{leader}/", "-c", BOOKS, "-c", ".transfer 3")
        yield nodes
    finally:
        nodes.stop()


@pytest.fixture
def terminal(cluster: Nodes) -> Iterator[Terminal]:
    first = next(each for each in cluster.addresses if cluster.status(each)["node_id"] == 1)
    terminal = Terminal(f"raftsql://{first}/", columns=96, lines=26)
    yield terminal.prompted().see("leader 3")
    terminal.close()


def _prompt(terminal: Terminal) -> Terminal:
    terminal.enter(QUERY).see("3 rows (")
    terminal.enter("SELECT titel FROM book;").see("^^^^^")
    terminal.enter("BEGIN;").see("raftsql*>")
    return terminal.see("IN TRANSACTION")


def _completion(terminal: Terminal) -> Terminal:
    typed = "SELECT * FROM book AS b JOIN author AS a ON a.id = b."
    return terminal.type(typed).see("price   b")


def _explain(terminal: Terminal) -> Terminal:
    sql = "SELECT name, count(*) FROM book, author b ON author = b.id GROUP BY name"
    return terminal.enter(f".explain {sql}").see("└─")


def _check(terminal: Terminal) -> Terminal:
    terminal.enter(".check INSERT INTO book(price) VALUES(abs(random() % 20))").see("^^^^^^")
    return terminal.enter(".check ATTACH 'other.db' AS other").see("refused")


def _vertical(terminal: Terminal) -> Terminal:
    return terminal.enter("SELECT * FROM author \\G").see("2 rows (")


def _status(terminal: Terminal) -> Terminal:
    return terminal.enter(".status --watch").see("Ctrl-C to stop")


SCREENS: dict[str, Screen] = {
    "prompt": _prompt,
    "completion": _completion,
    "explain": _explain,
    "check": _check,
    "vertical": _vertical,
    "status": _status,
}


def steady(text: str, cluster: Nodes) -> str:
    """The screen without what differs from run to run, each thing in the width that it had."""
    for address in cluster.addresses:
        number = cluster.status(address)["node_id"]
        text = text.replace(address, f"127.0.0.1:400{number}")
    text = re.sub(r"\d+\.\d{3} s\b", "0.004 s", text)
    text = re.sub(r"\bterm \d+", "term 3", text)
    lines = [_steady_row(line.rstrip()) for line in text.splitlines()]
    start = next((k for k, line in enumerate(lines) if line.startswith(("raftsql", "┌"))), 0)
    banner = lines[start].startswith("raftsql ")
    runs = groupby(lines[start + banner :], key=bool)
    shown = [line for filled, run in runs for line in (list(run) if filled else [""])]
    return "\n".join(shown).strip("\n") + "\n"


def _steady_row(line: str) -> str:
    """A row of `.status`: a term, an applied index, a lag and a latency that are always these."""
    cells = line.split("│")
    if len(cells) != 9 or not cells[1].strip().isdecimal():
        return line
    for place, value in ((4, "3"), (5, "482"), (6, "0"), (7, f"{2.7 * int(cells[1]):.1f}")):
        cells[place] = f" {value:>{len(cells[place]) - 2}} "
    return "│".join(cells)


def _compare(name: str, shown: str, request: pytest.FixtureRequest) -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    block = next((each for each in BLOCK.finditer(document) if each["name"] == name), None)
    assert block is not None, f"docs/shell.md has no screen {name}"
    if request.config.getoption("rewrite", default=False):
        start, end = block.span("text")
        DOCUMENT.write_text(document[:start] + shown + document[end:], encoding="utf-8")
    else:
        assert shown == block["text"], "pytest tests/shell/test_screens.py --rewrite"


@pytest.mark.parametrize("name", SCREENS)
def test_the_documented_screen_is_what_is_shown(
    name: str, cluster: Nodes, terminal: Terminal, request: pytest.FixtureRequest
) -> None:
    terminal = SCREENS[name](terminal)
    if name != "status":
        terminal.see("│ linearizable")  # The line at the bottom is drawn with the prompt.
    _compare(name, steady(terminal.screen(), cluster), request)


def test_the_documented_formats_are_what_is_written(
    cluster: Nodes, request: pytest.FixtureRequest
) -> None:
    sql = "SELECT title, price FROM book ORDER BY id DESC LIMIT 2"
    shown = []
    for mode in MODES:
        done = run(cluster.url, "--format", mode, "-c", sql)
        shown.append(f"--format {mode}\n{done.stdout}")
    _compare("formats", "\n".join(shown), request)


def test_no_screen_is_copied_by_hand() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    made = {block["name"] for block in BLOCK.finditer(document)}
    assert made == {*SCREENS, "formats"}
    rest = BLOCK.sub("", document)
    assert not re.search(r"[┌│└├]", rest)
    assert "\n    raftsql> " not in rest
