"""The prompt, through a real pseudo-terminal, on the fake cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.shell.fake import ShellServer
from tests.shell.terminal import Terminal

pytestmark = pytest.mark.e2e

CTRL_C, CTRL_D, CTRL_R, TAB, ESCAPE = "\x03", "\x04", "\x12", "\t", "\x1b"
UP, LEFT = "\x1b[A", "\x1b[D"

Open = Callable[..., Terminal]


@pytest.fixture
def open_terminal() -> Iterator[Open]:
    terminals: list[Terminal] = []

    def opened(*arguments: str, **options: Any) -> Terminal:
        terminals.append(Terminal(*arguments, **options))
        return terminals[-1].prompted()

    yield opened
    for terminal in terminals:
        terminal.close()


def test_a_statement_over_two_lines_runs_when_it_is_complete(
    server: ShellServer, open_terminal: Open
) -> None:
    terminal = open_terminal(server.url)
    terminal.enter("SELECT 40").see("...")
    terminal.enter("+ 2 AS answer;").see("│     42 │").see("1 row (")


def test_control_d_leaves(server: ShellServer, open_terminal: Open) -> None:
    terminal = open_terminal(server.url)
    terminal.type(CTRL_D)
    assert terminal.end() == 0


def test_quit_leaves(server: ShellServer, open_terminal: Open) -> None:
    terminal = open_terminal(server.url)
    terminal.enter(".quit")
    assert terminal.end() == 0


def test_habits_of_other_shells_are_understood(server: ShellServer, open_terminal: Open) -> None:
    server.call(_run(server, "CREATE TABLE customers(identity INTEGER, surname TEXT)"))
    terminal = open_terminal(server.url, lines=80)
    terminal.enter("show tables").see("│ customers │")
    terminal.enter("\\d customers").see("│ identity │")
    terminal.enter("help").see(".help COMMAND says all about one.")
    terminal.enter("exit")
    assert terminal.end() == 0


def test_a_long_message_is_broken_between_words(server: ShellServer, open_terminal: Open) -> None:
    terminal = open_terminal(server.url, columns=40)
    terminal.enter(".mode a_format_of_that_name").see("error: there is no mode")
    terminal.see("\n  a_format_of_that_name")


def test_a_query_plan_is_a_tree_and_upright_what_it_is(
    server: ShellServer, open_terminal: Open
) -> None:
    terminal = open_terminal(server.url)
    terminal.enter("EXPLAIN QUERY PLAN SELECT * FROM sqlite_schema;").see("└─ SCAN")
    terminal.enter("EXPLAIN QUERY PLAN SELECT * FROM sqlite_schema\\G").see("notused: ")


def test_an_error_marks_the_place_and_the_prompt_lives(
    server: ShellServer, open_terminal: Open
) -> None:
    terminal = open_terminal(server.url)
    terminal.enter("SELECT nothing_such;").see("^^^^^^^^^^^^")
    terminal.enter("SELECT 'still ' || 'alive' AS x;").see("still alive │")


def test_tables_columns_and_aliases_are_completed(server: ShellServer, open_terminal: Open) -> None:
    server.call(_run(server, "CREATE TABLE customers(identity INTEGER, surname TEXT)"))
    terminal = open_terminal(server.url)
    terminal.type("SELECT * FROM cust").see("customers ")
    terminal.type(TAB).see("FROM customers")
    terminal.type(" AS c WHERE c.").see("surname").see("identity")
    terminal.type("sur").see("surname  c").type(TAB).see("c.surname")
    terminal.type(" = 'x';\r").see("0 rows")


def test_commands_and_their_arguments_are_completed(
    server: ShellServer, open_terminal: Open, tmp_path: Path
) -> None:
    (tmp_path / "some_data.csv").write_text("a\n1\n")
    terminal = open_terminal(server.url, folder=tmp_path)
    terminal.type(".cons").see(".consistency")
    terminal.type(TAB + " st").see("stale")
    terminal.type(TAB).see(".consistency stale")
    terminal.type("\r\r").see("│ stale").prompted()
    terminal.type(".import ./some").see("some_data.csv")
    terminal.type(TAB).see(".import ./some_data.csv")


def test_history_is_kept_and_searched(server: ShellServer, open_terminal: Open, home: Path) -> None:
    first = open_terminal(server.url)
    first.enter("SELECT 'from the past';").see("1 row (").prompted()
    first.type(CTRL_D)
    assert first.end() == 0
    history = home / ".local" / "state" / "raftsql" / "history"
    assert history.stat().st_mode & 0o077 == 0
    second = open_terminal(server.url)
    second.type("SELECT 'fr").see("SELECT 'from the past';")  # The suggestion, in grey.
    second.type(CTRL_C).prompted()
    second.type(CTRL_R).see("I-search backward:").type("past").see("SELECT 'from the past';")
    second.type("\r").see("raftsql> SELECT 'from the past';").type("\r").see("1 row (")


def test_control_c_clears_what_is_typed(server: ShellServer, open_terminal: Open) -> None:
    terminal = open_terminal(server.url)
    terminal.type("SELECT 'never").see("never")
    terminal.type(CTRL_C)
    terminal.enter("SELECT 7 * 6;").see("42")


def test_control_c_cancels_the_statement_on_the_server(
    server: ShellServer, open_terminal: Open
) -> None:
    terminal = open_terminal(server.url)
    terminal.enter("SELECT 1;").see("1 row (")
    server.faults.slow_s = 60.0
    terminal.enter("SELECT 'slow';")
    server.wait_for_sql("'slow'")
    terminal.insist(CTRL_C, "cancelled")
    server.wait_for_cancel()
    server.faults.slow_s = 0.0
    terminal.enter("SELECT 'quick' || 'ly' AS x;").see("quickly │")


def test_a_cancelled_statement_rolls_its_transaction_back_and_says_so(
    server: ShellServer, open_terminal: Open
) -> None:
    server.call(_run(server, "CREATE TABLE t(a)"))
    terminal = open_terminal(server.url)
    terminal.enter("BEGIN; INSERT INTO t VALUES(1);").see("raftsql*>")
    terminal.see("IN TRANSACTION")
    server.faults.slow_s = 60.0
    terminal.enter("INSERT INTO t VALUES(2);")
    server.wait_for_sql("VALUES(2)")
    terminal.insist(CTRL_C, "the transaction was rolled back")
    server.faults.slow_s = 0.0
    terminal.enter("SELECT count(*) AS left_over FROM t;").see("│         0 │")


def test_the_toolbar_tells_the_node_the_leader_the_term_and_the_level(
    server: ShellServer, open_terminal: Open
) -> None:
    terminal = open_terminal(server.url)
    terminal.see(f"node 1 {server.nodes[0].address}").see("leads").see("term 3")
    terminal.see("linearizable")
    terminal.enter(".consistency stale").see("│ stale")


def test_the_prompt_follows_the_cluster_when_its_node_dies(
    three: ShellServer, open_terminal: Open
) -> None:
    terminal = open_terminal(three.url)
    terminal.see("node 1").enter("SELECT 1;").see("1 row (")
    three.leader, three.term = 2, 4
    three.kill(1)
    terminal.see("now at node").see("node 2 leads, term 4")
    terminal.enter("SELECT 'still ' || 'here' AS x;").see("still here │")


def test_the_prompt_says_when_nobody_answers_and_when_somebody_does_again(
    server: ShellServer, open_terminal: Open
) -> None:
    terminal = open_terminal(server.url)
    terminal.see("term 3")
    server.kill(1)
    terminal.see("connection lost").see("NO NODE ANSWERS")
    server.revive(1)
    terminal.see("connected again")
    terminal.enter("SELECT 'and ' || 'back' AS x;").see("and back │")


def test_a_row_that_is_too_wide_is_shown_upright(server: ShellServer, open_terminal: Open) -> None:
    terminal = open_terminal(server.url, columns=60)
    terminal.type("SELECT hex(zeroblob(20)) AS a, hex(zeroblob(20)) AS b;\r").see("1. row ***")


def test_a_window_of_twenty_columns_is_enough(server: ShellServer, open_terminal: Open) -> None:
    terminal = open_terminal(server.url, columns=20, lines=12)
    terminal.type("SELECT 12345 AS n;\r").see("│ 12345 │").prompted()
    terminal.type("SELECT 1 AS a, 'a long text in it' AS b;\r").see("a: 1").see(
        "1 row ("
    ).prompted()
    assert "a: 1" in terminal.screen()


def test_a_long_result_goes_through_the_pager_and_leaving_it_ends_the_result(
    server: ShellServer, open_terminal: Open
) -> None:
    terminal = open_terminal(server.url, environment={"PAGER": "less"})
    many = "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c LIMIT 200000)"
    terminal.type(f"{many} SELECT x FROM c;\r").see("│    12 │")
    terminal.type("q")
    terminal.enter("SELECT 'after ' || 'it' AS x;").see("after it │")


def test_no_color_means_no_colours(server: ShellServer, open_terminal: Open) -> None:
    terminal = open_terminal(server.url, environment={"NO_COLOR": "1"})
    terminal.enter("SELECT 'plain' AS x;").see("│ plain │")
    assert b"\x1b[38;" not in terminal.raw
    assert b"\x1b[0;38;" not in terminal.raw


def test_vi_keys_and_other_settings_come_from_the_configuration(
    server: ShellServer, open_terminal: Open, tmp_path: Path
) -> None:
    config = tmp_path / "shell.toml"
    config.write_text('keys = "vi"\nmode = "csv"\ntimer = false\n')
    terminal = open_terminal(server.url, "--config", str(config))
    terminal.type("SELECT 13;" + ESCAPE)
    terminal.type("0wxi7" + ESCAPE).see("SELECT 73;")
    terminal.type("\r").see("\n73\n1 row\n")


def test_status_is_drawn_again_until_control_c(three: ShellServer, open_terminal: Open) -> None:
    terminal = open_terminal(three.url)
    terminal.enter(".status --watch 0.1").see("every 0.1 s")
    assert [row[2:6] for row in _rows(terminal)] == [
        ("leader", "3", "41", "2"),
        ("follower", "3", "42", "1"),
        ("follower", "3", "43", "0"),
    ]
    assert all(float(row[6]) > 0 for row in _rows(terminal))
    three.leader, three.term, three.moved = 2, 9, 1000
    terminal.see("│ leader   │    9 │    1042 │   1 │")
    three.kill(3)
    terminal.see("(no answer from")
    # All of it in the place of what was there before.
    assert terminal.screen().count("│ node │") == 1
    terminal.type(CTRL_C).prompted()
    three.revive(3)


def _rows(terminal: Terminal) -> list[tuple[str, ...]]:
    """The cells of the table on the screen, without its header."""
    lines = [line for line in terminal.screen().splitlines() if line.startswith("│")]
    return [tuple(cell.strip() for cell in line.strip("│").split("│")) for line in lines[1:]]


async def _run(server: ShellServer, sql: str) -> None:
    server.database.connection.execute(sql)


def test_the_terminals_own_size_counts_and_not_what_a_parent_exported(
    server: ShellServer, open_terminal: Open
) -> None:
    environment = {"COLUMNS": "400", "LINES": "5"}
    terminal = open_terminal(server.url, columns=20, lines=24, environment=environment)
    terminal.prompted().type("SELECT 1 AS a, 'a long text in it' AS b;\r").see("a: 1")
