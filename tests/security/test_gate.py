"""Who calls, and whether they may: with a state, a clock and a place, and no network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from raftsql.database.sessions import owned, owner_of
from raftsql.rpc import passwords, tokens
from raftsql.rpc.audit import Audit
from raftsql.rpc.gate import Caller, Denied, Gate, is_local
from raftsql.rpc.standing import Standing
from raftsql.rpc.wards import Takes, takes
from raftsql.sql.access import (
    Access,
    AddKey,
    AddUser,
    Change,
    Grant,
    RemoveUser,
    Role,
    SetSecret,
    changed,
)
from raftsql.sql.commands import Settings
from raftsql.sql.values import BadValue
from raftsql_proto import frames

HERE = "ipv4:127.0.0.1:5000"
WORD = "a word of some length"


MADE: list[World] = []


@pytest.fixture(autouse=True)
def all_closed() -> Iterator[None]:
    """Logs are closed, and threads ended, with their test."""
    yield
    while MADE:
        gate = MADE.pop().gate
        gate.audit.close()
        gate.close()


class World:
    """A state that changes, and clocks that stand still until they are moved."""

    def __init__(self, folder: Path, *, demands: bool = False) -> None:
        self.access = Access()
        self.now = 1_000.0
        self.log = folder / "audit.log"
        self.gate = Gate(
            Audit(str(self.log)), demands=demands, clock=lambda: self.now, steady=lambda: self.now
        )
        self.gate.attach(lambda: self.access)
        self._index = 0
        MADE.append(self)

    def change(self, *changes: Change) -> World:
        for change in changes:
            self._index += 1
            self.access = changed(self.access, change, by=1, index=self._index, clock_ms=0)
        return self

    def people(self) -> World:
        """One admin and one who may nothing, both with the same word, and a key."""
        secret = passwords.hashed(WORD)
        root = AddUser("root", secret, Role.ADMIN)
        return self.change(AddKey(b"key"), root, AddUser("ann", secret))

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path).people()


async def code_of(world: World, shown: str, peer: str = HERE) -> grpc.StatusCode | None:
    try:
        await world.gate.identify(shown, peer)
    except Denied as denied:
        return denied.status
    return None


async def test_without_users_nobody_has_to_say_who_they_are(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert await world.gate.identify("", HERE) is None
    world.gate.check_role(None, Role.ADMIN)


async def test_a_node_that_demands_users_lets_nobody_in_before_there_are_any(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, demands=True)
    assert await code_of(world, "") is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(Denied):
        world.gate.check_role(None, Role.NONE)


async def test_a_password_gives_a_caller_and_a_token_another_one(world: World) -> None:
    caller = await world.gate.identify(f"ann:{WORD}", HERE)
    assert caller is not None
    user = world.gate.user_of(caller)
    assert user is not None
    assert await world.gate.identify(world.gate.token_of(user), HERE) == caller


@pytest.mark.parametrize(
    "shown", [f"ann:{WORD} ", "ann:", "ann", ":", f"eve:{WORD}", f":{WORD}", "rt1.x", "rt1.a.b"]
)
async def test_what_is_not_the_password_opens_nothing(world: World, shown: str) -> None:
    assert await code_of(world, shown) is grpc.StatusCode.UNAUTHENTICATED


async def test_a_token_ends_with_its_time(world: World) -> None:
    token = tokens.for_user(world.access, world.access.users["ann"], int(world.now * 1000))
    assert await code_of(world, token) is None
    world.now += tokens.TOKEN_SECONDS
    assert await code_of(world, token) is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("change", [SetSecret("ann", b"other"), RemoveUser("ann")])
async def test_a_token_and_a_caller_end_with_the_password(world: World, change: Change) -> None:
    caller = await world.gate.identify(f"ann:{WORD}", HERE)
    token = tokens.for_user(world.access, world.access.users["ann"], int(world.now * 1000))
    world.change(change)
    assert await code_of(world, token) is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(Denied):
        world.gate.user_of(caller)


async def test_a_token_of_a_key_that_is_forgotten_is_worth_nothing(world: World) -> None:
    token = world.gate.own_token()
    assert await code_of(world, token) is None
    world.change(AddKey(b"2"), AddKey(b"3"))
    assert await code_of(world, token) is None
    world.change(AddKey(b"4"))
    assert await code_of(world, token) is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("place", [5, 12, -3])
async def test_a_token_that_was_changed_is_none(world: World, place: int) -> None:
    token = list(world.gate.own_token())
    token[place] = "A" if token[place] != "A" else "B"
    assert await code_of(world, "".join(token)) is grpc.StatusCode.UNAUTHENTICATED


async def test_guesses_wait_longer_and_longer_but_only_from_their_place(world: World) -> None:
    waits = []
    for _ in range(12):
        while await code_of(world, "ann:guess") is grpc.StatusCode.RESOURCE_EXHAUSTED:
            world.now += 1
        start = world.now
        while await code_of(world, f"ann:{WORD}x") is grpc.StatusCode.RESOURCE_EXHAUSTED:
            world.now += 1
        waits.append(world.now - start)
    assert waits[0] == 0
    assert sorted(waits) == waits
    assert waits[-1] >= 30
    assert await code_of(world, f"ann:{WORD}", "ipv4:10.0.0.9:1") is None


async def test_failures_are_forgotten_with_a_login(world: World) -> None:
    for _ in range(3):
        for _ in range(4):
            assert await code_of(world, "ann:guess") is grpc.StatusCode.UNAUTHENTICATED
        assert await code_of(world, f"ann:{WORD}") is None


async def test_only_an_admin_may_what_takes_one(world: World) -> None:
    root = await world.gate.identify(f"root:{WORD}", HERE)
    ann = await world.gate.identify(f"ann:{WORD}", HERE)
    world.gate.check_role(root, Role.ADMIN)
    with pytest.raises(Denied) as denied:
        world.gate.check_role(ann, Role.ADMIN)
    assert denied.value.status is grpc.StatusCode.PERMISSION_DENIED
    world.change(Grant("ann", Role.ADMIN))
    world.gate.check_role(ann, Role.ADMIN)


async def test_logins_are_noted_without_what_was_shown(world: World) -> None:
    await code_of(world, f"ann:{WORD}")
    await code_of(world, "ann:guess")
    assert [(e["user"], e["outcome"][:7]) for e in world.lines()] == [
        ("ann", "done"),
        ("ann", "refused"),
    ]
    assert WORD not in world.log.read_text()
    assert "guess" not in world.log.read_text()


def test_the_audit_log_is_opened_again_when_it_was_moved_away(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "audit.log"
    audit = Audit(str(path))
    audit.note("login", user="a\nb", peer=HERE)
    moved = path.rename(tmp_path / "old.log")
    audit.note("login", user="b", peer=HERE)
    audit.reopen(str(path))
    audit.note("login", user="c", peer=HERE)
    audit.close()
    assert [json.loads(line)["user"] for line in moved.read_text().splitlines()] == ["a\nb", "b"]
    assert [json.loads(line)["user"] for line in path.read_text().splitlines()] == ["c"]
    assert path.stat().st_mode & 0o077 == 0


def test_a_hash_is_of_one_password_and_no_two_are_the_same() -> None:
    one, two = passwords.hashed(WORD), passwords.hashed(WORD)
    assert one != two
    assert passwords.matches(one, WORD)
    assert not passwords.matches(one, WORD.upper())
    assert WORD.encode() not in one
    assert passwords.problem_of("short") is not None
    assert passwords.problem_of("x" * 2_000) is not None
    assert passwords.problem_of(WORD) is None


def test_a_call_that_nobody_has_thought_about_takes_an_admin() -> None:
    assert takes("/raftsql.v1.Admin/InventedTomorrow") is Takes.ADMIN
    assert takes("/raftsql.v1.Peers/InventedTomorrow") is Takes.ADMIN
    assert takes("/another.Service/Call") is Takes.ADMIN


@pytest.mark.parametrize(
    ("peer", "local"),
    [
        (HERE, True),
        ("ipv4:127.0.0.11:7", True),
        ("ipv4:192.0.2.1:7", False),
        ("ipv6:[2001:db8::1]:7", False),
        ("ipv6:%5B2001:db8::1%5D:7", False),
        ("ipv4::7", False),
        ("", False),
        ("somewhere", False),
    ],
)
def test_who_is_on_this_machine(peer: str, local: bool) -> None:
    assert is_local(peer) is local


class Runner:
    """As much of a runner as a standing asks for: sessions and their owners."""

    class machine:
        @staticmethod
        def owner(session: int) -> int | None:
            return {1: 0, 2: 1, 3: 2}.get(session)


def run(**fields: Any) -> frames.Run:
    return frames.Run(1, frames.Work.EXECUTE, b"", **fields)


async def test_a_session_is_one_users_alone(world: World) -> None:
    standing = Standing(world.gate, Runner)  # type: ignore[arg-type]
    standing.caller = await world.gate.identify(f"ann:{WORD}", HERE)
    standing.check()
    standing.check_session(run(session=3))
    standing.check_session(run(session=99))
    for others in (1, 2):
        with pytest.raises(BadValue, match="another user's"):
            standing.check_session(run(session=others))


async def test_a_client_can_not_claim_to_be_another_user(world: World) -> None:
    standing = Standing(world.gate, Runner)  # type: ignore[arg-type]
    standing.caller = await world.gate.identify(f"ann:{WORD}", HERE)
    standing.check()
    assert standing.user(run(user=1)) == world.access.users["ann"].number
    passed_on = standing.vouched(run(user=1))
    assert isinstance(passed_on, frames.Run)
    assert passed_on.user == world.access.users["ann"].number


def test_a_node_speaks_for_users_that_there_are(world: World) -> None:
    standing = Standing(world.gate, Runner)  # type: ignore[arg-type]
    standing.caller = Caller("a node", is_node=True)
    standing.check()
    assert standing.user(run(user=2)) == 2
    assert int(standing.mark(Settings.FOREIGN_KEYS, run(user=2))) == 0x21
    for nobody in (0, 77):
        with pytest.raises(BadValue):
            standing.user(run(user=nobody))


def test_who_greeted_before_there_were_users_has_to_greet_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    standing = Standing(world.gate, Runner)  # type: ignore[arg-type]
    standing.check()
    assert standing.user(run()) == 0
    world.people()
    with pytest.raises(Denied):
        standing.check()


def test_a_nonce_finds_the_sessions_of_its_user_only() -> None:
    assert owner_of(b"whatever") == 0
    assert owner_of(owned(b"whatever", 4_095)) == 4_095
    assert owned(b"n", 1) != owned(b"n", 2) != owned(b"n", 0)
