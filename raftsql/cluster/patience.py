"""Small jobs, and how one says that it turned out not to be small.

A job that looks small is begun in the event loop, with a bound on what it may burn there. One that
comes to the bound raises `Longer` with what is left of it, and whoever runs it goes on elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")

PATIENCE_UNITS: Final = 20
"""What a job in the event loop may burn: 20,000 steps of SQLite's machine are 0.2 to 1 ms."""


class Longer(Exception):
    """Raised by a small job that turned out not to be one; `rest` is what is left of it."""

    def __init__(self, rest: Callable[[], Any]) -> None:
        super().__init__("the job is not small")
        self.rest = rest


def in_full(job: Callable[[], T]) -> T:
    """Do a job to its end, where there is time."""
    try:
        return job()
    except Longer as longer:
        rest: Callable[[], T] = longer.rest
    return rest()
