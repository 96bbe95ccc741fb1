"""The commands that begin with a dot. Each is a function, and its docstring is its help.

A command says in its usage what it takes: that line is shown by `.help`, checked by the tests
against the documentation, and read by completion, which knows what a TABLE or a FILE is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeAlias

from raftsql_shell.errors import CommandError

if TYPE_CHECKING:
    from raftsql_shell.shell import Shell

Run: TypeAlias = "Callable[[Shell, list[str]], None]"

_ROOMS: Final = ("schema", "display", "files", "asking", "place", "members")


@dataclass(frozen=True, slots=True)
class Registered:
    """One command."""

    name: str
    usage: str
    run: Run
    raw: bool
    """Its last argument is the rest of the line, whatever is in it."""

    @property
    def help(self) -> str:
        """The docstring, without the indentation that the code gives it."""
        lines = (self.run.__doc__ or "").strip().splitlines()
        return "\n".join(line.removeprefix("    ") for line in lines)

    @property
    def summary(self) -> str:
        """Its first line."""
        return self.help.partition("\n")[0]


_found: dict[str, Registered] = {}


def command(usage: str, *, raw: bool = False) -> Callable[[Run], Run]:
    """Make a function a command; the usage's first word is its name."""

    def register(run: Run) -> Run:
        name = usage.partition(" ")[0]
        assert run.__doc__, f"{name} has no help"
        _found[name] = Registered(name, usage, run, raw)
        return run

    return register


@cache
def registry() -> dict[str, Registered]:
    """All commands by name, in the order of their names."""
    for room in _ROOMS:
        import_module(f"{__name__}.{room}")
    return dict(sorted(_found.items()))


def find(name: str) -> Registered:
    """The command of this name, or of the only name that begins so."""
    known = registry()
    if name in known:
        return known[name]
    import difflib

    begun = [each for each in known if each.startswith(name)] if len(name) > 1 else []
    if len(begun) == 1:
        return known[begun[0]]
    if 1 < len(begun) < 5:
        raise CommandError(f"{name} may be {', '.join(begun[:-1])} or {begun[-1]}")
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.65)
    hint = f"did you mean {begun[0] if begun else close[0]}?" if begun or close else "try .help"
    raise CommandError(f"there is no command {name}; {hint}")


def run(shell: Shell, line: str) -> None:
    """Run a command's line."""
    name, _, rest = line.partition(" ")
    found = find(name.rstrip(";"))
    arguments = _arguments(found, rest.strip())
    most = _most(found)
    if len(arguments) > most:
        raise CommandError(f"that is too much; usage: {found.usage}")
    if len(arguments) < _least(found):
        raise CommandError(f"something is missing; usage: {found.usage}")
    found.run(shell, arguments)


def _arguments(found: Registered, rest: str) -> list[str]:
    if not found.raw:
        return words(rest)
    return [rest] if rest else []


def words(text: str) -> list[str]:
    """A command's arguments; quotes keep what is between them together."""
    import shlex  # Here and above: `raftsql -c` starts without them.

    try:
        return shlex.split(text.removesuffix(";"))
    except ValueError:
        raise CommandError("a quote is never closed") from None


def _most(found: Registered) -> int:
    taken = found.usage.split()[1:]
    return 10**6 if "..." in found.usage else len(taken)


def _least(found: Registered) -> int:
    return sum(not each.startswith("[") and "]" not in each for each in found.usage.split()[1:])


def on_or_off(text: str) -> bool:
    """A switch's value."""
    if text.lower() in ("on", "yes", "true", "1"):
        return True
    if text.lower() in ("off", "no", "false", "0"):
        return False
    raise CommandError(f"{text!r}: expected on or off")
