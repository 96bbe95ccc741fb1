"""A node that leaks: who says that nothing grows must have seen something grow.

`python -m tests.faults.soak.leaks NAME serve …` is the program with a leak, put in from outside.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Final

LEAK_BYTES: Final = 2_000
OPENED_EVERY: Final = 100


def _around_applied(leak: Callable[[int], None]) -> None:
    """Leak a little whenever something was applied."""
    from raftsql.cluster.runner import Runner

    right, count = Runner._applied, 0

    def applied(self: Any, entries: Any, answers: Any) -> None:
        nonlocal count
        count += 1
        leak(count)
        right(self, entries, answers)

    Runner._applied = applied  # type: ignore[method-assign]


def memory() -> None:
    """Each applied batch leaves some bytes behind."""
    kept: list[bytes] = []
    _around_applied(lambda _: kept.append(os.urandom(LEAK_BYTES)))


def handles() -> None:
    """Some applied batches leave an open file behind."""

    def leak(count: int) -> None:
        if count % OPENED_EVERY == 0:
            os.open(os.devnull, os.O_RDONLY)

    _around_applied(leak)


def disk() -> None:
    """The log is never shortened."""
    from raftsql.cluster.housekeeping import Housekeeping

    Housekeeping._log_is_long = lambda self: False  # type: ignore[method-assign]


LEAKS: Final = {"memory": memory, "handles": handles, "disk": disk}


def main(arguments: list[str]) -> int:
    """Put the leak in, and become a node."""
    LEAKS[arguments[0]]()
    from raftsql.server.cli import main as program

    return program(arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
