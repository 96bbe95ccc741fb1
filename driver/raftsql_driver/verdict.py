"""What a cluster would say to a statement, for programs that ask before they run it."""

from __future__ import annotations

from typing import NamedTuple


class Verdict(NamedTuple):
    """The answer to `connection.examine(sql)`."""

    verdict: str
    """`pure`; `pinned`: clock and chance travel with it; `refused`: nodes could come to differ."""
    kind: str
    """`read`, `write`, and so on."""
    detail: str
    """Which calls are pinned; or why it is refused, and what to write instead."""
    position: int
    """Where in the text, in characters; -1 where there is nothing to point at."""
    length: int
    """How many characters that is."""
