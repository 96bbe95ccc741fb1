"""Where statements and commands begin and end."""

from __future__ import annotations

import pytest

from raftsql_shell.statements import (
    NAMELESS,
    BadText,
    Command,
    Splitter,
    Statement,
    is_complete,
    parameters,
    split,
)

TRIGGER = "CREATE TRIGGER r AFTER INSERT ON t BEGIN\n  UPDATE t SET a = 1;\n  SELECT ';';\nEND;"


def texts(source: str) -> list[str]:
    return [item.text for item in split(source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;", ["SELECT 1;"]),
        ("SELECT 1; SELECT 2;", ["SELECT 1;", "SELECT 2;"]),
        ("SELECT ';'; SELECT \";\"; SELECT [;]", ["SELECT ';';", 'SELECT ";";', "SELECT [;]"]),
        ("SELECT 1 -- ; not yet\n;", ["SELECT 1 -- ; not yet\n;"]),
        ("SELECT /* ; */ 1;", ["SELECT /* ; */ 1;"]),
        ("SELECT 'it''s;';", ["SELECT 'it''s;';"]),
        (f"{TRIGGER}\nSELECT 1;", [TRIGGER, "SELECT 1;"]),
        ("-- only a comment\n;;\n/* and another */", []),
        (".tables\nSELECT 1;\n.quit", [".tables", "SELECT 1;", ".quit"]),
        ("SELECT 1\n.tables\n;", ["SELECT 1\n.tables\n;"]),
        ("SELECT 1; /* open", ["SELECT 1;"]),
        ("", []),
    ],
)
def test_a_text_is_cut_at_its_statements(source: str, expected: list[str]) -> None:
    assert texts(source) == expected
    by_line = Splitter()
    found = [item.text for line in source.splitlines(keepends=True) for item in by_line.feed(line)]
    last = by_line.finish()
    assert [*found, *([last.text] if last else [])] == expected


def test_backslash_g_asks_for_rows_upright() -> None:
    assert list(split("SELECT 1 \\G\nSELECT 2 \\g")) == [
        Statement("SELECT 1", 1, upright=True),
        Statement("SELECT 2", 2, upright=True),
    ]
    assert texts("SELECT '\\G'") == ["SELECT '\\G'"]


def test_items_know_their_lines() -> None:
    items = list(split("\n.a\n\n  SELECT\n1;\n-- x\nSELECT 2;.b\n"))
    assert items[0] == Command(".a", 2)
    assert [item.line for item in items] == [2, 4, 7, 7]


def test_a_quote_that_is_never_closed_is_an_error_with_its_line() -> None:
    with pytest.raises(BadText, match="the ' on line 2"):
        list(split("SELECT 1;\nSELECT 'open;\n"))
    with pytest.raises(BadText, match='the " on line 1'):
        list(split('SELECT "open'))


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("", True),
        ("SELECT 1", False),
        ("SELECT 1;", True),
        ("SELECT 1; SELECT", False),
        ("SELECT ';", False),
        (".tables", True),
        ("SELECT 1 \\G", True),
        ("-- note", True),
        (TRIGGER[:-4], False),
        (TRIGGER, True),
        ("SELECT '\0", True),
    ],
)
def test_enter_runs_what_is_complete(text: str, complete: bool) -> None:
    assert is_complete(text) == complete


def test_a_long_script_is_cut_in_time_that_grows_with_its_length() -> None:
    rows = ",\n".join(f"({k}, 'a;b')" for k in range(20_000))
    assert len(texts(f"INSERT INTO t VALUES {rows};\nSELECT 1;")) == 2


def test_a_long_text_of_many_lines_is_read_once() -> None:
    """Looked at anew with each of its lines, a megabyte took two minutes."""
    text = "INSERT INTO t VALUES('" + "words; and more\n" * 60_000 + "');\n"
    splitter = Splitter()
    lines = [*text.splitlines(keepends=True), "SELECT 1;\n"]
    found = [item for line in lines for item in splitter.feed(line)]
    assert [(len(item.text), item.line) for item in found] == [(len(text) - 1, 1), (9, 60_002)]


def test_a_comment_ends_where_it_ends() -> None:
    assert texts("/**/ SELECT 1\n*/;") == ["/**/ SELECT 1\n*/;"]


def test_parameters_are_found_outside_of_texts_and_comments() -> None:
    sql = "SELECT :a, @b, $c, ':d', \"@e\", -- :f\n :a /* $g */, x'00', a::b"
    assert parameters(sql)[:3] == ["a", "b", "c"]
    assert not {"d", "e", "f", "g"} & set(parameters(sql))
    assert parameters("SELECT ?, '?', ?2, :a -- ?") == [NAMELESS, "a"]
