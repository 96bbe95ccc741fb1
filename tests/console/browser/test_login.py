"""Who may look, and do what: the page on a node with users."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from selenium.webdriver.common.keys import Keys

from raftsql.server.operate import NotDone, call, status
from raftsql.server.places import Place, places
from raftsql_proto import users_pb2
from raftsql_proto.users_pb2_grpc import UsersStub
from tests.console.browser.chromium import DESKTOP, NARROW, Browser, need_chromium
from tests.console.browser.nodes import Consoles
from tests.server.processes import until

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(300)]

PASSWORDS = {"root": "the root's word", "ann": "the word of ann", "eva": "the word of eva"}


def door(nodes: Consoles, number: int, user: str) -> Place:
    """Where a user finds a node."""
    login = f"{user}:{PASSWORDS[user].replace(' ', '%20')}@" if user else ""
    return places(f"raftsql://{login}{nodes.nodes[number].address}/")[0]


def change(nodes: Consoles, asking: str, whom: str, **what: object) -> None:
    """Change a user, as an admin does."""
    request = users_pb2.ChangeRequest(user=whom, **what)  # type: ignore[arg-type]
    call(door(nodes, 0, asking), lambda stub: stub.Change, request, 20.0, UsersStub)


def level(nodes: Consoles) -> bool:
    """Whether every node has applied the same: all users, then."""
    applied = set()
    for number in range(len(nodes.nodes)):
        try:
            applied.add(json.loads(status(door(nodes, number, "root")))["applied_index"])
        except NotDone:
            return False  # It does not know the user yet.
    return len(applied) == 1


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consoles]:
    """Three nodes with users: `root` is admin, `ann` may write, `eva` may read one table."""
    need_chromium()
    nodes = Consoles(tmp_path_factory.mktemp("guarded"))
    try:
        nodes.execute(
            "CREATE TABLE orders(what); CREATE TABLE secrets(what);"
            "INSERT INTO orders VALUES ('tea')"
        )
        change(nodes, "", "root", add=users_pb2.AddUser(password=PASSWORDS["root"], role="admin"))
        for name in ("ann", "eva"):
            change(nodes, "root", name, add=users_pb2.AddUser(password=PASSWORDS[name]))
        change(nodes, "root", "ann", grant=users_pb2.GrantRight(right="write", table="orders"))
        change(nodes, "root", "eva", grant=users_pb2.GrantRight(right="read", table="orders"))
        until(lambda: level(nodes), "the users on every node")
        yield nodes
    finally:
        nodes.end()


def log_in(page: Browser, user: str, password: str = "") -> Browser:
    """Fill in the form that is there."""
    field = page.find("dialog.login [name=user]")
    field.clear()
    field.send_keys(user)
    page.find("dialog.login [name=password]").send_keys(password or PASSWORDS[user], Keys.ENTER)
    return page


def test_nobody_sees_anything_without_a_login(browser: Browser, guarded: Consoles) -> None:
    page = browser.open(guarded.pages[0])
    page.find("dialog.login")
    page.press(Keys.ESCAPE)
    page.press(Keys.ESCAPE)
    page.find("dialog.login")
    assert page.text("#main") == ""
    log_in(page, "ann", "a guess")
    page.see("password", "dialog.login .trouble")
    assert page.text("#main") == ""


def test_an_admin_logs_in_and_out(browser: Browser, guarded: Consoles) -> None:
    page = log_in(browser.open(guarded.pages[0]), "root")
    page.see("leads in term")
    page.see("root", ".who")
    assert page.shown("[data-action=Verify]").is_enabled()  # type: ignore[union-attr]
    page.size(*NARROW)
    assert page.sideways() <= 0
    page.size(*DESKTOP)
    page.click("[aria-label='Log out']")
    page.find("dialog.login")
    assert page.text("#main") == ""


def test_what_a_role_may_not_do_is_refused(browser: Browser, guarded: Consoles) -> None:
    page = log_in(browser.open(guarded.pages[1]), "eva")
    page.see("leads in term")
    page.see("Changing the cluster needs the role admin")
    assert page.run("return [...document.querySelectorAll('[data-action]')].every(b => b.disabled)")
    page.go("#sql")
    page.ask("SELECT what FROM orders")
    page.rows([["tea"]])
    for sql in (
        "SELECT what FROM secrets",
        "INSERT INTO orders VALUES ('more')",
        "DROP TABLE orders",
    ):
        page.ask(sql)
        assert page.text(".result-trouble") != "", sql
    page.ask("SELECT count(*) FROM orders")
    page.rows([["1"]])


def test_a_button_that_somebody_enables_is_refused_by_the_node(
    browser: Browser, guarded: Consoles
) -> None:
    page = log_in(browser.open(guarded.pages[1]), "ann")
    page.see("leads in term")
    page.run("document.querySelector('[data-action=Snapshot]').disabled = false")
    page.click("[data-action=Snapshot]")
    page.button("Take a snapshot")
    page.see("admin", "dialog[open] .trouble")


def test_an_expired_login_is_asked_for_again_and_the_text_is_still_there(
    browser: Browser, guarded: Consoles
) -> None:
    page = log_in(browser.open(guarded.pages[0], "#sql"), "ann")
    text = "SELECT what FROM orders -- half an hour of thought"
    page.write(text)
    # As if in another tab, or after half an hour.
    page.wait_in_page(
        "const done = arguments[0]; fetch('api/logout', {method: 'POST', body: '{}', headers: "
        "{'X-Raftsql-Console': '1', 'Content-Type': 'application/json'}}).then(() => done())"
    )
    page.see("Your login has expired", "dialog.login")
    log_in(page, "ann")
    page.until(lambda: page.shown("dialog.login") is None, "the end of the login")
    field = page.find("#sql")
    assert field.get_attribute("value") == text
    field.send_keys(Keys.CONTROL, Keys.ENTER)
    page.over()
    page.rows([["tea"]])


def test_a_page_does_not_go_on_as_who_logged_in_on_another(
    browser: Browser, guarded: Consoles
) -> None:
    page = log_in(browser.open(guarded.pages[0], "#sql"), "ann")
    page.write("SELECT 'private to ann'")
    first = page.driver.current_window_handle
    page.tab(guarded.pages[0])
    page.see("ann", ".who")
    page.click("[aria-label='Log out']")
    log_in(page, "eva")
    page.see("eva", ".who")
    page.look(first).see("eva", ".who")
    assert page.find("#sql").get_attribute("value") == ""


def test_somebody_else_does_not_find_the_first_ones_text(
    browser: Browser, guarded: Consoles
) -> None:
    page = log_in(browser.open(guarded.pages[0], "#sql"), "ann")
    page.write("SELECT 'private to ann'")
    page.tell("Network.clearBrowserCookies")
    page.find("#sql").send_keys(Keys.CONTROL, Keys.ENTER)
    page.find("dialog.login")
    log_in(page, "eva")
    page.see("eva", ".who")
    page.until(lambda: page.shown("dialog.login") is None, "the end of the login")
    assert page.find("#sql").get_attribute("value") == ""
