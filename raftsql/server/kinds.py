"""Kinds of settings: how each is read from a word or from TOML, and what is said if it can't be.

Whoever reads such a text has a file open or a command line before them: it says what was given,
and how a right one looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FALSE: Final = ("0", "false", "no", "off", "")
TRUE: Final = ("1", "true", "yes", "on")


@dataclass(frozen=True, slots=True)
class Kind:
    """How a setting is read; `metavar` stands for it in the help."""

    read: Callable[[Any], Any]
    metavar: str
    unit: str = ""
    switch: bool = False
    """Given on a command line by its name alone."""


def one_address(given: object) -> str:
    """host:port, both given."""
    host, colon, port = str(given).rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{given!r} is not host:port; write it as in 127.0.0.1:4001")
    return str(given)


def several_addresses(given: object) -> tuple[str, ...]:
    """Addresses separated by commas, or a list of them."""
    parts = given if isinstance(given, list | tuple) else str(given).split(",")
    return tuple(one_address(str(part).strip()) for part in parts if str(part).strip())


def truth(given: object) -> bool:
    """yes or no."""
    if isinstance(given, bool):
        return given
    word = str(given).lower()
    if word not in (*TRUE, *FALSE):
        raise ValueError(f"{given!r} is neither true nor false; write one of these")
    return word in TRUE


def folder(given: object) -> Path:
    """A path."""
    if not isinstance(given, str | Path) or not str(given):
        raise ValueError(f"{given!r} is no path; write it in quotes")
    return Path(given)


def words(given: object) -> str:
    """Any text."""
    if not isinstance(given, str):
        raise ValueError(f"{given!r} is no text; write it in quotes")
    return given


def _whole(least: int, unit: str) -> Callable[[object], int]:
    def read(given: object) -> int:
        what = f"{unit} as a whole number" if unit else "a whole number"
        if isinstance(given, bool) or not isinstance(given, int | str):
            raise ValueError(f"{given!r} is no whole number; write {what}")
        try:
            number = int(given)
        except ValueError:
            raise ValueError(f"{given!r} is no whole number; write {what}") from None
        if number < least:
            raise ValueError(f"{number} is too little; write {least} or more")
        return number

    return read


def whole(unit: str = "", *, least: int = 1) -> Kind:
    """A whole number of something, not below `least`."""
    return Kind(_whole(least, unit), "MS" if unit == "milliseconds" else "N", unit)


def choice(*names: str) -> Kind:
    """One of some words."""

    def read(given: object) -> str:
        if given not in names:
            raise ValueError(f"{given!r} is none of them; write {' or '.join(names)}")
        return str(given)

    return Kind(read, "|".join(names))


ADDRESS: Final = Kind(one_address, "HOST:PORT")
ADDRESSES: Final = Kind(several_addresses, "HOST:PORT,...")
SWITCH: Final = Kind(truth, "", switch=True)
PATH: Final = Kind(folder, "PATH")
TEXT: Final = Kind(words, "TEXT")
INTEGER: Final = whole(least=-(1 << 31))
