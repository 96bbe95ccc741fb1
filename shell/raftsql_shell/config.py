"""The user's settings for the prompt: `raftsql/shell.toml` in the folder for configuration.

Scripts don't read it, so that they do the same for everybody; but favorites work everywhere.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from raftsql_shell.errors import CommandError
from raftsql_shell.formats import MODES


@dataclass(slots=True)
class Config:
    """What can be set. Each has a plain value, and is documented in docs/shell.md."""

    mode: str = "box"
    null: str | None = None
    width: list[int] = field(default_factory=list)
    timer: bool = True
    bail: bool = False
    keys: str = "emacs"
    """Or vi."""
    style: str = "default"
    """A style of Pygments."""
    suggest: bool = True
    """Offer the rest of a line from history, in grey."""
    complete_while_typing: bool = True
    pager: str = ""
    """A program; empty: $PAGER, else less. `off`: none."""
    history: str = ""
    """A file; empty: in the folder for state. `off`: none."""
    toolbar: bool = True


_ONE_OF = {"mode": MODES, "keys": ("emacs", "vi")}


def config_folder() -> Path:
    """Where people keep what they decided."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "raftsql"


def state_folder() -> Path:
    """Where programs keep what they remember."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "raftsql"


def load(path: str | None = None) -> Config:
    """Read the settings; a file that was not named need not exist."""
    file = Path(path).expanduser() if path else config_folder() / "shell.toml"
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        if path:
            raise CommandError(f"{file}: there is no such file") from None
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file}: {error}") from error
    try:
        return _checked(tomllib.loads(text), file)
    except tomllib.TOMLDecodeError as error:
        raise CommandError(f"{file}: {error}") from error


def _checked(given: dict[str, Any], file: Path) -> Config:
    config = Config()
    known = {each.name: type(getattr(config, each.name)) for each in fields(config)}
    for name, value in given.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "there are " + ", ".join(known)
            raise CommandError(f"{file}: there is no setting {name}; {hint}")
        wanted = str if name == "null" else known[name]
        if type(value) is not wanted:
            raise CommandError(f"{file}: {name} is a {wanted.__name__}, not {value!r}")
        if name in _ONE_OF and value not in _ONE_OF[name]:
            raise CommandError(f"{file}: {name} is one of {', '.join(_ONE_OF[name])}")
        setattr(config, name, value)
    return config


def favorites() -> dict[str, str]:
    """Statements that were kept under a name."""
    try:
        found = tomllib.loads(_favorites_file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CommandError(f"{_favorites_file()}: {error}") from error
    return {name: text for name, text in found.items() if isinstance(text, str)}


def keep_favorites(kept: dict[str, str]) -> None:
    """Write them; a crash leaves the old file or the new one."""
    file = _favorites_file()
    lines = [f"{json.dumps(name)} = {json.dumps(text)}\n" for name, text in sorted(kept.items())]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(".new")
        beside.write_text("".join(lines), encoding="utf-8")
        beside.replace(file)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from error


def _favorites_file() -> Path:
    return config_folder() / "favorites.toml"
