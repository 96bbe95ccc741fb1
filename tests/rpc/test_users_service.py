"""Users as commands of a real replica, and what apply makes of commands of users."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from raftsql.database.backup import take
from raftsql.database.disk import Disk
from raftsql.database.snapshot import open_closed
from raftsql.rpc.audit import Audit
from raftsql.rpc.channels import PLAIN
from raftsql.rpc.gate import Gate
from raftsql.rpc.tokens import read
from raftsql.rpc.users_service import KEY_HOURS, UsersService
from raftsql.sql.access import KEYS_MAX, Change, Grant, RemoveUser, Role, encode
from raftsql.sql.commands import CommandKind, Done, Failed, Refusal, Settings, of_user
from raftsql_proto.users_pb2 import AddUser, ChangeRequest, ListRequest
from tests.operations.solo import Solo

WORD = "a word of some length"


class Aborted(Exception):
    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code


class Context:
    """A call from this machine, that shows what it was given."""

    def __init__(self, shown: str = "", peer: str = "ipv4:127.0.0.1:5") -> None:
        self._shown = shown
        self._peer = peer

    def peer(self) -> str:
        return self._peer

    def invocation_metadata(self) -> Any:
        return (("authorization", f"Bearer {self._shown}"),) if self._shown else ()

    async def abort(self, code: grpc.StatusCode, details: str = "") -> None:
        raise Aborted(code, details)


class House:
    """A cluster of one with its gate and its users' service."""

    def __init__(self, folder: Path, *, demands: bool = False) -> None:
        self.solo = Solo(folder)
        self.gate = Gate(Audit(), demands=demands)
        self.gate.attach(lambda: self.solo.runner.machine.access)
        self.users = UsersService(self.gate)

    async def change(self, context: Context | None = None, **what: Any) -> Any:
        request = ChangeRequest(**what)
        return await self.users.Change(request, context or self.as_root())  # type: ignore[arg-type]

    def as_root(self) -> Context:
        root = self.gate.access.users.get("root")
        return Context(self.gate.token_of(root) if root else "")

    async def propose(self, change: Change, by: int) -> Any:
        settings = of_user(Settings.FOREIGN_KEYS, by)
        return (await self.solo.propose(CommandKind.ACCESS, encode(change), settings=settings))[1]

    async def sql(self, sql: str, by: int) -> Any:
        return await self.solo.sql(sql, settings=of_user(Settings.FOREIGN_KEYS, by))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "data")
    async with house.solo:
        house.users.attach(house.solo.runner, PLAIN)
        yield house
        house.users.close()
        house.gate.close()


async def with_people(house: House) -> None:
    await house.solo.sql("CREATE TABLE mine(a)")
    await house.solo.sql("CREATE TABLE others(a)")
    await house.change(user="root", add=AddUser(password=WORD, role="admin"))
    await house.change(user="ann", add=AddUser(password=WORD))
    await house.propose(Grant("ann", Role.WRITE, "mine"), 1)


async def test_the_first_user_brings_a_key_and_closes_the_gate(house: House) -> None:
    assert not house.gate.is_closed
    await house.change(user="root", add=AddUser(password=WORD, role="admin"))
    assert house.gate.is_closed
    assert read(house.gate.access, house.gate.own_token(), 0) is not None
    with pytest.raises(Aborted) as refused:
        await house.change(Context(), user="eve", add=AddUser(password=WORD, role="admin"))
    assert refused.value.code is grpc.StatusCode.UNAUTHENTICATED


async def test_before_there_are_users_only_this_machine_is_trusted(tmp_path: Path) -> None:
    house = House(tmp_path / "data", demands=True)
    async with house.solo:
        house.users.attach(house.solo.runner, PLAIN)
        add = AddUser(password=WORD, role="admin")
        with pytest.raises(Aborted) as refused:
            await house.change(Context(peer="ipv4:10.0.0.7:5"), user="eve", add=add)
        assert refused.value.code is grpc.StatusCode.UNAUTHENTICATED
        await house.change(Context(), user="root", add=add)
        house.users.close()
        house.gate.close()


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


