"""Where a cluster is, and how to speak to it: the URL and its options.

    raftsql://[user[:password]@]host[:port][,host[:port]...]/[?option=value&...]

Several hosts may also be given as `?host=h:p&host=h:p`. TLS options are named as libpq names them.
The password is in no repr and in no message.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypedDict
from urllib.parse import parse_qsl, quote, unquote

from raftsql_driver.errors import ProgrammingError, kind_of

PORT: Final = 4001
SCHEME: Final = "raftsql"
LEVELS: Final = ("linearizable", "lease", "session", "stale")
_TRACING: Final = ("off", "names", "on", "text")
"""Of a statement, a span shows nothing, its name, the text without values, or the text as it is."""
_TLS: Final = ("disable", "verify-full", "verify-ca", "require")


class Options(TypedDict, total=False):
    """All that may be said in a URL, as keywords of `connect`; None says nothing, but for
    `isolation_level`, where it means autocommit as in sqlite3."""

    host: str | None
    user: str | None
    password: str | None
    consistency: str | None
    timeout: float | None
    connect_timeout: float | None
    max_staleness: float | None
    autocommit: bool | None
    isolation_level: str | None
    application_name: str | None
    sslmode: str | None
    sslrootcert: str | None
    sslcert: str | None
    sslkey: str | None
    tracing: str | None


@dataclass(frozen=True, slots=True)
class Address:
    """A cluster's address, checked."""

    nodes: tuple[str, ...] = (f"127.0.0.1:{PORT}",)
    user: str = ""
    password: str = field(default="", repr=False)
    consistency: str = "linearizable"
    timeout: float = 30.0
    connect_timeout: float = 10.0
    max_staleness: float = 0.0
    autocommit: bool = False
    isolation_level: str = "DEFERRED"
    application_name: str = ""
    sslmode: str = ""
    sslrootcert: str = ""
    sslcert: str = ""
    sslkey: str = ""
    tracing: str = "off"

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for addresses that may share their streams."""
        tls = (self.sslmode, self.sslrootcert, self.sslcert, self.sslkey)
        return (self.nodes, self.user, self.password, self.application_name, tls)

    @property
    def tls(self) -> bool:
        """Whether to encrypt: as asked, or because a certificate was named."""
        if self.sslmode:
            return self.sslmode != "disable"
        return bool(self.sslrootcert or self.sslcert)

    def __str__(self) -> str:
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        return f"{SCHEME}://{user}{','.join(self.nodes)}/"


def parse(url: str | None, options: Mapping[str, Any] | None = None) -> Address:
    """Read a URL, or RAFTSQL_URL, or the default; `options` win over what the URL says."""
    text = url if url is not None else os.environ.get("RAFTSQL_URL", "")
    if not isinstance(text, str):
        raise ProgrammingError(f"a URL is a str, not {kind_of(text)}")
    address = _parsed(text.strip()) if text.strip() else Address()
    given = options or {}
    if "isolation_level" in given and given["isolation_level"] is None:
        address = replace(address, autocommit=True)
    for name, value in given.items():
        if value is not None:
            address = _with(address, name, value)
    return _checked(address)


def _parsed(text: str) -> Address:
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = SCHEME, text
    if scheme.lower() != SCHEME:
        raise ProgrammingError(f"the URL begins with {scheme}://; write {SCHEME}://host:port/")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    if path.strip("/"):
        raise ProgrammingError(
            f"the URL names a database, {path.strip('/')!r}, but a cluster has just one; "
            f"write {SCHEME}://host:port/"
        )
    login, _, hosts = authority.rpartition("@")
    user, _, password = login.partition(":")
    nodes = list(_nodes(hosts)) if hosts else []
    address = replace(Address(), user=unquote(user), password=unquote(password))
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "host":
            nodes.extend(_nodes(value))
        else:
            address = _with(address, name, value)
    return replace(address, nodes=tuple(dict.fromkeys(nodes))) if nodes else address


_HOST: Final = re.compile(r"\A(?:\[([0-9A-Fa-f:.%]+)\]|([^\[\]:/@\s?#]+))(?::(\d+))?\Z")


def _nodes(text: Any) -> tuple[str, ...]:
    if not isinstance(text, str):
        raise ProgrammingError(
            f"option host: expected a str as 'a:4001,b:4001', not {kind_of(text)}"
        )
    return tuple(_node(host) for host in text.split(","))


def _node(text: str) -> str:
    match = _HOST.match(text.strip())
    if match is None:
        raise ProgrammingError(f"{text!r} is no host:port; an IPv6 address stands in brackets")
    port = int(match[3] or PORT)
    if not 0 < port < 65536:
        raise ProgrammingError(f"{text!r}: a port is a number from 1 to 65535")
    return f"[{match[1]}]:{port}" if match[1] else f"{match[2]}:{port}"


def _seconds(value: Any) -> float:
    with suppress(TypeError, ValueError):
        if 0 <= float(value) < 1e9:
            return float(value)
    raise ValueError("seconds, from 0 up")


def _positive(value: Any) -> float:
    with suppress(TypeError, ValueError):
        if 0 < float(value) < 1e9:
            return float(value)
    raise ValueError("seconds, more than 0")


def _boolean(value: Any) -> bool:
    words = {"1": True, "true": True, "on": True, "yes": True}
    words |= {"0": False, "false": False, "off": False, "no": False}
    if str(value).lower() not in words:
        raise ValueError("true or false")
    return words[str(value).lower()]


def _one_of(*allowed: str, fold: Callable[[str], str] = str.lower) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or fold(value) not in allowed:
            raise ValueError("one of " + ", ".join(allowed))
        return fold(value)

    return read


def _sslmode(value: Any) -> str:
    if value in ("allow", "prefer"):
        raise ValueError("verify-full or disable: others would silently speak in the clear")
    return _one_of(*_TLS)(value)


_OPTIONS: Final[dict[str, Callable[[Any], Any]]] = {
    "host": _nodes,
    "user": str,
    "password": str,
    "consistency": _one_of(*LEVELS),
    "timeout": _positive,
    "connect_timeout": _positive,
    "max_staleness": _seconds,
    "autocommit": _boolean,
    "isolation_level": _one_of("DEFERRED", "IMMEDIATE", "EXCLUSIVE", fold=str.upper),
    "application_name": str,
    "sslmode": _sslmode,
    "sslrootcert": str,
    "sslcert": str,
    "sslkey": str,
    "tracing": _one_of(*_TRACING),
}


_INSTEAD: Final = {
    "port": "it stands behind the host, as in db:4001",
    "database": "a cluster has just one database, without a name",
    "dbname": "a cluster has just one database, without a name",
}
"""What those mean who are used to other drivers."""


def _with(address: Address, name: str, value: Any) -> Address:
    reader = _OPTIONS.get(name)
    if reader is None:
        close = difflib.get_close_matches(name, _OPTIONS, n=1, cutoff=0.7)
        hint = _INSTEAD.get(name) or (f"did you mean {close[0]}?" if close else "")
        known = f"(options: {', '.join(sorted(_OPTIONS))})"
        raise ProgrammingError(f"there is no option {name!r}{'; ' if hint else ''}{hint} {known}")
    try:
        changes: dict[str, Any] = {"nodes" if name == "host" else name: reader(value)}
    except ValueError as error:
        shown = "" if name == "password" else f"={value!r}"
        raise ProgrammingError(f"option {name}{shown}: expected {error}") from None
    return replace(address, **changes)


def level(consistency: str) -> int:
    """The number that a level has on the wire."""
    try:
        return LEVELS.index(consistency)
    except ValueError:
        expected = ", ".join(LEVELS)
        raise ProgrammingError(f"consistency={consistency!r}: expected one of {expected}") from None


def _checked(address: Address) -> Address:
    if bool(address.sslcert) != bool(address.sslkey):
        raise ProgrammingError("sslcert and sslkey go together: give both, or none")
    if address.sslmode == "disable" and (address.sslrootcert or address.sslcert):
        raise ProgrammingError("sslmode=disable, but a certificate is named; leave one of them out")
    if address.password and not address.user:
        raise ProgrammingError("there is a password, but no user")
    return address
