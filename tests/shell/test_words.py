"""Small decisions: values of parameters, places of errors, settings, the toolbar, what is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftsql_shell import config, pager
from raftsql_shell.errors import CommandError, caret, described, folded, place_of
from raftsql_shell.literals import name, value
from raftsql_shell.plan import tree
from raftsql_shell.toolbar import toolbar
from raftsql_shell.watcher import View, changes
from raftsql_shell.watching import seconds_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", 5),
        ("-5", -5),
        ("9223372036854775808", "9223372036854775808"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("e3", "e3"),
        ("null", None),
        ("'5'", "5"),
        ("'it''s'", "it's"),
        ("x'00ff'", b"\x00\xff"),
        ("x'0'", "x'0'"),
        ("", ""),
        ("a b", "a b"),
    ],
)
def test_a_parameter_is_what_it_looks_like(text: str, expected: object) -> None:
    assert value(text) == expected
    assert type(value(text)) is type(expected)


def test_names_are_quoted_where_they_must_be() -> None:
    keywords = frozenset({"TABLE"})
    assert [name(each, keywords) for each in ("a1", "table", "two words", 'a"b', "1a")] == [
        "a1",
        '"table"',
        '"two words"',
        '"a""b"',
        '"1a"',
    ]


@pytest.mark.parametrize(
    ("message", "sql", "at"),
    [
        ("no such table: t2", "SELECT * FROM t, t2", "t2"),
        ("no such column: x.y", "SELECT 'x.y', x.y FROM t", "x.y FROM"),
        ("no such column: nope", "SELECT '日本', -- nope\n nope", "nope"),
        ("no such column: missing", "SELECT 1", None),
        ('near "t": syntax error', "SELECT '日本 t' FRM t", "t"),
        ('near "x": syntax error', "EXPLAIN SELECT 1 x x", "x"),
        ("UNIQUE constraint failed: t.a", "INSERT INTO t VALUES(1)", None),
    ],
)
def test_the_place_of_an_error_is_found_by_its_message(
    message: str, sql: str, at: str | None
) -> None:
    assert place_of(message, sql) == (sql.rindex(at) if at else -1)


def test_a_mark_stands_under_its_token_in_a_long_line() -> None:
    sql = "SELECT " + ", ".join(f"column_{k}" for k in range(100)) + " FROM t"
    line, mark = caret(sql, sql.index("column_50")).split("\n")
    assert line[mark.index("^") :].startswith("column_50")
    assert mark.count("^") == len("column_50")
    assert len(line) <= 76


def test_an_error_in_a_file_names_its_own_line() -> None:
    text = described("no such column: b", "SELECT a,\n b", -1, line=7, name="f.sql")
    assert text.startswith("f.sql:8: error: no such column: b\n")


def test_only_the_message_is_folded_and_not_the_place() -> None:
    text = folded("error: many words in a row\n  SELECT a statement that is long", 20)
    assert text == "error: many words in\n  a row\n  SELECT a statement that is long"


def test_a_plan_is_a_tree() -> None:
    rows = [(1, 0, 0, "a"), (2, 1, 0, "b"), (3, 1, 0, "c"), (4, 0, 0, "d")]
    assert tree(rows) == "├─ a\n│  ├─ b\n│  └─ c\n└─ d"
    assert "no table is read" in tree([])


def test_settings_are_read_and_checked(tmp_path: Path) -> None:
    file = tmp_path / "shell.toml"
    file.write_text('mode = "csv"\nnull = "-"\nwidth = [10, 20]\nsuggest = false\n')
    found = config.load(str(file))
    assert (found.mode, found.null, found.width, found.suggest) == ("csv", "-", [10, 20], False)
    assert config.load() == config.Config()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('mod = "csv"', "did you mean mode"),
        ('mode = "jason"', "mode is one of"),
        ("timer = 1", "timer is a bool"),
        ("= 1", "Invalid"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "shell.toml"
    file.write_text(text)
    with pytest.raises(CommandError, match=problem):
        config.load(str(file))


def test_a_settings_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no such file"):
        config.load(str(tmp_path / "nothing.toml"))


def test_favorites_keep_any_text() -> None:
    kept = {"a b": "SELECT 'ä\n\t\"\\'", "x": "SELECT 1"}
    config.keep_favorites(kept)
    assert config.favorites() == kept


def test_the_toolbar_says_the_urgent_first_and_only_what_fits() -> None:
    view = View(node=1, address="a:1", leader=2, term=7, known=True)
    whole = toolbar(
        view, fallback="", consistency="stale", transaction=True, seconds=0.25, width=100
    )
    assert whole == " IN TRANSACTION │ node 1 a:1 │ leader 2 │ term 7 │ stale │ 0.250 s"
    short = toolbar(
        view, fallback="", consistency="stale", transaction=True, seconds=0.25, width=20
    )
    assert short == " IN TRANSACTION"
    lost = toolbar(
        View(reachable=False), fallback="a:1", consistency="stale", transaction=False, seconds=0,
        width=100,
    )  # fmt: skip
    assert lost == " NO NODE ANSWERS │ a:1 │ stale"


HERE = View(node=1, address="a:1", leader=1, term=3, known=True)
THERE = View(node=2, address="b:1", leader=2, term=4, known=True)
NOWHERE = View(address="a:1", reachable=False)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (View(), HERE, []),
        (HERE, HERE, []),
        (HERE, NOWHERE, ["connection lost: no node answers; trying again"]),
        (NOWHERE, NOWHERE, []),
        (NOWHERE, HERE, ["connected again: node 1 at a:1", "node 1 leads, term 3"]),
        (
            HERE,
            THERE,
            ["a:1 does not answer; now at node 2, b:1", "node 2 leads, term 4"],
        ),
        (
            HERE,
            View(node=1, address="a:1", term=4, known=True),
            ["the cluster has no leader"],
        ),
    ],
)
def test_what_changes_is_told_once(before: View, after: View, told: list[str]) -> None:
    assert changes(before, after) == told


def test_a_pager_that_is_not_there_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pager.program("off") == ""
    assert pager.program("no-such-program -x") == ""
    assert pager.program("'unclosed") == ""
    monkeypatch.setenv("PAGER", "cat -A")
    assert pager.program("") == "cat -A"


def test_a_pause_is_a_number_of_seconds() -> None:
    assert seconds_of("0.5") == 0.5
    for text in ("0", "-1", "x", "nan", "1e9"):
        with pytest.raises(CommandError):
            seconds_of(text)
