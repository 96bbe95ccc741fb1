"""Ctrl-C that comes before the statement it is meant for."""

from __future__ import annotations

import pytest
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.input.typeahead import clear_typeahead, get_typeahead, store_typeahead
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

from raftsql_shell.typeahead import interrupted_ahead


@pytest.mark.parametrize(
    ("typed", "interrupted", "left"),
    [("", False, ""), ("abc", False, "abc"), ("\x03", True, ""), ("ab\x03c\x03de", True, "de")],
)
def test_a_press_behind_enter_is_heard_and_the_rest_is_kept(
    typed: str, interrupted: bool, left: str
) -> None:
    with create_pipe_input() as terminal:
        clear_typeahead(terminal)
        terminal.send_text(typed)
        assert interrupted_ahead(terminal) is interrupted
        assert "".join(press.data for press in get_typeahead(terminal)) == left


def test_what_the_prompt_has_read_too_far_is_looked_at_first() -> None:
    with create_pipe_input() as terminal:
        clear_typeahead(terminal)
        store_typeahead(terminal, [KeyPress("x"), KeyPress(Keys.ControlC), KeyPress("y")])
        terminal.send_text("z")
        assert interrupted_ahead(terminal)
        assert [press.key for press in get_typeahead(terminal)] == ["y", "z"]
