"""Where a node's settings come from: flags over environment over a TOML file over defaults.

The names are the same everywhere: `--election-ms`, `RAFTSQL_ELECTION_MS`, `election_ms = 750`. This
module reads them, says where each came from, and finds what a running node can take up.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from raftsql.server.settings import SETTINGS, BadSettings, ServeSettings, Setting, check

DEFAULT: Final = "default"
MASK: Final = "********"
OTHER_VARIABLES: Final = ("CONFIG", "URL")
"""Variables that are no setting of a node, but ours all the same."""

_USER_IN_URL: Final = re.compile(r"(?<=://)[^/@]*@")


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings, and where each came from."""

    settings: ServeSettings
    sources: Mapping[str, str]
    doubts: tuple[str, ...] = ()
    """What was probably meant otherwise, for the log."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Every setting as a flag; None where it was not given."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="a TOML file with settings")
    parser.add_argument(
        "--print-config", action="store_true",
        help="print the settings that would be in force and where each comes from, and end",
    )  # fmt: skip
    for setting in SETTINGS:
        shown = _shown_default(setting)
        text = setting.help + (f" (default: {shown})" if shown else "")
        if setting.kind.switch:
            parser.add_argument(setting.flag, action="store_true", default=None, help=setting.help)
        else:
            parser.add_argument(
                setting.flag, metavar=setting.kind.metavar, help=text.replace("%", "%%")
            )


def _shown_default(setting: Setting) -> str:
    return "" if setting.default in (None, (), "", False) else str(setting.default)


def decide(given: argparse.Namespace, environment: Mapping[str, str]) -> Configuration:
    """Flags over environment over file over defaults."""
    file_name = given.config or environment.get("RAFTSQL_CONFIG")
    from_file = _read_file(Path(file_name)) if file_name else {}
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        if getattr(given, setting.name) is not None:
            source, value = setting.flag, getattr(given, setting.name)
        elif environment.get(setting.variable):
            source, value = setting.variable, environment[setting.variable]
        elif setting.name in from_file:
            source, value = str(file_name), from_file[setting.name]
        else:
            sources[setting.name] = DEFAULT
            continue
        values[setting.name] = _read(setting, value, source)
        sources[setting.name] = source
    settings = ServeSettings(**values)
    if not settings.advertise:
        settings = replace(settings, advertise=settings.listen)
        sources["advertise"] = "as listen"
    check(settings)
    return Configuration(settings, sources, tuple(_doubts(environment)))


def _read(setting: Setting, value: object, source: str) -> Any:
    named = source if source in (setting.flag, setting.variable) else f"{setting.name} in {source}"
    try:
        return setting.kind.read(value)
    except (ValueError, TypeError) as error:
        said = "what was given can't be used" if setting.secret else str(error)
        raise BadSettings(f"{named}: {said}") from None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text())
    except OSError as error:
        raise BadSettings(f"the settings in {path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadSettings(f"the settings in {path} can't be read: they are not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{path} is not TOML: {error}") from error
    known = [setting.name for setting in SETTINGS]
    for name in content:
        if name not in known:
            near = _nearest(name, known) or _nearest(name.replace("-", "_"), known)
            hint = f"did you mean {near!r}?" if near else "see `raftsql serve --help`"
            raise BadSettings(f"{path}: there is no setting {name!r}; {hint}")
    return content


def _nearest(name: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(name, known, 1, 0.8)), "")


def _doubts(environment: Mapping[str, str]) -> Iterable[str]:
    """Variables that are nearly ours. Others that begin alike may be somebody else's: Kubernetes
    sets RAFTSQL_PORT and more of that kind for a service of this name."""
    known = [*(setting.name.upper() for setting in SETTINGS), *OTHER_VARIABLES]
    for variable in environment:
        name = variable.removeprefix("RAFTSQL_")
        if name != variable and name not in known and _nearest(name, known):
            near = _nearest(name, known)
            yield f"{variable} in the environment is no setting; did you mean RAFTSQL_{near}?"


def printed(configuration: Configuration) -> str:
    """The settings in force as a file that would set them, each with where it came from."""
    lines = [_line(setting, configuration) for setting in SETTINGS]
    width = max(len(line) for line, _ in lines)
    return "\n".join(f"{line:{width}}  # {source}" for line, source in lines)


def _line(setting: Setting, configuration: Configuration) -> tuple[str, str]:
    value = getattr(configuration.settings, setting.name)
    source = configuration.sources[setting.name]
    if value is None or value == "":
        return f"# {setting.name} =", "not set"
    return f"{setting.name} = {as_toml(_masked(setting, value))}", source


def _masked(setting: Setting, value: object) -> object:
    if setting.secret and value:
        return MASK
    return _USER_IN_URL.sub(f"{MASK}@", value) if isinstance(value, str) else value


def as_toml(value: object) -> str:
    """A value as TOML writes it. Its strings and lists are those of JSON, but for surrogates."""
    if isinstance(value, tuple):
        return json.dumps(list(value), ensure_ascii=False)
    if isinstance(value, bool | int):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=False)


def taken_up(running: ServeSettings, wanted: ServeSettings) -> tuple[ServeSettings, list[str]]:
    """What a running node can take up of new settings, and the names of what needs a restart."""
    now: dict[str, Any] = {}
    later = []
    for setting in SETTINGS:
        value = getattr(wanted, setting.name)
        if value != getattr(running, setting.name):
            if setting.reloadable:
                now[setting.name] = value
            else:
                later.append(setting.name)
    return replace(running, **now), later


def table() -> str:
    """The settings as a Markdown table, for docs/configuration.md."""
    rows = [
        "| setting | what it is | default | unit | reload |",
        "|---|---|---|---|---|",
    ]
    for setting in SETTINGS:
        shown = _shown_default(setting)
        default = f"`{shown}`" if shown else ("off" if setting.kind.switch else "")
        kind = setting.kind.metavar.replace("|", r"\|") or "true or false"
        help_text = setting.help.replace("|", r"\|")
        reload = "yes" if setting.reloadable else ""
        rows.append(
            f"| `{setting.name}` | {help_text} ({kind}) | {default} | {setting.kind.unit} "
            f"| {reload} |"
        )
    return "\n".join(rows)
