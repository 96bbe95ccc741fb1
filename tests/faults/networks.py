"""Which network there is on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.namespaces import Namespaces
from tests.faults.network import Network


@contextmanager
def network(name: str = "") -> Iterator[Network]:
    """The one that was asked for, or the best there is; nothing of it is left behind."""
    made = Namespaces()
    try:
        yield made
    finally:
        made.close()
