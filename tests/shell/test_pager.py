"""The pager, and the size of the screen it is for."""

from __future__ import annotations

import os

import pytest

from raftsql_shell import pager


@pytest.mark.parametrize("said", [(0, 0), (0, 40), (120, 0)])
def test_a_terminal_that_does_not_know_its_size_is_taken_for_a_common_one(
    monkeypatch: pytest.MonkeyPatch, said: tuple[int, int]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("LINES", raising=False)
    monkeypatch.setattr("os.get_terminal_size", lambda _=1: os.terminal_size(said))
    size = pager.screen_size()
    assert size.columns > 0
    assert size.lines > 0
