"""The settings of a node: one table from which flags, environment, file, help and checks are made.

A flag beats the environment, the environment beats the file, the file beats the default. The names
are the same everywhere: `--election-ms`, `RAFTSQL_ELECTION_MS`, `election_ms = 750`.
"""

from __future__ import annotations

import argparse
import ipaddress
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from raftsql.server.destinations import NoDestination, destination


class BadSettings(Exception):
    """A setting can't be used; the message says which, and what to do."""


def address(text: str) -> str:
    """host:port, both given."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not host:port")
    return text


def addresses(text: str | list[str]) -> tuple[str, ...]:
    """Several, separated by commas."""
    parts = text.split(",") if isinstance(text, str) else text
    return tuple(address(part.strip()) for part in parts if part.strip())


def flag(text: str | bool) -> bool:
    """yes or no."""
    if isinstance(text, bool):
        return text
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off", ""):
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def positive(text: str | int) -> int:
    """A whole number above zero."""
    number = int(text)
    if number <= 0:
        raise ValueError(f"{number} is not above zero")
    return number


def choice(*names: str) -> Callable[[str], str]:
    """One of some words."""

    def one(text: str) -> str:
        if text not in names:
            raise ValueError(f"{text!r} is none of {', '.join(names)}")
        return text

    return one


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: how it is read, what it is when nobody says, and what it means."""

    name: str
    read: Callable[[Any], Any]
    default: Any
    help: str
    metavar: str = ""


SETTINGS: Final = (
    Setting("data_dir", Path, Path("raftsql-data"), "where the node keeps everything", "DIR"),
    Setting("listen", address, "127.0.0.1:4001", "the one port for clients and peers", "HOST:PORT"),
    Setting("advertise", address, None, "how others reach it, if not by --listen", "HOST:PORT"),
    Setting("node_id", positive, None, "the node's number; else the cluster gives one", "N"),
    Setting("join", addresses, (), "nodes of the cluster; may name itself", "HOST:PORT,..."),
    Setting("bootstrap_expect", positive, None, "form a cluster once so many are there", "N"),
    Setting("learner", flag, False, "join without a vote, for good"),
    Setting("priority", int, 0, "members of higher priority are made leader when level", "N"),
    Setting("mode", choice("pinned", "strict"), "pinned", "how clock and chance are treated in SQL",
            "pinned|strict"),
    Setting("heartbeat_ms", positive, 75, "how often a leader is heard", "MS"),
    Setting("election_ms", positive, 750, "silence after which others campaign", "MS"),
    Setting("lease_ms", positive, 300, "how long voters defend a leader they heard", "MS"),
    Setting("drift_ms", int, 30, "how far clocks may part within a lease", "MS"),
    Setting("log_entries_max", positive, 200_000, "the log is shortened when it is longer", "N"),
    Setting("log_tail_entries", positive, 20_000, "what stays of it for slow followers", "N"),
    Setting("ship_bytes_per_second", positive, 200 << 20, "bound on sending a snapshot", "N"),
    Setting("backup_to", str, "", "take backups by the clock, to this folder or s3://…", "URL"),
    Setting("backup_every_seconds", positive, 86_400, "how often, if anybody wrote", "N"),
    Setting("backup_keep", positive, 7, "how many are kept there", "N"),
    Setting("allow_fingerprint", str, "", "accept peers of this other fingerprint", "TEXT"),
    Setting("insecure", flag, False, "listen beyond loopback without TLS and users"),
    Setting("log_level", choice("debug", "info", "warning", "error"), "info", "what is logged",
            "LEVEL"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What `raftsql serve` runs with, all decided."""

    data_dir: Path
    listen: str
    advertise: str
    node_id: int | None
    join: tuple[str, ...]
    bootstrap_expect: int | None
    learner: bool
    priority: int
    mode: str
    heartbeat_ms: int
    election_ms: int
    lease_ms: int
    drift_ms: int
    log_entries_max: int
    log_tail_entries: int
    ship_bytes_per_second: int
    backup_to: str
    backup_every_seconds: int
    backup_keep: int
    allow_fingerprint: str
    insecure: bool
    log_level: str


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Every setting as a flag; None where it was not given."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="a TOML file with settings")
    for setting in SETTINGS:
        name = "--" + setting.name.replace("_", "-")
        shown = "" if setting.default in (None, (), "", False) else f" (default: {setting.default})"
        if setting.read is flag:
            parser.add_argument(name, action="store_true", default=None, help=setting.help)
        else:
            parser.add_argument(name, metavar=setting.metavar, help=setting.help + shown)


def decide(given: argparse.Namespace, environment: Mapping[str, str]) -> ServeSettings:
    """Flags over environment over file over defaults."""
    file_name = given.config or environment.get("RAFTSQL_CONFIG")
    from_file = _read_file(Path(file_name)) if file_name else {}
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        flag_name = "--" + setting.name.replace("_", "-")
        variable = "RAFTSQL_" + setting.name.upper()
        if getattr(given, setting.name) is not None:
            source, value = flag_name, getattr(given, setting.name)
        elif variable in environment:
            source, value = variable, environment[variable]
        elif setting.name in from_file:
            source, value = f"{setting.name} in {file_name}", from_file[setting.name]
        else:
            values[setting.name] = setting.default
            continue
        try:
            values[setting.name] = setting.read(value)
        except (ValueError, TypeError) as error:
            raise BadSettings(f"{source}: {error}") from error
    values["advertise"] = values["advertise"] or values["listen"]
    settings = ServeSettings(**values)
    _check(settings)
    return settings


def _read_file(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text())
    except OSError as error:
        raise BadSettings(f"the settings can't be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{path} is not TOML: {error}") from error
    known = {setting.name for setting in SETTINGS}
    for name in content:
        if name not in known:
            raise BadSettings(f"{path}: there is no setting {name!r}; see `raftsql serve --help`")
    return content


def _check(settings: ServeSettings) -> None:
    if settings.heartbeat_ms * 2 >= settings.lease_ms:
        raise BadSettings("lease_ms must be more than two heartbeats: raise it, or heartbeat less")
    if settings.lease_ms > settings.election_ms:
        raise BadSettings("lease_ms may not exceed election_ms: a campaign could break a lease")
    if not 0 <= settings.drift_ms < settings.lease_ms:
        raise BadSettings("drift_ms must be less than lease_ms")
    if settings.bootstrap_expect and settings.bootstrap_expect > 1 and not settings.join:
        raise BadSettings("--bootstrap-expect needs --join: where are the others to be found?")
    if settings.backup_to:
        try:
            destination(settings.backup_to)
        except NoDestination as error:
            raise BadSettings(f"backup_to: {error}") from error
    host = settings.listen.rpartition(":")[0]
    if not settings.insecure and not _is_loopback(host):
        raise BadSettings(
            f"{host} can be reached from other machines, and this node has neither TLS nor users: "
            "listen on 127.0.0.1, or pass --insecure where the network itself is trusted"
        )
    if settings.advertise.rpartition(":")[0] in ("0.0.0.0", "[::]", "::"):
        raise BadSettings(
            f"others can't reach {settings.advertise}: name this machine's own address with "
            "--advertise"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
