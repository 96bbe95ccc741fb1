"""Ctrl-C where it must not end what is being done."""

from __future__ import annotations

import os
import signal

import pytest

from raftsql_shell.interrupts import interrupts_ignored


def test_ctrl_c_is_nothing_within_and_something_again_behind_it() -> None:
    with interrupts_ignored():
        os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
