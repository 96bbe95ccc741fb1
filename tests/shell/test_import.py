"""Loading files: what is loaded, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shell.conftest import Kept
from tests.shell.fake import ShellServer


@pytest.fixture
def table(server: ShellServer, shell: Kept) -> Kept:
    shell.type("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);")
    return shell


def load(shell: Kept, path: Path, content: str | bytes, options: str = "") -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return shell.type(f".import {path} t {options}")


def rows(server: ShellServer) -> list[tuple[object, ...]]:
    return [tuple(row) for row in server.query("SELECT a, b FROM t ORDER BY a")]


def test_quotes_newlines_and_empty_fields_are_understood(
    server: ShellServer, table: Kept, tmp_path: Path
) -> None:
    content = '1,"two\nlines"\r\n2,"a ""quote"", and a comma"\r\n\r\n3,\r\n'
    assert load(table, tmp_path / "t.csv", content).startswith("3 rows loaded")
    expected = [(1, "two\nlines"), (2, 'a "quote", and a comma'), (3, None)]
    assert rows(server) == expected


def test_an_empty_field_may_stay_a_text(server: ShellServer, table: Kept, tmp_path: Path) -> None:
    load(table, tmp_path / "t.csv", "1,\n", "--empty-text")
    assert rows(server) == [(1, "")]


def test_the_columns_of_a_header_may_stand_in_any_order(
    server: ShellServer, table: Kept, tmp_path: Path
) -> None:
    load(table, tmp_path / "t.csv", "\ufeffB,a\nx,1\n")
    assert rows(server) == [(1, "x")]


def test_a_column_that_the_table_does_not_have_is_named(
    server: ShellServer, table: Kept, tmp_path: Path
) -> None:
    said = load(table, tmp_path / "t.csv", "a,c\n1,x\n", "--header yes")
    assert "the table t has no column c; it has a, b" in said
    assert rows(server) == []


def test_a_row_of_another_length_ends_the_load_and_tells_what_became_of_the_rest(
    server: ShellServer, table: Kept, tmp_path: Path
) -> None:
    said = load(table, tmp_path / "t.csv", "1,x\n2,y\n3\n4,z\n")
    assert "t.csv, line 3: 1 field where 2 are wanted" in said
    assert "2 rows before it loaded, nothing after" in said
    assert rows(server) == [(1, "x"), (2, "y")]


def test_rows_of_another_length_can_be_made_to_fit_or_left_out(
    server: ShellServer, table: Kept, tmp_path: Path
) -> None:
    content = "1,x\n2\n3,y,extra\n"
    assert "2 rows made to fit" in load(table, tmp_path / "t.csv", content, "--ragged fill")
    assert rows(server) == [(1, "x"), (2, None), (3, "y")]
    table.type("DELETE FROM t;")
    assert "2 rows left out" in load(table, tmp_path / "t.csv", content, "--ragged skip")
    assert rows(server) == [(1, "x")]


def test_an_atomic_load_that_stops_leaves_nothing(
    server: ShellServer, table: Kept, tmp_path: Path
) -> None:
    said = load(table, tmp_path / "t.csv", "1,x\n2\n", "--atomic")
    assert "nothing was loaded" in said
    assert rows(server) == []
    assert not table.session.connection.in_transaction


def test_bytes_that_are_no_text_are_named_by_their_line(
    server: ShellServer, table: Kept, tmp_path: Path
) -> None:
    said = load(table, tmp_path / "t.csv", b"1,x\n2,\xff\xfe\n3,z\n")
    assert "t.csv, line 2: byte 0xff is not UTF-8; 1 row before it loaded, nothing after" in said
    said = load(table, tmp_path / "u.csv", b"5,x\n6,\0\n")
    assert "line 2: a NUL byte" in said
    assert rows(server) == [(1, "x"), (5, "x")]


def test_a_quote_that_is_never_closed_is_named_by_its_line(
    server: ShellServer, table: Kept, tmp_path: Path
) -> None:
    said = load(table, tmp_path / "t.csv", '1,x\n2,"never\nclosed\n')
    assert "line 2: a quote that is opened here is never closed" in said
    assert rows(server) == [(1, "x")]


def test_what_the_database_refuses_is_named_by_its_lines(
    server: ShellServer, table: Kept, tmp_path: Path
) -> None:
    said = load(table, tmp_path / "t.csv", "1,x\n2,y\n2,z\n")
    assert "t.csv, line 1: in the lines up to 3: UNIQUE constraint failed: t.a" in said
    assert "0 rows before it loaded, nothing after" in said
    assert rows(server) == []


def test_tab_separated_values_are_read_as_they_are_written(
    server: ShellServer, table: Kept, tmp_path: Path
) -> None:
    written = '1\ttab\\tand\\nnewline \\\\ "quote"\n2\t\\N\n3\t\n'
    load(table, tmp_path / "t.tsv", written)
    assert rows(server) == [(1, 'tab\tand\nnewline \\ "quote"'), (2, None), (3, "")]
    table.look.mode, table.look.headers = "tsv", False
    assert table.type("SELECT * FROM t ORDER BY a;") == written


def test_objects_are_read_by_their_names(server: ShellServer, table: Kept, tmp_path: Path) -> None:
    content = '{"b": "x", "a": 1}\n{"a": 2}\n\n{"b": {"c": [1]}, "a": 3}\n{"a": true, "z": 1}\n'
    said = load(table, tmp_path / "t.jsonl", content)
    assert "line 5: 3 fields where 2 are wanted" in said
    assert rows(server) == [(1, "x"), (2, None), (3, '{"c": [1]}')]
    assert "line 1: this is no JSON" in load(table, tmp_path / "u.jsonl", "{")
    assert "an object is wanted" in load(table, tmp_path / "u.jsonl", "[1]")


def test_a_table_is_made_of_the_names_and_values_of_a_file(
    server: ShellServer, shell: Kept, tmp_path: Path
) -> None:
    content = "id,price,code,note\n1,1.5,007,\n2,3,008,x\n"
    assert "table t made" in load(shell, tmp_path / "t.csv", content)
    assert shell.type(".schema t") == (
        "CREATE TABLE t(id INTEGER, price REAL, code TEXT, note TEXT);\n"
    )
    found = server.query("SELECT id, price, code, note FROM t")
    assert [tuple(row) for row in found] == [(1, 1.5, "007", None), (2, 3.0, "008", "x")]


def test_another_separator_is_noticed_and_can_be_named(
    server: ShellServer, shell: Kept, tmp_path: Path
) -> None:
    content = "a;b\n1;x\n"
    assert "say --separator ';'" in load(shell, tmp_path / "t.csv", content)
    said = load(shell, tmp_path / "t.csv", content, "--separator ';'")
    assert said.startswith("1 row loaded")
    assert rows(server) == [(1, "x")]
    assert "that is no option" in load(shell, tmp_path / "t.csv", content, "--separator ';;'")


def test_an_empty_file_makes_no_table(server: ShellServer, shell: Kept, tmp_path: Path) -> None:
    assert "names no columns" in load(shell, tmp_path / "t.csv", "")
    assert "say what it is" in load(shell, tmp_path / "t.dat", "1")


def test_many_rows_travel_in_chunks(server: ShellServer, table: Kept, tmp_path: Path) -> None:
    content = "".join(f"{k},{'x' * 100}\n" for k in range(12_000))
    assert load(table, tmp_path / "t.csv", content).startswith("12,000 rows loaded")
    assert server.query("SELECT count(*), sum(length(b)) FROM t") == [(12_000, 1_200_000)]
    assert server.seen["Run"] > 2
