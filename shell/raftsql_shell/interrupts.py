"""Ctrl-C, where it must not end what is being done."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.keys import Keys


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Within it, Ctrl-C is nothing to this process; programs that it started still hear it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
