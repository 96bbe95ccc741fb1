"""The gate: who calls, and whether they may. It answers from the replicated state alone.

While a cluster has no users nobody has to say who they are, unless the node demands it: then nobody
comes in before there is a first user. A password is checked by scrypt, in a thread and one at a
time, and gives a token; from then on a call costs one signature. Guessing is slowed down: after a
few failures a user's next attempts from the same place wait for longer and longer.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import grpc

from raftsql.rpc import passwords, tokens
from raftsql.rpc.audit import Audit
from raftsql.sql.access import NOBODY_YET, Access, Role, User

FAILURES_FREE: Final = 4
"""Wrong passwords in a row that cost nothing: people mistype."""
PAUSE_SECONDS_MAX: Final = 60.0
CULPRITS_MAX: Final = 10_000
"""Pairs of user and place whose failures are remembered."""
CHECKS_MAX: Final = 32
"""Passwords that may wait to be checked; more are turned away, or they would fill the node."""

WRONG: Final = "the user or the password is wrong"
"""Not which of them: that would tell who there is."""


class Denied(Exception):
    """The caller may not; how gRPC calls it, and why."""

    def __init__(self, status: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who has shown who they are."""

    name: str
    number: int = 0
    since: int = 0
    is_node: bool = False
    """Another node, for clients of its own."""


