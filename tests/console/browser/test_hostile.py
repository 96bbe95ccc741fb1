"""What a page may meet and must survive: hostile texts, endless results, huge and binary values."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from selenium.webdriver.common.keys import Keys

from tests.console.browser.chromium import Browser
from tests.console.browser.nodes import Consoles
from tests.console.browser.test_sql_view import counting

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(300)]

HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\">",
    "<script>document.title='owned'</script>",
    "</textarea></pre><svg onload=\"document.title='owned'\">",
    "javascript:document.title='owned'",
    "{{7*7}} ${7*7} &lt;b&gt; \u202egnp.exe",
)


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def harmless(page: Browser) -> None:
    """Nothing of it has become a part of the page."""
    assert page.run("return document.title") != "owned"
    found = page.run(
        "return document.querySelectorAll('main img, main script, main iframe').length"
    )
    assert found == 0


def test_hostile_values_names_and_errors_stay_text(browser: Browser, nodes: Consoles) -> None:
    page = browser.open(nodes.pages[0], "#sql")
    columns = ", ".join(f"{literal(text)} AS {name(text)}" for text in HOSTILE)
    page.ask(f"SELECT {columns}")
    page.rows([list(HOSTILE)])
    heads = page.run(
        "return [...document.querySelectorAll('.grid-head .cell')].map(c => c.textContent)"
    )
    assert heads[1:] == list(HOSTILE)
    page.press(Keys.TAB)
    page.run("document.querySelector('.grid').focus()")
    page.press(Keys.ENTER)
    assert page.find("dialog.value pre").text == HOSTILE[0]
    page.press(Keys.ESCAPE)
    page.ask(f"SELECT * FROM {name(HOSTILE[0])}")
    assert HOSTILE[0] in page.text(".result-trouble")
    page.button("History")
    page.find(".history li")
    harmless(page)


def test_hostile_names_stay_text_in_the_schema_and_in_completion(
    browser: Browser, nodes: Consoles
) -> None:
    for text in HOSTILE[:3]:
        nodes.execute(
            f"CREATE TABLE IF NOT EXISTS {name(text)}({name(text)} DEFAULT {literal(text)});"
            f"CREATE INDEX IF NOT EXISTS {name('i' + text)} ON {name(text)}({name(text)});"
        )
    page = browser.open(nodes.pages[0], f"#schema/{quote(HOSTILE[0], safe='')}")
    page.see(HOSTILE[0], ".detail h1")
    page.see("i" + HOSTILE[0], ".detail")
    page.see("No rows.", ".detail .first")
    page.button("Query it")
    assert page.find("#sql").get_attribute("value") == f"SELECT * FROM {name(HOSTILE[0])} LIMIT 100"
    page.write("SELECT * FROM ")
    page.press(Keys.CONTROL, " ")
    page.press(Keys.CONTROL, "k")
    page.find("dialog.jump input").send_keys("onerror")
    page.see(HOSTILE[0], "dialog.jump")
    page.press(Keys.ESCAPE)
    harmless(page)
    for text in HOSTILE[:3]:
        nodes.execute(f"DROP TABLE {name(text)}")


@pytest.mark.parametrize("text", ["..", "two\nlines"])
def test_a_table_whose_name_would_lead_elsewhere_in_an_address_is_shown(
    text: str, browser: Browser, nodes: Consoles
) -> None:
    nodes.execute(f"CREATE TABLE {name(text)} AS SELECT 'the row of ' || {literal(text)} AS what")
    page = browser.open(nodes.pages[0], f"#schema/{quote(text, safe='')}")
    page.see("1 row", ".detail .count")
    page.see("the row of", ".detail .first")
    nodes.execute(f"DROP TABLE {name(text)}")


def test_ten_million_rows_stop_at_the_pages_bound(browser: Browser, nodes: Consoles) -> None:
    page = browser.open(nodes.pages[0], "#sql")
    page.write(counting(10_000_000, "i, 'row ' || i")).send_keys(Keys.CONTROL, Keys.ENTER)
    assert "Stopped after 100,000 rows" in page.over(100)
    page.run("const g = document.querySelector('.grid'); g.scrollTop = g.scrollHeight")
    page.until(lambda: ["100000", "row 100000"] in page.cells(), "the last row")
    page.ask("SELECT 'and goes on'")
    page.rows([["and goes on"]])


def test_a_hundred_thousand_rows_are_as_few_elements_as_ten(
    browser: Browser, nodes: Consoles
) -> None:
    page = browser.open(nodes.pages[0], "#sql")
    page.ask("SELECT 1")
    found = page.wait_in_page(
        """const done = arguments[0];
        import('/console/static/grid.js').then(({ Grid }) => {
          const grid = new Grid('measured');
          document.querySelector('.table-place').replaceChildren(grid.element);
          grid.start(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
          const rows = Array.from({ length: 100000 }, (_, i) =>
            [i, i * 0.37, 'text of row ' + i, null, 'x', i % 7, {int: '9007199254740993'}, '' + i]);
          let began = performance.now();
          for (let at = 0; at < rows.length; at += 256) grid.add(rows.slice(at, at + 256));
          const added = performance.now() - began;
          const drawn = [];
          for (let turn = 0; turn < 100; turn += 1) {
            grid.element.scrollTop = (turn * 7919 * 26) % grid.element.scrollHeight;
            began = performance.now();
            grid.draw();
            grid.element.offsetHeight;
            drawn.push(performance.now() - began);
          }
          drawn.sort((a, b) => a - b);
          done({ added, middle: drawn[50], elements: grid.element.querySelectorAll('*').length });
        })"""
    )
    print(found)
    assert found["elements"] < 1_000
    assert found["added"] < 3_000
    assert found["middle"] < 200


def test_a_value_of_five_megabytes_and_binary_ones_are_shown_in_part(
    browser: Browser, nodes: Consoles
) -> None:
    page = browser.open(nodes.pages[0], "#sql")
    page.ask("SELECT printf('%.*c', 5000000, 'x') AS long, zeroblob(5000000) AS bin, x'00ff41'")
    (row,) = page.cells()
    assert row[0].startswith("5,000,000 characters: xxx")
    assert row[1:] == ["x'000000000000000000000000…' 5.0 MB", "x'00ff41' 3 B"]
    page.run("document.querySelector('.grid').focus()")
    page.press(Keys.ENTER)
    page.see("the first 4,096 of 5,000,000 characters", "dialog.value")
    page.press(Keys.ESCAPE)
    page.press(Keys.END)
    page.press(Keys.ENTER)
    page.see("0000  00 ff 41", "dialog.value pre")
