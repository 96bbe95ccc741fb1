"""Completion: SQL by its context, commands by their usage."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from raftsql_shell import commands, literals
from raftsql_shell.catalogue import Catalogue
from raftsql_shell.context import Wanted, context
from raftsql_shell.formats import MODES
from raftsql_shell.keywords import KEYWORDS
from raftsql_shell.options import LEVELS

FREQUENT: Final = (
    *("SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "NULL", "IS", "IN", "AS", "ON", "BY"),
    *("ORDER", "GROUP", "LIMIT", "JOIN", "LEFT", "INNER", "VALUES", "INTO", "SET", "LIKE"),
    *("DISTINCT", "HAVING", "DESC", "TABLE", "INDEX", "PRIMARY", "KEY", "DEFAULT", "RETURNING"),
)
"""Offered before other keywords that begin alike."""
STATEMENTS: Final = (
    *("SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "CREATE", "ALTER", "DROP", "BEGIN"),
    *("COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "EXPLAIN", "PRAGMA", "VALUES", "REPLACE"),
    *("ANALYZE", "REINDEX", "VACUUM", "END"),
)


_WORDS: Final = (*FREQUENT, *sorted(KEYWORDS - set(FREQUENT)))


class ShellCompleter(Completer):
    """Offers what may come at the cursor."""

    def __init__(
        self,
        catalogue: Callable[[], Catalogue],
        names: Callable[[], list[str]],
        nodes: Callable[[], list[str]],
    ) -> None:
        self._catalogue = catalogue
        self._names = names
        """Favorites and parameters."""
        self._nodes = nodes
        """The numbers of the cluster's members."""

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """What prompt_toolkit asks for, in a thread."""
        before = document.text_before_cursor
        if before.lstrip().startswith("."):
            yield from self._command(before.lstrip())
        elif before.strip() or complete_event.completion_requested:
            asked = complete_event.completion_requested
            yield from self._sql(document.text, document.cursor_position, asked=asked)

    def _command(self, line: str) -> Iterator[Completion]:
        name, space, rest = line.partition(" ")
        if not space:
            for each in commands.registry().values():
                if each.name.startswith(name):
                    yield _offer(each.name, len(name), each.summary)
            return
        found = commands.registry().get(name)
        if found is None:
            return
        kinds = [kind.strip("[].") for kind in found.usage.split()[1:]]
        if "SQL" in kinds:
            place = kinds.index("SQL")
            pieces = rest.split(" ", place)
            if len(pieces) > place:
                yield from self._sql(pieces[place], len(pieces[place]))
                return
        done = rest.split(" ")
        if kinds:
            yield from self._argument(kinds[min(len(done), len(kinds)) - 1], done[-1])

    def _argument(self, kind: str, begun: str) -> Iterator[Completion]:
        if kind == "FILE":
            yield from _files(begun)
            return
        offers: list[str]
        if kind in ("TABLE", "PATTERN"):
            offers = list(self._catalogue().tables)
        elif kind == "MODE":
            offers = list(MODES)
        elif kind == "LEVEL":
            offers = list(LEVELS)
        elif kind == "COMMAND":
            offers = [name.removeprefix(".") for name in commands.registry()]
        elif kind == "NAME":
            offers = self._names()
        elif kind == "NODE":
            offers = self._nodes()
        else:
            offers = [each for each in kind.split("|") if not each.isupper()]
        for offer in offers:
            if offer.startswith(begun) or (begun and begun in offer):
                yield _offer(offer, len(begun), "")

    def _sql(self, text: str, cursor: int, *, asked: bool = True) -> Iterator[Completion]:
        catalogue = self._catalogue()
        found = context(text, cursor, catalogue)
        length = len(found.prefix)
        offers: list[tuple[str, str]] = []
        if found.wanted in (Wanted.COLUMN, Wanted.COLUMN_ONLY):
            offers += _columns(found.sources, length)
        if found.wanted is Wanted.TABLE:
            offers += [(name, "with") for name in found.ctes]
            offers += [
                (name, "view" if name in catalogue.views else "table") for name in catalogue.tables
            ]
        if found.wanted is Wanted.COLUMN and length:
            offers += [(source.name, "table") for source in found.sources if source.name]
            offers += [(f"{name}(", "function") for name in catalogue.functions]
        if found.wanted in (Wanted.COLUMN, Wanted.KEYWORD, Wanted.TABLE) and length:
            offers += [(word, "") for word in _WORDS]
        if found.wanted is Wanted.STATEMENT and (length or asked):
            offers += [(word, "") for word in STATEMENTS]
        yield from _ranked(offers, found.prefix)


def _columns(sources: Iterable[object], length: int) -> list[tuple[str, str]]:
    offers: dict[str, str] = {}
    for source in sources:
        for column in source.columns:  # type: ignore[attr-defined]
            offers.setdefault(column, source.name)  # type: ignore[attr-defined]
    return list(offers.items())


def _ranked(offers: list[tuple[str, str]], prefix: str) -> Iterator[Completion]:
    """Those that begin as what was typed, then those that hold it, then those with its letters."""
    folded = prefix.casefold()
    lower = bool(prefix) and prefix == prefix.lower()
    ranked = []
    for order, (text, about) in enumerate(offers):
        rank = _rank(text.casefold(), folded)
        if rank is not None:
            ranked.append((rank, order, text, about))
    seen = set()
    for _, _, text, about in sorted(ranked):
        shown = text.lower() if lower and not about else text
        if about not in ("", "function"):
            shown = literals.name(text, KEYWORDS)
        if shown not in seen:
            seen.add(shown)
            yield _offer(shown, len(prefix), about)


def _rank(text: str, wanted: str) -> int | None:
    if text.startswith(wanted):
        return 0
    if wanted in text:
        return 1
    letters = iter(text)
    if len(wanted) > 1 and text[0] == wanted[0] and all(letter in letters for letter in wanted):
        return 2
    return None


def _offer(text: str, length: int, about: str) -> Completion:
    return Completion(text, start_position=-length, display_meta=about)


def _files(begun: str) -> Iterator[Completion]:
    folder, _, start = begun.rpartition("/")
    try:
        place = Path(f"{folder}/" if folder or begun.startswith("/") else ".").expanduser()
        found = sorted(os.scandir(place), key=lambda each: each.name)
    except OSError:
        return
    for entry in found[:1000]:
        if entry.name.startswith(start) and (start.startswith(".") or entry.name[0] != "."):
            yield _offer(entry.name + ("/" if entry.is_dir() else ""), len(start), "")
