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
    return await _answer(asked, Caller(user.name, user.number, user.since))


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
        secure=asked.request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


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
    console, word = asked.console, asked.request.cookies.get(asked.console.cookie, "")
    session = console.sessions.of(word)
    if session is not None and console.sessions.holds(session):
        return Answer(_about(asked, session))
    if not console.host.gate.is_closed:
        return await _answer(asked, None)
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
