"""Keys that were pressed between one line and the next."""

from __future__ import annotations

from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.keys import Keys


def interrupted_ahead(typed: Input) -> bool:
    """Whether Ctrl-C was pressed right behind Enter, when the terminal still made a key of it.

    Such a key waits for the next line, where it would end nothing. What was typed behind it is left
    for that line.
    """
    with typed.raw_mode():
        keys = get_typeahead(typed) + typed.read_keys()
    presses = [place for place, press in enumerate(keys) if press.key is Keys.ControlC]
    store_typeahead(typed, keys[presses[-1] + 1 :] if presses else keys)
    return bool(presses)
