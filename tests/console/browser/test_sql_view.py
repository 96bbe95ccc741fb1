"""SQL on the page, in a real browser, on three real nodes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from raftsql.server.console.sessions import TRANSACTIONS_MAX
from tests.console.browser.chromium import Browser
from tests.console.browser.nodes import Consoles
from tests.server.processes import until

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(300)]

ENDLESS = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def counting(most: int, what: str = "i") -> str:
    """A query of so many rows."""
    return (
        "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n "
        f"WHERE i < {most}) SELECT {what} FROM n"
    )


@pytest.fixture
def page(browser: Browser, nodes: Consoles) -> Browser:
    """The editor, on a node that does not found the cluster."""
    browser.open(nodes.pages[1], "#sql").find("#sql")
    return browser


def marked(page: Browser, kind: str) -> str:
    """The letters in the editor that bear this mark."""
    found = page.run(
        "return [...document.querySelectorAll(`.shade .m-${arguments[0]}`)]"
        ".map(e => e.textContent).join('')",
        kind,
    )
    return str(found)


def test_a_query_is_run_and_its_rows_are_shown(page: Browser) -> None:
    page.ask("SELECT title, price, cover FROM book WHERE id < 4 ORDER BY id")
    page.rows(
        [
            ["The Dispossessed", "9.5", "x'ffd8ffe000104a46' 8 B"],
            ["Solaris", "8.0", "NULL"],
            ["Λυσιστράτη", "NULL", "NULL"],
        ]
    )
    assert "3 rows in " in page.text(".summary")


def test_a_whole_real_is_not_shown_as_an_integer_nor_a_large_integer_rounded(
    page: Browser,
) -> None:
    page.ask("SELECT 3.0, 3, 9223372036854775807, 9e999")
    page.rows([["3.0", "3", "9223372036854775807", "inf"]])


def test_an_error_is_shown_at_its_place(page: Browser) -> None:
    page.ask("SELECT id,\n  titel\nFROM book")
    assert "no such column: titel" in page.text(".result-trouble")
    assert marked(page, "error") == "titel"
    assert page.text("#error-place") == "line 2, column 3"
    page.click("#error-place")
    assert page.run("return document.getElementById('sql').selectionStart") == 13
    page.write("SELECT 1")
    page.until(lambda: marked(page, "error") == "", "no mark in another text")


def test_the_place_is_right_beyond_letters_that_javascript_counts_twice(page: Browser) -> None:
    page.ask("SELECT '🛶🛶🛶', nothere FROM book")
    assert marked(page, "error") == "nothere"
    assert page.text("#error-place") == "line 1, column 15"


def test_the_error_of_a_selection_is_marked_where_the_selection_is(page: Browser) -> None:
    field = page.write("SELECT 1;\nSELECT wrong")
    page.run("arguments[0].setSelectionRange(10, 22)", field)
    field.send_keys(Keys.CONTROL, Keys.ENTER)
    page.over()
    assert marked(page, "error") == "wrong"
    assert page.text("#error-place") == "line 2, column 8"


def test_a_long_statement_is_cancelled_on_the_node_too(page: Browser, nodes: Consoles) -> None:
    page.write(ENDLESS).send_keys(Keys.CONTROL, Keys.ENTER)
    page.find("#cancel")
    page.press(Keys.ESCAPE)
    assert "Cancelled" in page.over()
    assert "it was cancelled" in page.text(".result-trouble")
    page.ask("SELECT 'still here'")
    page.rows([["still here"]])


def test_a_cancel_that_overtakes_its_statement_stops_it_all_the_same(page: Browser) -> None:
    # The statement's way to the node is longer than that of the wish to stop it.
    page.run(
        "const sent = fetch; window.refusals = [];"
        "let release; const held = new Promise((done) => { release = done; });"
        "window.fetch = async (path, options) => {"
        "  if (path === 'api/query') await held;"
        "  const answer = await sent(path, options);"
        "  if (options.method === 'DELETE') { window.refusals.push(answer.status); release(); }"
        "  return answer;"
        "}"
    )
    page.write(ENDLESS).send_keys(Keys.CONTROL, Keys.ENTER)
    page.find("#cancel")
    page.press(Keys.ESCAPE)
    assert "Cancelled" in page.over()
    assert "it was cancelled" in page.text(".result-trouble")
    assert page.run("return window.refusals[0]") == 404
    page.ask("SELECT 'still here'")
    page.rows([["still here"]])


def test_several_statements_have_a_table_each(page: Browser) -> None:
    page.ask(
        "CREATE TABLE t(x); INSERT INTO t VALUES (1), (2); SELECT x FROM t; SELECT 7; DROP TABLE t"
    )
    assert "5 statements, 2 rows changed" in page.text(".summary")
    page.rows([["7"]])
    page.click(".chip")
    page.rows([["1"], ["2"]])


def test_parameters_are_asked_for_and_sent_as_what_they_are(page: Browser) -> None:
    page.write("SELECT typeof(:a), typeof(:b), typeof(:c), :big, hex(:d)")
    page.until(
        lambda: len(page.run("return [...document.querySelectorAll('.parameter')]")) == 5,
        "5 fields",
    )
    values = {"a": "12", "b": "1.5", "c": "12", "big": "9007199254740993", "d": "CAFE"}
    for name, value in values.items():
        page.find(f".parameter [aria-label='Value of :{name}']").send_keys(value)
    page.find(".parameter [aria-label='Type of :c'] option[value=text]").click()
    page.find(".parameter [aria-label='Type of :d'] option[value=blob]").click()
    page.find("#sql").send_keys(Keys.CONTROL, Keys.ENTER)
    page.over()
    page.rows([["integer", "real", "text", "9007199254740993", "CAFE"]])


def test_each_level_of_consistency_is_asked_for(page: Browser) -> None:
    for level in ("linearizable", "lease", "session", "stale"):
        page.find(f"#consistency option[value='{level}'], #consistency").send_keys(level)
        page.ask("SELECT count(*) FROM author")
        page.rows([["3"]])


def test_an_open_transaction_can_not_be_overlooked(page: Browser) -> None:
    page.ask("CREATE TABLE IF NOT EXISTS box(x)")
    page.button("Begin")
    page.see("in transaction", ".transaction")
    page.ask("INSERT INTO box VALUES (1)")
    page.ask("SELECT count(*) FROM box")
    page.rows([["1"]])
    page.button("Roll back")
    page.see("no transaction", ".transaction")
    page.ask("SELECT count(*) FROM box")
    page.rows([["0"]])


def test_begin_and_commit_may_be_typed(page: Browser) -> None:
    page.ask("CREATE TABLE IF NOT EXISTS drawer(x); BEGIN; INSERT INTO drawer VALUES (1)")
    page.see("in transaction", ".transaction")
    page.ask("COMMIT")
    page.see("no transaction", ".transaction")
    page.ask("SELECT count(*) FROM drawer; DROP TABLE drawer")
    page.rows([["1"]])


def test_two_clicks_begin_one_transaction(page: Browser) -> None:
    page.run(
        "const sent = fetch; window.begun = 0;"
        "window.fetch = (path, options) => {"
        "  if (path === 'api/transactions') window.begun += 1;"
        "  return sent(path, options);"
        "};"
        "const button = document.querySelector('.transaction button');"
        "button.click(); button.click()"
    )
    page.see("in transaction", ".transaction")
    assert page.run("return window.begun") == 1
    page.button("Roll back")
    page.see("no transaction", ".transaction")


def test_a_page_that_is_left_keeps_no_transaction_open(page: Browser) -> None:
    for _ in range(TRANSACTIONS_MAX + 2):
        page.button("Begin")
        page.see("in transaction", ".transaction")
        page.driver.refresh()
        page.see("no transaction", ".transaction")


def test_a_cell_that_can_not_be_copied_is_told_of(page: Browser) -> None:
    page.ask("SELECT 'far away'")
    page.rows([["far away"]])
    # As on another machine, without TLS.
    page.run("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.run("document.querySelector('.grid').focus()")
    page.press(Keys.CONTROL, "c")
    page.see("Not copied", "#notices")


def test_a_transaction_that_ended_elsewhere_is_shown_no_longer(page: Browser) -> None:
    page.button("Begin")
    page.see("in transaction", ".transaction")
    page.ask("SELECT count(*) FROM author")
    # As if it had been left alone for too long.
    page.run(
        "const sent = fetch;"
        "window.fetch = async (path, options) => {"
        "  if (path !== 'api/query') return sent(path, options);"
        "  window.fetch = sent;"
        "  const { transaction } = JSON.parse(options.body);"
        "  await sent(`api/transactions/${transaction}/rollback`, {...options, body: '{}'});"
        "  return sent(path, options);"
        "}"
    )
    page.ask("SELECT count(*) FROM author")
    assert "begin another" in page.text(".result-trouble")
    page.see("no transaction", ".transaction")
    page.ask("SELECT count(*) FROM author")
    page.rows([["3"]])


def test_a_parameter_that_can_not_be_sent_is_told_as_what_it_is(page: Browser) -> None:
    page.write("SELECT ?")
    page.find(".parameter option[value=blob]").click()
    page.find(".parameter input").send_keys("no hex")
    page.find("#sql").send_keys(Keys.CONTROL, Keys.ENTER)
    page.see("is not hex", ".result-trouble")
    assert page.text(".result-trouble .kind") == "error"


def test_the_words_that_decide_a_verdict_are_marked(page: Browser) -> None:
    page.write("INSERT INTO diary(what) VALUES (random())")
    page.see("pinned", ".verdict")
    assert marked(page, "pinned").startswith("random")
    page.write("ATTACH 'other.db' AS other")
    page.see("refused", ".verdict")
    assert "ATTACH" in marked(page, "refused")
    assert "Instead, " in page.text(".verdict")
    page.write("SELECT 1")
    page.see("every node makes the same of it", ".verdict")


def test_the_plan_is_a_tree(page: Browser) -> None:
    page.write(
        "SELECT * FROM (SELECT author, count(*) FROM book GROUP BY author) "
        "JOIN author ON id = author"
    )
    page.press(Keys.CONTROL, Keys.SHIFT, "e")
    page.see("QUERY PLAN", ".plan")
    assert page.run("return document.querySelectorAll('.plan ul ul li').length") > 0


def test_names_are_completed_where_they_can_stand(page: Browser) -> None:
    field = page.find("#sql")
    page.until(lambda: page.run("return document.querySelector('.tables li')"), "the tables")
    field.send_keys("SELECT * FROM bo")
    page.see("book", ".offers")
    field.send_keys(Keys.TAB, " AS b WHERE b.")
    page.see("price", ".offers")
    field.send_keys("pr", Keys.TAB, " > 9")
    assert field.get_attribute("value") == "SELECT * FROM book AS b WHERE b.price > 9"


def test_lines_are_commented_out_and_in_again(page: Browser) -> None:
    field = page.write("SELECT 1\nFROM book")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(Keys.CONTROL, "/")
    assert field.get_attribute("value") == "-- SELECT 1\n-- FROM book"
    field.send_keys(Keys.CONTROL, "/")
    assert field.get_attribute("value") == "SELECT 1\nFROM book"


def test_what_was_run_is_found_again(page: Browser) -> None:
    page.ask("SELECT 'first'")
    page.ask("SELECT 'second'")
    field = page.write("half a thou")
    field.send_keys(Keys.ALT, Keys.UP)
    field.send_keys(Keys.ALT, Keys.UP)
    assert field.get_attribute("value") == "SELECT 'first'"
    for _ in range(2):
        field.send_keys(Keys.ALT, Keys.DOWN)
    assert field.get_attribute("value") == "half a thou"
    page.driver.refresh()
    page.find("#sql")
    page.button("History")
    page.see("SELECT 'second'", ".history")


def test_a_statement_of_many_lines_is_put_in_at_once(page: Browser) -> None:
    page.ask("SELECT 1" + "\n" * 200 + "+ 1")
    field = page.write("SELECT 2")
    page.run(
        "window.drawn = new MutationObserver(() => {});"
        "window.drawn.observe(document.querySelector('.shade code'), {childList: true});"
        "const field = document.getElementById('sql');"
        "field.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowUp', altKey: true}));"
        "window.times = window.drawn.takeRecords().length"
    )
    assert str(field.get_attribute("value")).count("\n") == 200
    assert page.run("return document.querySelector('.numbers').textContent").endswith("201")
    assert page.run("return window.times") < 5


def downloaded(page: Browser, name: str) -> Path:
    """A file, once all of it is there."""
    path = page.downloads / name
    until(lambda: path.exists() and not list(page.downloads.glob("*.crdownload")), name)
    return path


def test_all_of_a_result_is_exported(page: Browser) -> None:
    for old in page.downloads.iterdir():
        old.unlink()
    page.write(counting(150_000, "i, 'row ' || i AS what"))
    page.click(".export")
    page.see("as result.csv", "#notices")
    with downloaded(page, "result.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["i", "what"]
    assert len(rows) == 150_001
    assert rows[-1] == ["150000", "row 150000"]
    page.write("SELECT title, cover FROM book WHERE id = 1")
    page.click(".export:last-child")
    page.see("as result.json", "#notices")
    found = json.loads(downloaded(page, "result.json").read_text())
    assert found == [{"title": "The Dispossessed", "cover": "/9j/4AAQSkY="}]


def test_an_export_does_not_write_a_second_time(page: Browser) -> None:
    page.write("INSERT INTO diary(what) VALUES ('twice?') RETURNING what")
    page.button("csv")
    page.see("this one is no query", "#notices")
