"""Sessions: bounded, forgotten in time, and kept by a hash of their names."""

from __future__ import annotations

from typing import Any

import pytest

from raftsql.rpc.audit import Audit
from raftsql.rpc.gate import Caller, Gate
from raftsql.server.console import sessions as module
from raftsql.server.console.problems import Problem
from raftsql.server.console.sessions import Sessions
from raftsql.sql.access import Access, User


class Clock:
    """Time as the test wants it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """A gate whose users the test decides about."""

    def __init__(self, *names: str, idle_seconds: float = 60.0) -> None:
        self.users = {name: User(n, name, b"", since=1) for n, name in enumerate(names, 1)}
        self.gate = Gate(Audit())
        self.gate.attach(lambda: Access(users=self.users))
        self.clock = Clock()
        way: Any = lambda caller: None  # noqa: E731
        self.sessions = Sessions(self.gate, way, idle_seconds=idle_seconds, clock=self.clock)

    def caller(self, name: str) -> Caller:
        user = self.users[name]
        return Caller(user.name, user.number, user.since)


async def test_a_session_is_found_by_its_name_and_its_name_is_not_kept() -> None:
    world = World("ann")
    word, session = await world.sessions.begin(world.caller("ann"))
    assert world.sessions.of(word) is session
    assert len(word) >= 43
    assert word.encode() not in session.key
    assert len(session.key) == 32
    for wrong in ("", word[:-1], word + "x", "\ud800", "x" * 10_000):
        assert world.sessions.of(wrong) is None
    other, _ = await world.sessions.begin(world.caller("ann"))
    assert other != word


async def test_it_ends_when_it_is_not_used_and_when_it_is_old() -> None:
    world = World("ann", idle_seconds=60)
    word, session = await world.sessions.begin(world.caller("ann"))
    for _ in range(10):
        world.clock.now += 59
        assert world.sessions.of(word) is session
    world.clock.now += 61
    assert world.sessions.of(word) is None
    await world.sessions.sweep()
    assert session.ended.is_set()
    assert len(world.sessions) == 0
    word, session = await world.sessions.begin(world.caller("ann"))
    for _ in range(int(module.LIFE_SECONDS_MAX / 50)):
        world.clock.now += 50
        world.sessions.of(word)
    world.clock.now += 50
    assert world.sessions.of(word) is None, "even one that is used all the time"


async def test_it_ends_with_its_user() -> None:
    world = World("ann", "eva")
    _, session = await world.sessions.begin(world.caller("ann"))
    _, other = await world.sessions.begin(world.caller("eva"))
    assert world.sessions.holds(session)
    world.users["ann"] = User(1, "ann", b"", since=2)
    assert not world.sessions.holds(session), "another password"
    await world.sessions.sweep()
    assert (session.ended.is_set(), other.ended.is_set()) == (True, False)
    del world.users["eva"]
    assert not world.sessions.holds(other)


async def test_nobodys_session_holds_while_there_are_no_users() -> None:
    world = World()
    _, session = await world.sessions.begin(None)
    assert world.sessions.holds(session)
    world.users["root"] = User(1, "root", b"", since=1)
    assert not world.sessions.holds(session)


async def test_there_are_only_so_many_and_one_user_can_not_push_out_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SESSIONS_OF_ONE_MAX", 3)
    monkeypatch.setattr(module, "SESSIONS_MAX", 5)
    world = World("ann", "eva", "rea")
    anns, _ = await world.sessions.begin(world.caller("ann"))
    evas = [(await world.sessions.begin(world.caller("eva")))[0] for _ in range(10)]
    assert world.sessions.of(anns) is not None
    assert [world.sessions.of(word) is not None for word in evas] == [False] * 7 + [True] * 3
    for _ in range(2):
        await world.sessions.begin(world.caller("rea"))
    assert len(world.sessions) == 5
    assert world.sessions.of(anns) is None, "it was not used for longest"


async def test_a_transaction_is_its_sessions_own() -> None:
    world = World()
    _, session = await world.sessions.begin(None)
    connection: Any = None
    opened = [session.adopt(connection, 0.0) for _ in range(module.TRANSACTIONS_MAX)]
    with pytest.raises(Problem) as caught:
        session.adopt(connection, 0.0)
    assert caught.value.status == 429
    assert session.transaction(opened[0].name) is opened[0]
    _, other = await world.sessions.begin(None)
    with pytest.raises(Problem) as caught:
        other.transaction(opened[0].name)
    assert caught.value.status == 404
