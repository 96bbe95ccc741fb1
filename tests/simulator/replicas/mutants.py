"""Bugs planted in the replica, each of which a seed must catch: who watches must be watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from raftsql.cluster.proposals import Proposals
from raftsql.cluster.reading import Reading
from raftsql.cluster.transactions import Transaction
from raftsql.cluster.writer import Writer
from raftsql.database.sessions import Sessions
from raftsql.sql.commands import Failed, Refusal, encode
from tests.simulator.replicas.world import Outcome, simulate


def _reads_do_not_wait(self: Reading, reads: list[Any]) -> None:
    if reads:
        self._serve(reads)


def _upgrades_blindly(self: Transaction, open_: Any) -> None:
    if self._snapshot is not None:
        self._snapshot.close()
        self._snapshot = None
    _opened(self, open_)


_opened = Transaction.opened


def _remembers_nothing(self: Sessions, session: int, sequence: int, floor: int = 0) -> None:
    return None


def _admits_always(self: Writer) -> bool:
    return True


def _knows_it_failed(self: Proposals, leader: int) -> None:
    for index in list(self._by_index):
        failed = Failed(Refusal.SQL, 1, "the lead was lost")
        self._by_index.pop(index).reply.result(encode(failed), 0)


def _is_always_fresh(self: Reading) -> int:
    return 0


MUTANTS: dict[str, tuple[type, str, Callable[..., Any]]] = {
    "a read is served before what it must see is applied": (Reading, "_wait", _reads_do_not_wait),
    "a transaction writes although what it read has changed": (
        Transaction, "opened", _upgrades_blindly,
    ),
    "a retried write is applied again": (Sessions, "known", _remembers_nothing),
    "single writes pass an open transaction": (Writer, "admits_singles", _admits_always),
    "a write whose outcome is unknown is called failed": (
        Proposals, "lead_lost", _knows_it_failed,
    ),
    "a stale read's age is a lie": (Reading, "age_ms", _is_always_fresh),
}  # fmt: skip


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The bug is there."""
    owner, attribute, wrong = MUTANTS[name]
    right = getattr(owner, attribute)
    setattr(owner, attribute, wrong)
    try:
        yield
    finally:
        setattr(owner, attribute, right)


def hunt(name: str, *, start: int = 1, bound: int = 40) -> Outcome | None:
    """The first seed that catches it."""
    with planted(name):
        for seed in range(start, start + bound):
            outcome = simulate(seed)
            if outcome.failure is not None:
                return outcome
    return None
