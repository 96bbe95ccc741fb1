"""What stands before every route of the console, so that none can forget it.

A route is a `Point`: it has to say what it takes, and its handler is only ever called with a
session that has it. Whatever changes something must come from the console's own page: it carries a
header that no other site's page may send, and an Origin, if there is one, that is this very host.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from raftsql.rpc.gate import Denied
from raftsql.server.console.inside import Ended
from raftsql.server.console.problems import Problem, of_error, of_status, too_large
from raftsql.server.console.sessions import Session
from raftsql.server.settings import is_loopback
from raftsql.sql.access import Role
from raftsql_driver.errors import Error

if TYPE_CHECKING:
    from raftsql.server.console.app import Console

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
OURS: Final = "x-raftsql-console"
"""The header that only the console's own page can send."""
BODY_SECONDS: Final = 30.0
"""How long a request may take to come. Connections are bounded, and who logs in has no name yet."""
BODY_BYTES_MAX: Final = 4 << 20
LOGIN_BYTES_MAX: Final = 16 << 10


class Takes(Enum):
    """What it takes to use a route."""

    NOTHING = 0
    """The page itself, and the way in."""
    USER = 1
    """Anybody whom the cluster lets in; what their SQL may do is judged by the cluster."""
    ADMIN = 2


@dataclass(frozen=True, slots=True)
class Point:
    """A route: what it takes, and who serves it."""

    method: str
    path: str
    takes: Takes
    serve: Callable[[Asked], Awaitable[Response]]
    body: type[Any] | None = None
    """What the request's JSON has to be."""
    body_bytes_max: int = BODY_BYTES_MAX


@dataclass(slots=True)
class Asked:
    """A request that was let through."""

    console: Console
    request: Request
    found: Session | None
    body: Any = None

    @property
    def session(self) -> Session:
        """Whose request it is."""
        assert self.found is not None, "a route that takes nothing asks for no session"
        return self.found

    @property
    def peer(self) -> str:
        """Where the browser is, as gRPC writes it."""
        return peer_of(self.request)


def peer_of(request: Request) -> str:
    """Where the browser is, as gRPC writes it."""
    if request.client is None:
        return "unknown"
    host, port = request.client
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"


def guarded(console: Console, point: Point) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of a point."""

    async def endpoint(request: Request) -> Response:
        try:
            _check_host(console, request)
            if "/api/" in point.path:
                _check_site(request)
            if point.method not in ("GET", "HEAD"):
                _check_ours(request)
            asked = Asked(console, request, None)
            if point.takes is not Takes.NOTHING:
                asked.found = _admitted(console, request, point.takes)
            if point.method not in ("GET", "HEAD"):
                asked.body = await _body(request, point)
            return await point.serve(asked)
        except Exception as error:
            return refused(console, error)

    endpoint.point = point  # type: ignore[attr-defined]
    return endpoint


def _admitted(console: Console, request: Request, takes: Takes) -> Session:
    """The session of a request, if it has what the route takes."""
    word = request.cookies.get(console.cookie, "")
    session = console.sessions.of(word)
    if session is not None and not console.sessions.holds(session):
        session = None
    if session is None:
        kind = "expired" if word else "login"
        raise Problem(401, kind, "log in again" if word else "log in first")
    if takes is Takes.ADMIN:
        console.host.gate.check_role(session.caller, Role.ADMIN)
    return session


def _check_site(request: Request) -> None:
    """Refuse what another site made the browser ask: its answers are not for it, and neither are
    sessions or downloads that nobody wished for."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none"):
        raise Problem(403, "csrf", "the request comes from another site")


def _check_ours(request: Request) -> None:
    """Refuse what another site's page made the browser send."""
    headers = request.headers
    origin, host = headers.get("origin"), headers.get("host", "")
    if headers.get(OURS) != "1":
        raise Problem(403, "csrf", "the request does not come from the console's page")
    # A proxy before a plain port may be the one that speaks TLS.
    if origin is not None and origin not in (f"{request.url.scheme}://{host}", f"https://{host}"):
        raise Problem(403, "csrf", "the request comes from another site")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(403, "csrf", "the request is not JSON")


def _check_host(console: Console, request: Request) -> None:
    """Where nobody has to log in, refuse names that anybody may give to this machine: a site could
    give its own name this address, and its page would be taken for ours."""
    if console.host.gate.is_closed:
        return
    name = _host_of(request.headers.get("host", ""))
    if (
        name not in {known.lower() for known in console.names}
        and not is_loopback(name)
        and not _is_address(name)
    ):
        raise Problem(
            403,
            "host",
            "while the cluster has no users, the console is opened by the node's address",
        )


def _host_of(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _body(request: Request, point: Point) -> Any:
    """The JSON of a request, of a bounded length and the right form."""
    content = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                content += part
                if len(content) > point.body_bytes_max:
                    raise too_large(point.body_bytes_max)
    except TimeoutError:
        raise Problem(408, "too_slow", f"it did not come within {BODY_SECONDS:g} s") from None
    if point.body is None:
        return None
    try:
        return msgspec.json.decode(bytes(content) or b"{}", type=point.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "bad_request", _words(error)) from error


def _words(error: Exception) -> str:
    """What is wrong with a body; never what it holds."""
    if isinstance(error, msgspec.ValidationError):
        return f"the request is not of the right form: {str(error).partition(' - ')[0][:200]}"
    return "the request is not JSON"


def refused(console: Console, error: Exception) -> Response:
    """The answer to a request that was not carried out."""
    match error:
        case Problem():
            problem = error
        case Denied():
            problem = of_status(error.status, str(error))
        case Ended():
            problem = of_status(error.status, str(error))
        case Error():
            problem = of_error(error)
        case HTTPException():
            problem = Problem(error.status_code, "not_found", error.detail)
        case ClientDisconnect():
            problem = Problem(400, "gone", "the page went away")
        case _:
            console.log.error("the console failed: %s", type(error).__name__, exc_info=error)
            problem = Problem(500, "failed", "that failed; the node's log says more")
    return Answer({"error": problem.told()}, problem.status)


class Answer(Response):
    """A small JSON answer."""

    media_type = "application/json"

    def __init__(self, content: Any, status: int = 200) -> None:
        super().__init__(msgspec.json.encode(content), status, media_type=self.media_type)


class SafeHeaders:
    """Puts the headers that keep a browser safe on every answer, errors as well."""

    def __init__(self, app: ASGIApp) -> None:
        self.inner = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, with the headers."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if "cache-control" not in headers:
                    headers["cache-control"] = "no-store"
            await send(message)

        await self.inner(scope, receive, with_headers)
