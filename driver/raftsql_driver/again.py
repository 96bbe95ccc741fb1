"""Running a transaction again when nothing of it happened: how often, and after how long."""

from __future__ import annotations

import random
from typing import Final

RETRIES_MAX: Final = 10
"""Enough for several failovers in a row: from its second try on a transaction takes the writer
first, and so can't be overtaken by another one."""
_PAUSE_S_MAX: Final = 1.0


def mode_of(tries: int) -> str | None:
    """How the transaction begins at this try: None as the connection's do."""
    return "IMMEDIATE" if tries > 1 else None


def pause(tries: int) -> float:
    """Seconds: longer with every try, and not the same for all who lost together."""
    return random.uniform(0.5, 1.0) * min(_PAUSE_S_MAX, 0.01 * 2.0**tries)
