"""The cluster on the page while things happen to it: on three real nodes, in a real browser."""

from __future__ import annotations

import sqlite3
import time

import pytest
from selenium.webdriver.common.keys import Keys

from tests.console.browser.chromium import UNKNOWN, Browser
from tests.console.browser.nodes import Consoles
from tests.server.processes import until

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(300)]

SEEN_SECONDS_MAX = 2.0
"""From the moment at which there is a new leader until the page says so."""


def role(page: Browser, number: int) -> str:
    """What the page says that a node is."""
    return page.text(f"tr[data-node='{number}'] .role")


def test_members_are_shown_with_their_numbers_as_they_change(
    browser: Browser, nodes: Consoles
) -> None:
    page = browser.open(nodes.pages[1])
    leader = nodes.number(nodes.leader())
    page.see(f"Node {leader} leads in term ")
    page.until(lambda: [role(page, n) for n in (1, 2, 3)].count("follower") == 2, "two followers")
    page.see("All 3 members answer; 1 more may fail before writes stop.")
    applied = "tr[data-node='1'] [data-label=Applied]"
    before = page.text(applied)
    nodes.execute("INSERT INTO diary(what) VALUES ('seen')")
    page.until(lambda: page.text(applied) != before, "the entry on the page")
    for label in ("Disk", "Memory", "Version"):
        assert page.text(f"tr[data-node='3'] [data-label={label}]") != UNKNOWN


def test_the_plots_follow_the_load(browser: Browser, nodes: Consoles) -> None:
    page = browser.open(nodes.pages[nodes.leader()])
    page.see("leads in term")
    line = "return document.querySelector('.plot .line0').getAttribute('d')?.length ?? 0"
    for number in range(200):
        nodes.execute(f"INSERT INTO diary(what) VALUES ('{number}')")
        if page.text(".plot .value b") not in (UNKNOWN, "0"):
            break
    page.until(lambda: page.run(line) > 20, "a line of several samples")


@pytest.fixture
def healed(nodes: Consoles) -> Consoles:
    """The nodes; those that a test kills run again after it."""
    yield nodes  # type: ignore[misc]
    for place, node in enumerate(nodes.nodes):
        if node.process is None:
            nodes.again(place)


def test_a_leaders_death_and_the_new_leader_are_on_the_page_within_two_seconds(
    browser: Browser, healed: Consoles
) -> None:
    old, watched = healed.leader(), healed.follower()
    page = browser.open(healed.pages[watched])
    number = healed.number(old)
    page.see(f"Node {number} leads in term ")
    # Noted in the page itself: a look from here would come too late to say when.
    page.run(
        "const head = document.getElementById('headline'); window.seen = [];"
        "new MutationObserver(() => window.seen.push([Date.now(), head.textContent]))"
        ".observe(head, {childList: true, characterData: true, subtree: true})"
    )
    healed.nodes[old].kill()
    others = [node for node in healed.nodes if node.process is not None]
    until(lambda: any(node.leads() for node in others), "a new leader")
    led_at = time.time()
    page.until(
        lambda: (
            "leads" in page.text("#headline") and f"Node {number} " not in page.text("#headline")
        ),
        "the new leader",
    )
    seen_at = (
        next(
            at
            for at, text in page.run("return window.seen")
            if "leads" in text and f"Node {number} " not in text
        )
        / 1000
    )
    assert seen_at - led_at < SEEN_SECONDS_MAX
    page.until(lambda: role(page, number) == "no answer", "the dead node's silence")
    page.see(f"Node {number} does not answer; no other may fail, or writes stop.")
    page.see("leads in term", ".timeline")
    healed.again(old)
    page.until(lambda: role(page, number) == "follower", "its return")


def test_a_page_whose_node_vanishes_says_so_and_goes_on_when_it_is_back(
    browser: Browser, healed: Consoles
) -> None:
    place = healed.follower()
    page = browser.open(healed.pages[place])
    page.see("leads in term", "#headline")
    page.go("#sql").write("SELECT 'not lost'")
    healed.nodes[place].kill()
    page.see("does not answer since", "#banner")
    page.until(
        lambda: page.run("return document.querySelector('#banner a')?.href"),
        "a way to another node",
    )
    page.find("#sql").send_keys(Keys.CONTROL, Keys.ENTER)
    page.see("no answer", ".result-trouble")
    healed.again(place)
    page.until(lambda: page.text("#banner") == "", "the page's going on")
    page.find("#sql").send_keys(Keys.CONTROL, Keys.ENTER)
    page.over()
    page.rows([["not lost"]])


def test_each_action_says_what_it_will_do_and_asks_first(browser: Browser, nodes: Consoles) -> None:
    page = browser.open(nodes.pages[0])
    page.see("leads in term")
    page.find(".timeline [data-kind]")
    acted = "return document.querySelectorAll('.timeline [data-kind=transfer]').length"
    before = page.run(acted)
    follower = nodes.number(nodes.follower())
    for action in (
        f"Make node {follower} leader",
        f"Remove node {follower}",
        "Add a member",
        "Snapshot",
        "Verify",
        "Backup",
    ):
        page.click(f"[data-action='{action}']")
        said = page.find("dialog[open]").text
        assert len(said) > 120, said
        page.press(Keys.ESCAPE)
        page.until(lambda: page.shown("dialog[open]") is None, "the end of the dialog")
    assert page.run(acted) == before
    assert len(nodes.nodes[0].status()["members"]) == 3


def test_the_lead_is_handed_over(browser: Browser, nodes: Consoles) -> None:
    page = browser.open(nodes.pages[0])
    page.see("leads in term")
    to = nodes.number(nodes.follower())
    page.click(f"[data-action='Make node {to} leader']")
    page.button(f"Make node {to} the leader")
    page.see(f"Node {to} leads in term ", "#headline")
    page.see("node", "#notices")


def test_a_snapshot_is_taken_and_all_copies_are_compared(browser: Browser, nodes: Consoles) -> None:
    page = browser.open(nodes.pages[0])
    page.see("leads in term")
    page.click("[data-action=Verify]")
    page.button("Compare all copies")
    page.see("all nodes are equal", "#notices")
    page.click("[data-action=Snapshot]")
    page.button("Take a snapshot")
    page.see("the database is durable", "#notices")


def test_a_backup_is_downloaded(browser: Browser, nodes: Consoles) -> None:
    for old in browser.downloads.iterdir():
        old.unlink()
    page = browser.open(nodes.pages[0])
    page.see("leads in term")
    page.click("[data-action=Backup]")
    page.button("Download a backup")
    found = page.until(lambda: next(iter(page.downloads.glob("*.db")), None), "the backup")
    with sqlite3.connect(found) as database:
        assert database.execute("SELECT count(*) FROM author").fetchone() == (3,)
    database.close()
