"""The way in and out: logging in, logging out, and who one is."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

import raftsql
from raftsql.rpc.gate import Caller, Denied
from raftsql.server.console.guarding import Answer, Asked
from raftsql.server.console.problems import Problem, of_status
from raftsql.server.console.sessions import LIFE_SECONDS_MAX, Session


class Login(msgspec.Struct):
    """What somebody shows."""

    user: str
    password: str

    def __repr__(self) -> str:
        return "<a login>"


async def login(asked: Asked) -> Response:
    """Check a password as the node's door does, with the same pauses after wrong ones."""
    gate, given = asked.console.host.gate, asked.body
    try:
        if not gate.access.on:
            # Raises what the node says to anybody, where nobody comes in before there is a user.
            await gate.identify("", asked.peer)
            return await _answer(asked, None)
        user = await gate.login(given.user, given.password, asked.peer)
    except Denied as denied:
        problem = of_status(denied.status, str(denied))
        raise Problem(problem.status, "login", str(denied)) from None
    caller = Caller(user.name, user.number, user.since)
    before = _session(asked)
    if before is not None and before.caller == caller:
        return Answer(_about(asked, before))  # Another page of this browser was faster.
    if before is not None:
        await asked.console.sessions.end(before)  # Its pages are not to go on as somebody else.
    return await _answer(asked, caller)


def _session(asked: Asked) -> Session | None:
    """What the browser's cookie stands for, if it stands for anything yet."""
    sessions = asked.console.sessions
    found = sessions.of(asked.request.cookies.get(asked.console.cookie, ""))
    return found if found is not None and sessions.holds(found) else None


async def _answer(asked: Asked, caller: Caller | None) -> Response:
    console = asked.console
    word, session = await console.sessions.begin(caller)
    answer = Answer(_about(asked, session))
    _set_cookie(asked, answer, word)
    return answer


def _set_cookie(asked: Asked, answer: Response, word: str) -> None:
    answer.set_cookie(
        asked.console.cookie,
        word,
        max_age=int(LIFE_SECONDS_MAX) if word else 0,
        path="/console",
        secure=_is_encrypted(asked),
        httponly=True,
        samesite="strict",
    )


def _is_encrypted(asked: Asked) -> bool:
    """Whether the browser speaks TLS, with us or with a proxy before us: a login says where it
    comes from."""
    request = asked.request
    origin = request.headers.get("origin", "")
    return request.url.scheme == "https" or origin.startswith("https://")


async def logout(asked: Asked) -> Response:
    """End the session."""
    session = asked.session
    name = session.caller.name if session.caller is not None else ""
    asked.console.host.audit.note("logout", user=name, peer=asked.peer)
    await asked.console.sessions.end(session)
    answer = Answer({})
    _set_cookie(asked, answer, "")
    return answer


async def me(asked: Asked) -> Response:
    """Who is it? Where nobody has to say who they are, a session begins with this question."""
    session = _session(asked)
    if session is not None:
        return Answer(_about(asked, session))
    if not asked.console.host.gate.is_closed:
        return await _answer(asked, None)
    word = asked.request.cookies.get(asked.console.cookie, "")
    message = "log in again" if word else "log in first"
    raise Problem(401, "expired" if word else "login", message)


def _about(asked: Asked, session: Session) -> dict[str, object]:
    host = asked.console.host
    user = host.gate.user_of(session.caller)
    return {
        "user": None if user is None else user.name,
        "role": None if user is None else user.role.name.lower(),
        "users": host.gate.access.on,
        "node_id": host.forming.me.node or None,
        "version": raftsql.__version__,
        "address": host.settings.advertise,
        "idle_seconds": asked.console.sessions.idle_seconds,
    }
