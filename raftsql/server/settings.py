"""The settings of a node, each said once: its name and type, what it is when nobody says, how it is
read, what it means, and whether a running node takes it up.

Flags, environment, file, help, docs/configuration.md and the checks are made from these lines (see
`configuration`). To add a setting, add one line here and run `make configuration`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from raftsql.server.destinations import NoDestination, destination
from raftsql.server.kinds import (
    ADDRESS,
    ADDRESSES,
    INTEGER,
    PATH,
    SWITCH,
    TEXT,
    Kind,
    choice,
    one_address,
    whole,
)

T = TypeVar("T")

address: Final = one_address


class BadSettings(Exception):
    """A setting can't be used; the message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of a setting."""

    name: str
    kind: Kind
    default: Any
    help: str
    reloadable: bool
    secret: bool

    @property
    def flag(self) -> str:
        """Its name on a command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return "RAFTSQL_" + self.name.upper()


def _is(default: T, kind: Kind, help: str, *, reloadable: bool = False, secret: bool = False) -> T:
    """A setting, as a field. A secret's value is never shown; a reloadable one obeys SIGHUP."""
    known = {"kind": kind, "help": help, "reloadable": reloadable, "secret": secret}
    return field(default=default, metadata=known)


DATA_DIR: Final = Path("raftsql-data")
MS: Final = whole("milliseconds")
SECONDS: Final = whole("seconds")
ENTRIES: Final = whole("entries")
BYTES: Final = whole("bytes")


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What `raftsql serve` runs with, all decided."""

    data_dir: Path = _is(DATA_DIR, PATH, "where the node keeps everything")  # noqa: RUF009
    listen: str = _is("127.0.0.1:4001", ADDRESS, "the one port for clients and peers")
    advertise: str = _is("", ADDRESS, "how others reach it; else by what it listens on")
    http: str = _is("", ADDRESS, "serve /metrics, /livez and /readyz there; else nowhere")
    console: bool = _is(False, SWITCH, "serve a page there that shows the cluster and takes SQL")
    console_idle_seconds: int = _is(
        1_800, SECONDS, "a login to that page ends when it was not used for so long"
    )
    node_id: int | None = _is(None, whole(), "the node's number; else the cluster gives one")
    join: tuple[str, ...] = _is((), ADDRESSES, "nodes of the cluster; may name itself")
    bootstrap_expect: int | None = _is(None, whole(), "form a cluster once so many are there")
    learner: bool = _is(False, SWITCH, "join without a vote, for good")
    priority: int = _is(0, INTEGER, "members of higher priority are made leader when level")
    mode: str = _is("pinned", choice("pinned", "strict"), "how clock and chance are treated in SQL")
    heartbeat_ms: int = _is(75, MS, "how often a leader is heard")
    election_ms: int = _is(750, MS, "silence after which others campaign")
    lease_ms: int = _is(300, MS, "how long voters defend a leader they heard")
    drift_ms: int = _is(30, whole("milliseconds", least=0), "how far clocks may part in a lease")
    log_entries_max: int = _is(
        200_000, ENTRIES, "the log is shortened when it is longer", reloadable=True
    )
    log_tail_entries: int = _is(
        20_000, ENTRIES, "what stays of it for slow followers", reloadable=True
    )
    log_bytes_max: int = _is(
        512 << 20, BYTES, "it is shortened too when it takes more; a quarter stays", reloadable=True
    )
    ship_bytes_per_second: int = _is(64 << 20, BYTES, "bound on sending a snapshot")
    backup_to: str = _is(
        "", TEXT, "take backups by the clock, to this folder or s3://…", reloadable=True
    )
    backup_every_seconds: int = _is(86_400, SECONDS, "how often, if anybody wrote", reloadable=True)
    backup_keep: int = _is(7, whole(), "how many are kept there", reloadable=True)
    ready_lag_entries: int = _is(
        1_000, ENTRIES, "so far behind, /readyz still says that the node is ready", reloadable=True
    )
    allow_fingerprint: str = _is(
        "", TEXT, "accept peers of this other fingerprint, while upgrading", reloadable=True
    )
    tls_cert: str = _is("", TEXT, "this node's certificate, with those between it and its CA")
    tls_key: str = _is("", TEXT, "the certificate's private key")
    tls_ca: str = _is("", TEXT, "the CA of the nodes' certificates: peers must have one of it")
    tls_client_ca: str = _is("", TEXT, "let in only clients with a certificate of this CA")
    tls_peer_cert: str = _is("", TEXT, "another certificate for speaking with peers")
    tls_peer_key: str = _is("", TEXT, "its private key")
    tls_peer_ca: str = _is("", TEXT, "the CA of peers' certificates, if it is not --tls-ca")
    peer_port_offset: int = _is(
        1_000, whole(), "with TLS, peers are served at the clients' port plus this"
    )
    auth: str = _is(
        "auto",
        choice("auto", "on"),
        "whether callers must be users: once there are any and beyond loopback, or always",
    )
    audit_log: str = _is(
        "", TEXT, "write who did what to this file, and not to the node's log", reloadable=True
    )
    insecure: bool = _is(False, SWITCH, "listen beyond loopback without TLS and users")
    log_level: str = _is(
        "info", choice("debug", "info", "warning", "error"), "what is logged", reloadable=True
    )
    log_format: str = _is("text", choice("text", "json"), "how it is logged", reloadable=True)
    tracing: bool = _is(
        False, SWITCH, "record spans of the requests whose clients do; exported by OTEL_*"
    )
    slow_statement_ms: int = _is(
        1_000, whole("milliseconds", least=0), "log statements that take longer; 0: none",
        reloadable=True,
    )  # fmt: skip


SETTINGS: Final = tuple(
    Setting(one.name, default=one.default, **one.metadata) for one in fields(ServeSettings)
)


def check(settings: ServeSettings) -> None:
    """Refuse what does not go together, or can't work."""
    _check_times(settings)
    if settings.bootstrap_expect and settings.bootstrap_expect > 1 and not settings.join:
        raise BadSettings("--bootstrap-expect needs --join: where are the others to be found?")
    if settings.backup_to:
        try:
            destination(settings.backup_to)
        except NoDestination as error:
            raise BadSettings(f"backup_to: {error}") from error
    if settings.http == settings.listen:
        raise BadSettings("--http and --listen need a port each")
    _check_console(settings)
    _check_reach(settings)
    _check_tls(settings)


