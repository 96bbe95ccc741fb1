"""What clients did and were told: the material of every checker."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.driver.exactly_once.ledger import Fate

NEVER_ENDED = math.inf


@dataclass(slots=True, eq=False)
class Operation:
    """One call of a client, from before it was sent until after it was answered."""

    client: int
    name: str
    key: Any
    argument: Any
    start: float
    end: float = NEVER_ENDED
    """When the answer was there. What is unknown may happen at any time after `start`."""
    fate: Fate = Fate.UNKNOWN
    answer: Any = None
    level: str = ""
    place: str = ""
    """The node that was asked, where that matters."""

    @property
    def done(self) -> bool:
        """Whether it certainly happened."""
        return self.fate is Fate.DONE

    def __str__(self) -> str:
        end = "?" if self.end == NEVER_ENDED else f"{self.end:.4f}"
        where = f" at {self.place}" if self.place else ""
        level = f" {self.level}" if self.level else ""
        told = f"-> {self.answer!r}" if self.done else self.fate.value
        return (
            f"[{self.start:9.4f} {end:>9}] client {self.client}: "
            f"{self.name}{level} {self.key!r} {_short(self.argument)} {told}{where}"
        )


def _short(argument: Any) -> str:
    return "" if argument is None else repr(argument)


@dataclass(slots=True)
class Violation:
    """A promise that was broken, and the fewest operations that show it."""

    what: str
    story: list[Operation] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [str(operation) for operation in sorted(self.story, key=lambda one: one.start)]
        return "\n    ".join([self.what, *lines])


class History:
    """What one workload's clients did, in the order in which they began it."""

    def __init__(self, began: float | None = None) -> None:
        self.began = time.monotonic() if began is None else began
        self.operations: list[Operation] = []
        self._lock = threading.Lock()

    def now(self) -> float:
        """Seconds since the run began, by the one clock of all clients."""
        return time.monotonic() - self.began

    def begin(
        self, client: int, name: str, key: Any, argument: Any = None, **more: Any
    ) -> Operation:
        """A client is about to ask."""
        operation = Operation(client, name, key, argument, self.now(), **more)
        with self._lock:
            self.operations.append(operation)
        return operation

    def end(self, operation: Operation, fate: Fate, answer: Any = None) -> None:
        """It was told something."""
        if fate is not Fate.UNKNOWN:
            operation.end = self.now()
        operation.fate, operation.answer = fate, answer


def by_key(operations: Iterable[Operation]) -> dict[Any, list[Operation]]:
    """The operations of each key."""
    found: dict[Any, list[Operation]] = {}
    for operation in operations:
        found.setdefault(operation.key, []).append(operation)
    return found
