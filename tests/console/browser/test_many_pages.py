"""Many pages of one node in one browser, which has six connections for all of them."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from tests.console.browser.chromium import Browser
from tests.console.browser.nodes import Consoles

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(300)]

PAGES = 8
"""More than there are connections."""
SECONDS = 30.0
"""Chromium gives up a connection of a page that was left after a minute: not to be waited for."""


def works(page: Browser) -> None:
    """The page that is seen has a connection left for what it asks."""
    page.write("SELECT 'answered'").send_keys(Keys.CONTROL, Keys.ENTER)
    page.over(SECONDS)
    page.rows([["answered"]])


def test_a_page_that_was_left_has_let_go_of_its_connection(
    browser: Browser, nodes: Consoles
) -> None:
    for _ in range(PAGES):
        page = browser.open(nodes.pages[0], "#sql")
        works(page)


def test_tabs_that_nobody_sees_leave_connections_to_the_one_that_is_seen(
    browser: Browser, nodes: Consoles
) -> None:
    page = browser.open(nodes.pages[0], "#sql")
    works(page)
    first = page.driver.current_window_handle
    for _ in range(PAGES):
        page.tab(nodes.pages[0], "#sql")
        works(page)
    page.look(first).go("#cluster")
    applied = "tr[data-node='1'] [data-label=Applied]"
    before = page.text(applied)
    nodes.execute("INSERT INTO diary(what) VALUES ('seen again')")
    page.until(lambda: page.text(applied) != before, "what the node tells", SECONDS)


def test_a_page_that_one_comes_back_to_listens_again(browser: Browser, nodes: Consoles) -> None:
    page = browser.open(nodes.pages[0])
    page.see("leads in term", "#headline")
    page.driver.get("about:blank")
    page.driver.back()
    page.see("leads in term", "#headline")
    applied = "tr[data-node='1'] [data-label=Applied]"
    before = page.text(applied)
    nodes.execute("INSERT INTO diary(what) VALUES ('come back')")
    page.until(lambda: page.text(applied) != before, "what the node tells", SECONDS)
    assert page.text("#banner") == ""