def _check_console(settings: ServeSettings) -> None:
    if not settings.console:
        return
    if not settings.http:
        raise BadSettings("--console needs --http: at which address is it to be served?")
    host = settings.http.rpartition(":")[0]
    if not (settings.insecure or settings.tls_cert or is_loopback(host)):
        raise BadSettings(
            f"the console on {settings.http} would take passwords in the clear: name a certificate "
            "with --tls-cert, --tls-key and --tls-ca (see docs/security.md), serve it on "
            "127.0.0.1, or pass --insecure where the network itself is trusted"
        )


def _check_tls(settings: ServeSettings) -> None:
    own = {"tls_cert": settings.tls_cert, "tls_key": settings.tls_key}
    own["tls_ca"] = settings.tls_ca or settings.tls_peer_ca
    missing = [name for name, value in own.items() if not value]
    others = settings.tls_client_ca or settings.tls_peer_cert or settings.tls_peer_key
    if missing and (len(missing) < len(own) or others):
        raise BadSettings(f"TLS needs {', '.join(missing)} too: see docs/security.md")
    if bool(settings.tls_peer_cert) != bool(settings.tls_peer_key):
        raise BadSettings("tls_peer_cert and tls_peer_key go together: give both, or none")
    if settings.tls_cert and one_port(settings.listen) + settings.peer_port_offset > 65_535:
        raise BadSettings("peer_port_offset leads beyond the last port: choose a lower port")


def one_port(address: str) -> int:
    """The port of host:port."""
    return int(address.rpartition(":")[2])


def _check_times(settings: ServeSettings) -> None:
    if settings.heartbeat_ms * 2 >= settings.lease_ms:
        raise BadSettings("lease_ms must be more than two heartbeats: raise it, or heartbeat less")
    if settings.lease_ms > settings.election_ms:
        raise BadSettings("lease_ms may not exceed election_ms: a campaign could break a lease")
    if settings.drift_ms >= settings.lease_ms:
        raise BadSettings("drift_ms must be less than lease_ms")


def _check_reach(settings: ServeSettings) -> None:
    host = settings.listen.rpartition(":")[0]
    if not (settings.insecure or settings.tls_cert or is_loopback(host)):
        raise BadSettings(
            f"{host} can be reached from other machines, and this node has neither TLS nor users: "
            "name a certificate with --tls-cert, --tls-key and --tls-ca (see docs/security.md), "
            "listen on 127.0.0.1, or pass --insecure where the network itself is trusted"
        )
    if settings.advertise.rpartition(":")[0] in ("0.0.0.0", "[::]", "::"):
        raise BadSettings(
            f"others can't reach {settings.advertise}: name this machine's own address with "
            "--advertise"
        )


def demands_users(settings: ServeSettings) -> bool:
    """Whether nobody comes in without a name, even before there are users."""
    local = is_loopback(settings.listen.rpartition(":")[0])
    if settings.console:
        local = local and is_loopback(settings.http.rpartition(":")[0])
    return settings.auth == "on" or not (local or settings.insecure)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
