"""Ctrl-C is ignored where it must be, and heard again after that."""

from __future__ import annotations

import signal

import pytest

from raftsql_shell.interrupts import interrupts_ignored


def test_an_interrupt_within_is_nothing_and_one_after_is_heard() -> None:
    with interrupts_ignored():
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
