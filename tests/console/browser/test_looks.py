"""The views as they look: pictures for docs/console.md, on a phone, in the dark, by keys alone.

`pytest tests/console/browser/test_looks.py --rewrite` keeps the pictures that are made. Letters are
drawn differently on every machine, so pictures are not compared; that each view has one, and shows
what it should before it is taken, is.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

import raftsql
from tests.console.browser.chromium import NARROW, PHONE, Browser
from tests.console.browser.nodes import Consoles
from tests.server.processes import until

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(300)]

DOCUMENT = Path(__file__).parents[3] / "docs" / "console.md"
PICTURES = DOCUMENT.with_suffix("")
BYTES_MAX = 200_000
SAMPLES_SECONDS = 150.0
"""For twenty samples, of which there is one a second where a machine has the time."""
QUERY = (
    "-- what there is to read, and by whom\n"
    "SELECT title, name AS author, price, cover\n"
    "FROM book JOIN author ON author.id = book.author\nORDER BY title"
)


@contextmanager
def load(nodes: Consoles) -> Iterator[None]:
    """Somebody writes and reads meanwhile."""
    over = threading.Event()

    def work() -> None:
        connection = raftsql.connect(nodes.url, autocommit=True, timeout=20)
        with suppress(raftsql.Error):
            while not over.is_set():
                connection.execute("INSERT INTO diary(what) VALUES ('busy')")
                connection.execute("SELECT count(*) FROM book").fetchall()
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _cluster(page: Browser, nodes: Consoles) -> None:
    with load(nodes):
        page.open(nodes.pages[nodes.follower()])
        page.see("leads in term", "#headline")
        line = (
            "return (document.querySelector('.plot .line0').getAttribute('d') ?? '')"
            ".split('L').length"
        )
        page.until(lambda: page.run(line) > 8, "some samples")
        page.click(f"[data-action='Make node {nodes.number(nodes.follower())} leader']")
        page.click("dialog[open] button.strong")
        page.until(
            lambda: page.run("return document.querySelectorAll('.reign').length") > 1,
            "another reign",
        )
        page.until(lambda: page.run(line) > 22, "more samples", SAMPLES_SECONDS)
        page.run("document.getElementById('notices').replaceChildren()")


def _action(page: Browser, nodes: Consoles) -> None:
    page.open(nodes.pages[0]).see("leads in term", "#headline")
    page.click(f"[data-action='Remove node {nodes.number(nodes.follower())}']")
    page.find("dialog[open]")


def _sql(page: Browser, nodes: Consoles) -> None:
    page.open(nodes.pages[0], "#sql").ask(QUERY)
    page.until(lambda: len(page.cells()) == 4, "four rows")
    page.see("every node makes the same of it", ".verdict")


def _error(page: Browser, nodes: Consoles) -> None:
    page.open(nodes.pages[0], "#sql").ask("SELECT id,\n  titel\nFROM book")
    page.find("#error-place")


def _verdict(page: Browser, nodes: Consoles) -> None:
    page.open(nodes.pages[0], "#sql")
    page.write(
        "INSERT INTO diary(what) VALUES ('number ' || random() % 20);\nVACUUM INTO 'copy.db'"
    )
    page.see("Instead, ", ".verdict")


def _plan(page: Browser, nodes: Consoles) -> None:
    page.open(nodes.pages[0], "#sql")
    page.write(
        "SELECT name, books FROM author\n"
        "JOIN (SELECT author, count(*) AS books FROM book GROUP BY author)\n"
        "  ON author = author.id\nORDER BY name"
    )
    page.press(Keys.CONTROL, Keys.SHIFT, "e")
    page.see("QUERY PLAN", ".plan")


def _completion(page: Browser, nodes: Consoles) -> None:
    page.open(nodes.pages[0], "#sql")
    page.until(lambda: page.run("return document.querySelector('.tables li')"), "the tables")
    page.find("#sql").send_keys("SELECT * FROM book AS b JOIN author AS a ON a.id = b.")
    page.see("price", ".offers")
    page.see("book", ".offers")


def _transaction(page: Browser, nodes: Consoles) -> None:
    page.open(nodes.pages[0], "#sql")
    page.button("Begin")
    page.see("in transaction", ".transaction")
    sql = "UPDATE book SET price = :price WHERE price IS NULL RETURNING title, price"
    field = page.write(sql)
    page.find(".parameter input").send_keys("12.5")
    field.send_keys(Keys.CONTROL, Keys.ENTER)
    page.over()
    page.until(lambda: page.cells() == [["Λυσιστράτη", "12.5"]], "the changed row")


def _schema(page: Browser, nodes: Consoles) -> None:
    page.open(nodes.pages[0], "#schema/book")
    page.see("book_added", ".detail")
    page.until(lambda: len(page.cells()) == 4, "the first rows")
    page.see("4 rows", ".detail .count")


def _keys(page: Browser, nodes: Consoles) -> None:
    page.open(nodes.pages[0]).see("leads in term", "#headline")
    page.press("?")
    page.find("dialog.keys")


def _dark(view: Callable[[Browser, Consoles], None]) -> Callable[[Browser, Consoles], None]:
    def shown(page: Browser, nodes: Consoles) -> None:
        page.colours("dark")
        view(page, nodes)

    return shown


def _phone(view: Callable[[Browser, Consoles], None]) -> Callable[[Browser, Consoles], None]:
    def shown(page: Browser, nodes: Consoles) -> None:
        page.size(*PHONE)
        view(page, nodes)

    return shown


VIEWS: dict[str, Callable[[Browser, Consoles], None]] = {
    "cluster": _cluster,
    "action": _dark(_action),
    "sql": _sql,
    "sql-dark": _dark(_sql),
    "error": _error,
    "verdict": _verdict,
    "plan": _plan,
    "completion": _completion,
    "transaction": _transaction,
    "schema": _schema,
    "keys": _dark(_keys),
    "phone-cluster": _phone(lambda page, nodes: page.open(nodes.pages[0]).see("answer") and None),
    "phone-sql": _phone(_sql),
}


@pytest.mark.parametrize("name", VIEWS)
def test_each_view_is_shown_and_has_its_picture(
    name: str, browser: Browser, nodes: Consoles, request: pytest.FixtureRequest
) -> None:
    VIEWS[name](browser, nodes)
    assert browser.sideways() <= 0
    picture = PICTURES / f"{name}.png"
    if request.config.getoption("rewrite", default=False):
        PICTURES.mkdir(exist_ok=True)
        browser.picture(picture)
    assert f"](console/{name}.png)" in DOCUMENT.read_text()
    assert 5_000 < picture.stat().st_size < BYTES_MAX
    if name == "transaction":
        browser.button("Roll back")
        browser.see("no transaction", ".transaction")


def test_no_picture_is_left_over() -> None:
    named = set(re.findall(r"\]\(console/([\w-]+)\.png\)", DOCUMENT.read_text()))
    assert named == {path.stem for path in PICTURES.glob("*.png")} == {*VIEWS}


@pytest.mark.parametrize("size", [PHONE, NARROW])
@pytest.mark.parametrize("view", ["#cluster", "#sql", "#schema/book"])
def test_nothing_is_wider_than_a_phone(
    view: str, size: tuple[int, int], browser: Browser, nodes: Consoles
) -> None:
    browser.size(*size)
    browser.open(nodes.pages[0], view).see("node" if view == "#cluster" else "", "main")
    browser.find("main .view")
    assert browser.sideways() <= 0
    if view == "#sql":
        browser.ask("SELECT 'a wide one: ' || hex(zeroblob(300)), * FROM book, author")
        browser.until(browser.cells, "rows")
        assert browser.sideways() <= 0


@pytest.mark.parametrize("view", ["#cluster", "#sql", "#schema/book"])
def test_everything_that_can_be_used_has_a_name(
    view: str, browser: Browser, nodes: Consoles
) -> None:
    browser.open(nodes.pages[0], view).find("main .view")
    browser.until(lambda: browser.run("return document.querySelector('.tables li')"), "the tables")
    browser.tell("Accessibility.enable")
    tree = browser.tell("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "textbox", "combobox", "link", "searchbox", "grid", "dialog", "img"}
    used = [each for each in tree if each.get("role", {}).get("value") in roles]
    assert len(used) > 5
    assert [each for each in used if not each.get("name", {}).get("value")] == []


def test_views_are_reached_by_keys_alone(browser: Browser, nodes: Consoles) -> None:
    page = browser.open(nodes.pages[0])
    page.see("leads in term", "#headline")
    page.press("2")
    page.find("#sql")
    page.until(lambda: page.run("return document.querySelector('.tables li')"), "the tables")
    page.press(Keys.CONTROL, "k")
    page.find("dialog.jump input").send_keys("diary", Keys.ENTER)
    page.see("diary", ".detail h1")
    page.press("1")
    page.find("#headline")
    page.press("?")
    page.see("run the selection", "dialog.keys")


def test_the_chosen_colours_stay(browser: Browser, nodes: Consoles) -> None:
    page = browser.open(nodes.pages[0])
    page.see("leads in term", "#headline")
    paper = "return getComputedStyle(document.body).backgroundColor"
    light = page.run(paper)
    page.click("#theme")
    page.click("#theme")
    until(lambda: page.run(paper) != light, "the dark")
    page.driver.refresh()
    page.see("leads in term", "#headline")
    assert page.run(paper) != light
