"""The server's memory of texts: what each is, who runs it, and whether it may.

Programs send the same few texts again and again with other parameters, so the hot path is one
lookup. Memory is bounded by two generations: when the young one is full it becomes the old one,
and a text that is asked for again comes back from there.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from raftsql.sql.classify import SettingChange, StatementKind, TransactionControl
from raftsql.sql.determinism import judge
from raftsql.sql.verdict import Mode, Refused, Verdict, sentence
from raftsql.sql.witness import reading_of


class Plan(NamedTuple):
    """All that is decided about a text before it is run."""

    text: str
    kind: StatementKind
    verdict: Verdict
    control: TransactionControl | None = None
    """Set when the kind is TRANSACTION."""
    setting: SettingChange | None = None
    """Set when the kind is SETTING."""
    message: str = ""
    """The refusal in words, when the kind is REFUSED."""


TEXTS_MAX: Final = 4_096
"""Plans in one generation: more texts than a program has, few enough to forget soon."""
CHARACTERS_MAX: Final = 8 * 1024 * 1024
"""Characters of all texts in one generation."""
TEXT_CHARACTERS_MAX: Final = 64 * 1024
"""A longer text is hardly the same twice; it is judged each time."""


def plan(text: str, mode: Mode = Mode.PINNED) -> Plan:
    """Judge a text and say what to do with it."""
    decided, verdict = judge(text, mode)
    message = sentence(text, verdict) if isinstance(verdict, Refused) else ""
    return Plan(text, decided.kind, verdict, decided.control, decided.setting, message)


class Plans:
    """Plans by text, bounded; the mode is one for the whole cluster."""

    def __init__(self, mode: Mode = Mode.PINNED, *, texts_max: int = TEXTS_MAX) -> None:
        self.mode = mode
        self._texts_max = texts_max
        self._young: dict[str, Plan] = {}
        self._old: dict[str, Plan] = {}
        self._characters = 0
        if mode is Mode.STRICT:
            reading_of("SELECT 1")  # Import sqlglot now, not under the first client's write.

    def get(self, text: str) -> Plan:
        """The plan of a text: remembered, or made now."""
        return self._young.get(text) or self._remember(text)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def _remember(self, text: str) -> Plan:
        found = self._old.get(text) or plan(text, self.mode)
        if len(text) > TEXT_CHARACTERS_MAX:
            return found
        if len(self._young) >= self._texts_max or self._characters > CHARACTERS_MAX:
            self._old, self._young, self._characters = self._young, {}, 0
        self._young[text] = found
        self._characters += len(text)
        return found
