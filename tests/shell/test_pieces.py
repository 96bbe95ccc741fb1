"""The prompt's parts, without a terminal."""

from __future__ import annotations

import pytest
from pygments.token import Comment, Keyword, Name, Number, String

from raftsql_shell.app import _history
from raftsql_shell.config import Config
from raftsql_shell.lexer import SqliteLexer
from raftsql_shell.options import parse
from raftsql_shell.shell import FAILED, UNREACHABLE
from tests.shell.conftest import Kept
from tests.shell.fake import ShellServer


def test_the_lexer_knows_sqlites_words() -> None:
    text = "pragma x; SELECT 'it''s', 0x1f -- end"
    tokens = {word: kind for kind, word in SqliteLexer().get_tokens(text)}
    assert tokens["pragma"] in Keyword
    assert tokens["x"] in Name
    assert tokens["'it''s'"] in String
    assert tokens["0x1f"] in Number
    assert tokens["-- end"] in Comment


def test_a_history_that_can_not_be_kept_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not hasattr(_history(Config(history="off")), "filename")
    assert not hasattr(_history(Config(history="/proc/no/such/place")), "filename")


def test_work_is_kept_in_its_order() -> None:
    chosen = parse(["-c", "a", "-f", "b", "raftsql://x/", "-c", "c", "-v", ":n=1"])
    assert chosen.work == [("c", "a"), ("f", "b"), ("c", "c")]
    assert (chosen.url, chosen.parameters) == ("raftsql://x/", [("n", 1)])


def test_the_worst_exit_code_is_kept(server: ShellServer, shell: Kept) -> None:
    shell.type("SELECT wrong;")
    assert shell.exit_code == FAILED
    server.kill(1)
    shell.session.connection.timeout = 0.2
    shell.type("SELECT 1;")
    assert shell.exit_code == UNREACHABLE
    server.revive(1)


def test_a_shell_stays_where_it_is_when_another_cluster_can_not_be_reached(
    server: ShellServer, shell: Kept
) -> None:
    assert "no node can be reached" in shell.type(".connect raftsql://127.0.0.1:9/")
    assert "│ 1 │" not in shell.type("SELECT 1;")
    assert "| 1 |" in shell.type("SELECT 1;")


def test_a_cluster_is_not_left_inside_of_a_transaction(shell: Kept) -> None:
    said = shell.type("BEGIN; SELECT 1;\n.connect raftsql://127.0.0.1:9/\n")
    assert "a transaction is open" in said
