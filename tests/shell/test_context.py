"""What completion offers: the cursor is the `|` in each text."""

from __future__ import annotations

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from raftsql_shell.catalogue import Catalogue
from raftsql_shell.completion import ShellCompleter
from raftsql_shell.context import Wanted, context

CATALOGUE = Catalogue(
    {
        "author": ["id", "name", "born"],
        "book": ["isbn", "title", "author_id"],
        "Odd Table": ["two words"],
        "recent": ["isbn"],
    },
    {"recent"},
    ["count", "max", "upper"],
)


def offers(text: str, *, asked: bool = True) -> list[str]:
    cursor = text.index("|")
    document = Document(text.replace("|", ""), cursor)
    completer = ShellCompleter(lambda: CATALOGUE, lambda: ["mine"], lambda: ["1", "2"])
    found = completer.get_completions(document, CompleteEvent(completion_requested=asked))
    return [completion.text for completion in found]


def wanted(text: str) -> Wanted:
    return context(text.replace("|", ""), text.index("|"), CATALOGUE).wanted


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("SELECT * FROM |", ["author", "book", '"Odd Table"', "recent"]),
        ("SELECT * FROM bo|", ["book"]),
        ("SELECT * FROM book, |", ["author", "book"]),
        ("SELECT * FROM book JOIN aut|", ["author"]),
        ("INSERT INTO |", ["author", "book"]),
        ("UPDATE b|", ["book"]),
        ("DROP TABLE IF EXISTS b|", ["book"]),
        ("SELECT t| FROM book", ["title"]),
        ("SELECT b.| FROM book AS b", ["isbn", "title", "author_id"]),
        ("SELECT b.ti| FROM book b JOIN author a", ["title"]),
        ("SELECT a.| FROM book b JOIN author a ON b.author_id = a.id", ["id", "name", "born"]),
        ("SELECT author.na| FROM author", ["name"]),
        ('SELECT o.| FROM "Odd Table" o', ['"two words"']),
        ("SELECT * FROM book b WHERE b.| ORDER BY 1", ["isbn", "title", "author_id"]),
        ("SELECT * FROM author WHERE bo|", ["born"]),
        ("SELECT * FROM author WHERE id = 1 AND na|", ["name"]),
        ("SELECT * FROM author ORDER BY id, bo|", ["born"]),
        ("SELECT id, na| FROM author", ["name"]),
        ("SELECT max(bo|) FROM author", ["born"]),
        ("INSERT INTO author(id, na|", ["name"]),
        ("INSERT INTO author(|", ["id", "name", "born"]),
        ("UPDATE author SET na|", ["name"]),
        ("CREATE INDEX i ON book(ti|", ["title"]),
        ("SELECT 1; SELECT * FROM au| ; SELECT * FROM book", ["author"]),
        ("WITH x AS (SELECT name AS full FROM author) SELECT fu| FROM x", ["full"]),
        ("WITH x AS (SELECT * FROM book) SELECT x.| FROM x", ["isbn", "title", "author_id"]),
        ("WITH x(one, two) AS (VALUES(1, 2)) SELECT x.| FROM x", ["one", "two"]),
        ("WITH numbers AS (SELECT 1) SELECT * FROM num|", ["numbers"]),
        ("SELECT s.| FROM (SELECT b.title, count(*) AS n FROM book b) AS s", ["title", "n"]),
        ("SELECT * FROM author a WHERE EXISTS (SELECT 1 FROM book WHERE a.|)", ["id", "name"]),
        ("SELECT * FROM author a WHERE id IN (SELECT au| FROM book)", ["author_id"]),
        ("sel|", ["SELECT"]),
        ("SELECT upp|", ["upper("]),
        ("SELECT * FROM author WHE|", ["WHERE"]),
        ("select * from author whe|", ["where"]),
    ],
)
def test_the_first_offers_fit_the_place(text: str, first: list[str]) -> None:
    found = offers(text)
    if first == ["SELECT"]:
        found = [each.upper() for each in found]
    assert found[: len(first)] == first


@pytest.mark.parametrize(
    "text", ["SELECT 'FROM |'", "SELECT 'it''s FROM |", "SELECT * FROM author WHERE name = '|"]
)
def test_nothing_is_offered_inside_of_a_text(text: str) -> None:
    assert offers(text) == []


def test_columns_of_tables_that_a_query_can_not_see_are_not_offered() -> None:
    assert "born" not in offers("SELECT * FROM (SELECT id FROM author) AS s WHERE s.|")
    assert "title" not in offers("SELECT | FROM author WHERE id IN (SELECT author_id FROM book)")


def test_a_new_statement_is_only_offered_when_something_is_typed_or_asked_for() -> None:
    assert offers("SELECT 1; |", asked=False) == []
    assert "SELECT" in offers("SELECT 1; |")


def test_letters_in_their_order_are_enough() -> None:
    assert "author_id" in offers("SELECT atid| FROM book")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".tab|", [".tables"]),
        (".schema bo|", ["book"]),
        (".mode js|", ["json", "jsonl"]),
        (".consistency li|", ["linearizable"]),
        (".timer o|", ["on", "off"]),
        (".help des|", ["describe"]),
        (".transfer |", ["1", "2"]),
        (".favorite run m|", ["mine"]),
        (".explain SELECT * FROM bo|", ["book"]),
        (".watch 2 SELECT * FROM bo|", ["book"]),
        (".quit |", []),
        (".nothing |", []),
    ],
)
def test_commands_and_their_arguments(text: str, expected: list[str]) -> None:
    found = offers(text)
    assert found[: len(expected)] == expected
    assert bool(found) == bool(expected)


@pytest.mark.parametrize(
    "text", ["SELECT (((|", "SELECT * FROM (|", ")|", '"|', "WITH x AS (|", ".|"]
)
def test_unfinished_text_is_no_trouble(text: str) -> None:
    offers(text)


def test_a_comma_in_from_asks_for_a_table_and_elsewhere_for_a_column() -> None:
    assert wanted("SELECT a FROM t, |") is Wanted.TABLE
    assert wanted("SELECT a, |") is Wanted.COLUMN
    assert wanted("SELECT f(a, |") is Wanted.COLUMN
    assert wanted("SELECT (SELECT 1), | FROM t") is Wanted.COLUMN