async def test_passwords_are_in_no_file(house: House, tmp_path: Path) -> None:
    await with_people(house)
    await house.change(user="ann", password="another word of hers")
    files = contents(tmp_path)
    assert len(files) > 2
    for word in (WORD.encode(), b"another word"):
        assert not any(word in content for content in files)


async def test_a_list_tells_rights_and_nothing_secret(house: House) -> None:
    await with_people(house)
    reply = await house.users.List(ListRequest(), Context())  # type: ignore[arg-type]
    assert reply.json == (
        '[{"user": "ann", "role": "none", "tables": {"mine": "write"}}, '
        '{"user": "root", "role": "admin", "tables": {}}]'
    )


async def test_an_old_key_is_replaced_and_a_few_are_kept(house: House) -> None:
    await with_people(house)
    token = house.gate.own_token()
    made_ms = house.gate.access.keys[-1].made_ms
    await house.users.renew_key(made_ms + 1)
    assert len(house.gate.access.keys) == 1
    later = made_ms + KEY_HOURS * 3_600_000 + 1
    await house.users.renew_key(later)
    assert len(house.gate.access.keys) == 2
    assert read(house.gate.access, token, 0) is not None
    for turn in range(1, KEYS_MAX + 1):
        await house.users.renew_key(later + turn * 10 * KEY_HOURS * 3_600_000)
    assert len(house.gate.access.keys) == KEYS_MAX
    assert read(house.gate.access, token, 0) is None


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO others VALUES (1)",
        "INSERT INTO mine SELECT a FROM others",
        "DELETE FROM others",
        "CREATE TABLE x(a)",
        "DROP TABLE mine",
        "VACUUM",
    ],
)
async def test_apply_refuses_what_the_door_let_through(house: House, sql: str) -> None:
    """By a user without the right, by one who is removed, and by nobody."""
    await with_people(house)
    await house.sql("INSERT INTO others VALUES ('kept')", 1)
    for by in (2, 0, 77):
        answer = await house.sql(sql, by)
        assert isinstance(answer, Failed)
        assert answer.refusal is Refusal.ACCESS, answer
    assert isinstance(await house.sql("INSERT INTO mine VALUES (1)", 2), Done)


async def test_rights_are_those_of_the_place_in_the_log(house: House) -> None:
    await with_people(house)
    text = "INSERT INTO mine VALUES (1)"
    for _ in range(3):
        assert isinstance(await house.sql(text, 2), Done)
    await house.propose(RemoveUser("ann"), 1)
    assert isinstance(await house.sql(text, 2), Failed)
    assert isinstance(await house.sql(text, 1), Done)


async def test_a_streak_ends_where_its_user_does(house: House) -> None:
    await with_people(house)
    text = "INSERT INTO others VALUES (1)"
    for _ in range(2):
        order = [1, 1, 1, 2, 1, 1, 2, 2, 1]
        answers = await asyncio.gather(*(house.sql(text, by) for by in order))
        assert [isinstance(answer, Done) for answer in answers] == [by == 1 for by in order]


async def test_users_are_kept_over_a_restart_and_not_in_a_backup(tmp_path: Path) -> None:
    house = House(tmp_path / "data")
    async with house.solo:
        house.users.attach(house.solo.runner, PLAIN)
        await with_people(house)
        before = house.gate.access
        database = house.solo.runner.stores.database
        take(database, tmp_path / "copy.db", Disk())
        house.users.close()
        house.gate.close()
    again = House(tmp_path / "data")
    async with again.solo:
        assert again.gate.access == before
        assert isinstance(await again.sql("INSERT INTO others VALUES (1)", 2), Failed)
        again.gate.close()
    connection = open_closed(tmp_path / "copy.db")
    tables = connection.execute("SELECT name FROM sqlite_schema").fetchall()
    connection.close()
    assert sorted(tables) == [("mine",), ("others",)]