CALLER: ContextVar[Caller | None] = ContextVar("raftsql_caller", default=None)
"""Who made the call that is served; None where nobody has to say."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    free_at: float = 0.0


class Gate:
    """Of one node. `attach` gives it the state to answer from."""

    def __init__(
        self,
        audit: Audit,
        *,
        demands: bool = False,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """`demands`: nobody comes in without a name, even before there are users."""
        self.audit = audit
        self._demands = demands
        self._clock = clock
        self._steady = steady
        self._state: Callable[[], Access] = lambda: NOBODY_YET
        self._failures: dict[tuple[str, str], _Failures] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="password")
        self._checks = 0
        self._nobody = b""
        """A hash that no password has, for users that there are not."""

    def attach(self, state: Callable[[], Access]) -> None:
        """Answer from this state."""
        self._state = state

    @property
    def access(self) -> Access:
        """Who may do what now."""
        return self._state()

    @property
    def is_closed(self) -> bool:
        """Whether callers have to show who they are."""
        return self._demands or self._state().on

    def close(self) -> None:
        """Check no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    # Who is it?

    async def identify(self, shown: str, peer: str) -> Caller | None:
        """Who shows this: a token, or user:password; None when nobody has to. Raises Denied."""
        if not self.is_closed:
            return None
        if not shown:
            raise Denied(grpc.StatusCode.UNAUTHENTICATED, self._who_are_you())
        if shown.startswith(tokens.PREFIX) and ":" not in shown:
            return self._by_token(shown)
        name, colon, password = shown.partition(":")
        if not (name and colon):
            raise Denied(grpc.StatusCode.UNAUTHENTICATED, self._who_are_you())
        user = await self.login(name, password, peer)
        return Caller(user.name, user.number, user.since)

    def _who_are_you(self) -> str:
        if self._state().on:
            return "this cluster has users: give a user and a password"
        return (
            "this node can be reached from other machines and has no users yet: create the first "
            "one on its own machine, with `raftsql user add NAME --role admin`"
        )

    def _by_token(self, shown: str) -> Caller:
        access = self._state()
        claim = tokens.read(access, shown, int(self._clock() * 1000))
        if claim is None:
            raise Denied(grpc.StatusCode.UNAUTHENTICATED, "the token is not valid (any more)")
        if not claim.user:
            return Caller("a node", is_node=True)
        user = access.users.get(claim.user)
        if user is None or user.since != claim.since:
            raise Denied(grpc.StatusCode.UNAUTHENTICATED, "the token is not valid (any more)")
        return Caller(user.name, user.number, user.since)

    async def login(self, name: str, password: str, peer: str) -> User:
        """Check a password, which takes a while; or Denied."""
        culprit = (name[:256], _place(peer))
        failures = self._failures.get(culprit)
        wait_s = failures.free_at - self._steady() if failures is not None else 0.0
        if wait_s > 0:
            raise Denied(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"too many wrong passwords: try again in {wait_s:.0f} s",
            )
        if self._checks >= CHECKS_MAX:
            raise Denied(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many are logging in: try again")
        user = self._state().users.get(name)
        is_right = await self._matches(user, password)
        while (now := self._state().users.get(name)) is not user:
            # Changed while it was checked: what holds is what the user is now.
            user, is_right = now, await self._matches(now, password)
        if not is_right:
            self._failed(culprit)
            self.audit.note("login", user=name[:256], peer=peer, outcome="refused: " + WRONG)
            raise Denied(grpc.StatusCode.UNAUTHENTICATED, WRONG)
        self._failures.pop(culprit, None)
        assert user is not None, "nobody's password matches"
        self.audit.note("login", user=name, peer=peer)
        return user

    async def _matches(self, user: User | None, password: str) -> bool:
        loop = asyncio.get_running_loop()
        self._checks += 1
        try:
            if user is not None:
                return await loop.run_in_executor(
                    self._thread, passwords.matches, user.secret, password
                )
            self._nobody = self._nobody or await self.hashed("nobody's password")
            await loop.run_in_executor(self._thread, passwords.matches, self._nobody, password)
            return False
        finally:
            self._checks -= 1

    async def hashed(self, password: str) -> bytes:
        """What may be kept of a password."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, passwords.hashed, password)

    def _failed(self, culprit: tuple[str, str]) -> None:
        failures = self._failures.pop(culprit, None) or _Failures()
        failures.count += 1
        beyond = failures.count - FAILURES_FREE
        if beyond > 0:
            pause_s = min(2.0 ** (beyond - 1), PAUSE_SECONDS_MAX)
            failures.free_at = self._steady() + pause_s
        while len(self._failures) >= CULPRITS_MAX:
            self._failures.pop(next(iter(self._failures)))
        self._failures[culprit] = failures

    # May they?

    def user_of(self, caller: Caller | None) -> User | None:
        """The user that the caller still is; None where nobody has to be one. Raises Denied."""
        if caller is None:
            if self.is_closed:
                raise Denied(grpc.StatusCode.UNAUTHENTICATED, self._who_are_you())
            return None
        user = self._state().users.get(caller.name)
        if user is None or (user.number, user.since) != (caller.number, caller.since):
            raise Denied(
                grpc.StatusCode.UNAUTHENTICATED, "the user is gone, or has another password now"
            )
        return user

    def check_role(self, caller: Caller | None, role: Role) -> None:
        """Refuse a caller of a lower role; nodes have checked already, and may do all."""
        if caller is not None and caller.is_node:
            return
        user = self.user_of(caller)
        if user is not None and user.role < role:
            raise Denied(
                grpc.StatusCode.PERMISSION_DENIED,
                f"user {user.name} may not: it takes the role {role.name.lower()}",
            )

    def number_of(self, caller: Caller | None, claimed: int) -> int:
        """Whose number a request carries: the caller's, or the one a node vouches for."""
        if caller is not None and caller.is_node:
            if self._state().on and self._state().numbered(claimed) is None:
                raise Denied(grpc.StatusCode.UNAUTHENTICATED, "the user is not known here")
            return claimed
        user = self.user_of(caller)
        return 0 if user is None else user.number

    def token_of(self, user: User) -> str:
        """A token for somebody who has logged in; empty while there is no key yet."""
        return tokens.for_user(self._state(), user, int(self._clock() * 1000))

    def own_token(self) -> str:
        """By which this node shows others that it belongs to the cluster."""
        return tokens.for_node(self._state(), int(self._clock() * 1000))


def credentials_of(gate: Gate) -> list[tuple[str, str]]:
    """What a node shows another, as a call's metadata."""
    token = gate.own_token()
    return [("authorization", f"Bearer {token}")] if token else []


def _place(peer: str) -> str:
    """Where a caller is, without its port: the next attempt has another."""
    return peer.rpartition(":")[0]


def is_local(peer: str) -> bool:
    """Whether a caller is on this machine: its address is one that could be listened at here."""
    kind, _, host = _place(peer).partition(":")
    if kind == "unix":
        return True
    host = unquote(host).removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if kind == "ipv6" else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return bool(host)
