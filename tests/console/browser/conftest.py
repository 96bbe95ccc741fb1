"""A browser and a cluster for all tests here: both take seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.console.browser.chromium import Browser, need_chromium
from tests.console.browser.nodes import Consoles
from tests.interfaces import steady

LIBRARY = """
CREATE TABLE author(id INTEGER PRIMARY KEY, name TEXT NOT NULL, born INTEGER);
CREATE TABLE book(
  id INTEGER PRIMARY KEY,
  title TEXT NOT NULL,
  author INTEGER NOT NULL REFERENCES author,
  price REAL DEFAULT 9.5,
  cover BLOB
);
CREATE INDEX book_by_author ON book(author);
CREATE VIEW cheap AS SELECT title, price FROM book WHERE price < 8;
CREATE TABLE diary(at TEXT DEFAULT CURRENT_TIMESTAMP, what TEXT);
CREATE TRIGGER book_added AFTER INSERT ON book BEGIN
  INSERT INTO diary(what) VALUES ('added ' || new.title);
END;
INSERT INTO author VALUES (1, 'Ursula K. Le Guin', 1929), (2, 'Stanisław Lem', 1921),
  (3, 'Αριστοφάνης', -446);
INSERT INTO book(title, author, price, cover) VALUES
  ('The Dispossessed', 1, 9.5, x'ffd8ffe000104a46'), ('Solaris', 2, 8.0, NULL),
  ('Λυσιστράτη', 3, NULL, NULL), ('Four Ways to Forgiveness', 1, 7.25, NULL);
"""


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The browser, started once."""
    need_chromium()
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser, with nothing of earlier tests; it must not have complained in the end."""
    with steady():
        chromium.anew()
        yield chromium
    complaints = [each for each in chromium.complaints() if "favicon" not in each]
    policy = [each for each in complaints if "Content Security Policy" in each]
    errors = [each for each in complaints if "Uncaught" in each or "TypeError" in each]
    assert not policy + errors


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consoles]:
    """Three nodes with a library in them."""
    need_chromium()
    consoles = Consoles(tmp_path_factory.mktemp("consoles"))
    try:
        consoles.execute(LIBRARY)
        yield consoles
    finally:
        consoles.end()
