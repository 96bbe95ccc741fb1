"""Who may do what: users, their roles and grants, and the keys that their tokens are signed with.

All of it is part of the replicated state: it changes by commands, in log order, and every node
holds the same. So a command is judged by what its user may do at its own place in the log, and
each node comes to the same verdict. `changed` is that change, as a pure function.

Rights are cumulative: who may write may read, and an administrator may do everything. A role holds
for all tables; a grant for one. Whoever has a role below `write` may not change the schema. Views
and triggers open nothing: a user needs the right to all that a statement touches through them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Final

import msgspec


class Role(IntEnum):
    """What a user may do to every table, or by a grant to one."""

    NONE = 0
    READ = 1
    WRITE = 2
    ADMIN = 3


READS: Final = 1
WRITES: Final = 2
SHAPES: Final = 3
"""Kinds of use: SHAPES changes the schema, and is of no table in particular."""

Use = tuple[int, str]
"""What a statement does, and to which table, in small letters."""

NUMBER_MAX: Final = 4095
"""Users have numbers, of which a command's header holds 12 bits."""
KEYS_MAX: Final = 3
"""Signing keys that are kept, so that tokens outlive the change of the key."""
NAME_MAX: Final = 64
"""Characters of a user's name: it stands in logs and in lists."""
_OF_THE_FILE: Final = frozenset({"dbstat", "bytecode", "tables_used"})
"""They tell how the file lies: of all tables, and so not to those who may read some."""
CATALOGUES: Final = frozenset(
    {"sqlite_master", "sqlite_schema", "sqlite_temp_master", "sqlite_temp_schema"}
)
"""Every user may read what tables there are: drivers and tools ask."""


_FOLD: Final = str.maketrans({chr(c): chr(c + 32) for c in range(ord("A"), ord("Z") + 1)})


def folded(name: str) -> str:
    """A table's name as SQLite compares it: only ASCII letters have another case."""
    return name.translate(_FOLD)


class User(msgspec.Struct, array_like=True, frozen=True):
    """Somebody with a password. It is not shown: not here, nor what stands for it."""

    number: int
    """Travels with the commands; not given to anybody else while others are free."""
    name: str
    secret: bytes
    """What the password is checked against; never the password."""
    since: int
    """The log index at which the password was set: tokens from before are worth nothing."""
    role: Role = Role.NONE
    tables: dict[str, Role] = {}
    """Grants, by the table's name in small letters."""

    def __repr__(self) -> str:
        return f"<user {self.name}, role {self.role.name.lower()}>"


class Key(msgspec.Struct, array_like=True, frozen=True):
    """What tokens are signed with."""

    number: int
    """The log index at which it was made."""
    made_ms: int
    secret: bytes

    def __repr__(self) -> str:
        return f"<key {self.number}>"


class Access(msgspec.Struct, array_like=True, frozen=True):
    """All of it, at one place in the log."""

    users: dict[str, User] = {}
    keys: list[Key] = []
    last_number: int = 0

    @property
    def on(self) -> bool:
        """Whether anybody has to say who they are: as soon as there are users."""
        return bool(self.users)

    def numbered(self, number: int) -> User | None:
        """The user with a number."""
        return next((user for user in self.users.values() if user.number == number), None)

    def rights(self, number: int) -> Rights | None:
        """What the user with a number may do by SQL; None: anything."""
        if not self.users:
            return None
        user = self.numbered(number)
        if user is None:
            return Rights("nobody", Role.NONE, {})
        return None if user.role >= Role.WRITE else Rights(user.name, user.role, user.tables)


NOBODY_YET: Final = Access()


def nobody_yet() -> Access:
    """Where no state is at hand that could say more."""
    return NOBODY_YET


class Rights:
    """What one user may do, where that is not everything."""

    __slots__ = ("name", "role", "tables")

    def __init__(self, name: str, role: Role, tables: dict[str, Role]) -> None:
        self.name = name
        self.role = role
        self.tables = tables

    def problem(self, uses: Iterable[Use], known: Mapping[str, str]) -> str | None:
        """Why a statement that does all this may not run.

        `known` has the name of every table and view, and under it the table whose grant counts: a
        full-text table's own tables are its affair. What is in no list is no table but a name
        within the statement, or a function that gives rows.
        """
        for need, table in sorted(uses):
            if not self._allows(need, table, known):
                return f"user {self.name} may not {_VERB[need]} {table or 'the schema'}"
        return None

    def _allows(self, need: int, table: str, known: Mapping[str, str]) -> bool:
        if need == SHAPES:
            return False
        if need == READS and (self.role >= Role.READ or table in CATALOGUES):
            return True
        governing = known.get(table)
        if governing is None:
            return need == READS and not (table.startswith("sqlite_") or table in _OF_THE_FILE)
        return self.tables.get(governing, Role.NONE) >= need


_VERB: Final = {READS: "read", WRITES: "write to", SHAPES: "change"}


# Changes.


class AddUser(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """A new user."""

    name: str
    secret: bytes
    role: Role = Role.NONE


class SetSecret(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """A new password; every token and connection made with the old one ends."""

    name: str
    secret: bytes


class RemoveUser(msgspec.Struct, array_like=True, frozen=True, tag=3):
    """A user is no more."""

    name: str


class Grant(msgspec.Struct, array_like=True, frozen=True, tag=4):
    """A role, or with `table` a right to that table alone."""

    name: str
    role: Role
    table: str = ""


class Revoke(msgspec.Struct, array_like=True, frozen=True, tag=5):
    """Takes the role away, or with `table` the grant for that table."""

    name: str
    table: str = ""


class AddKey(msgspec.Struct, array_like=True, frozen=True, tag=6):
    """A new key to sign tokens with; the oldest of too many is forgotten."""

    secret: bytes


Change = AddUser | SetSecret | RemoveUser | Grant | Revoke | AddKey

decode_access = msgspec.msgpack.Decoder(Access).decode
decode_change = msgspec.msgpack.Decoder(Change).decode
encode: Final = msgspec.msgpack.Encoder().encode


class ChangeRefused(Exception):
    """It can't be done; why, in words for the one who asked."""


def changed(access: Access, change: Change, *, by: int, index: int, clock_ms: int) -> Access:
    """The state after a change that the user with number `by` asked for, at a place in the log."""
    if isinstance(change, AddKey):
        keys = [*access.keys, Key(index, clock_ms, change.secret)][-KEYS_MAX:]
        return msgspec.structs.replace(access, keys=keys)
    _check_may(access, change, by)
    if isinstance(change, AddUser):
        return _added(access, change, index)
    user = access.users.get(change.name)
    if user is None:
        raise ChangeRefused(f"there is no user {change.name}")
    users = dict(access.users)
    match change:
        case RemoveUser():
            del users[user.name]
        case SetSecret(_, secret):
            users[user.name] = msgspec.structs.replace(user, secret=secret, since=index)
        case Grant(_, role, ""):
            users[user.name] = msgspec.structs.replace(user, role=role)
        case Revoke(_, ""):
            users[user.name] = msgspec.structs.replace(user, role=Role.NONE)
        case Grant(_, role, table):
            if role not in (Role.READ, Role.WRITE):
                raise ChangeRefused("to a table there are two rights: read and write")
            tables = {**user.tables, folded(table): role}
            users[user.name] = msgspec.structs.replace(user, tables=tables)
        case Revoke(_, table):
            tables = {t: r for t, r in user.tables.items() if t != folded(table)}
            users[user.name] = msgspec.structs.replace(user, tables=tables)
    if all(one.role != Role.ADMIN for one in users.values()):
        raise ChangeRefused("it would leave nobody who may manage users: make another admin first")
    return msgspec.structs.replace(access, users=users)


def _check_may(access: Access, change: Change, by: int) -> None:
    """Judge anew what the door has judged: the one who asked may have been removed meanwhile."""
    if not access.on:
        return
    asking = access.numbered(by)
    own = isinstance(change, SetSecret) and asking is not None and asking.name == change.name
    if asking is None or not (own or asking.role is Role.ADMIN):
        raise ChangeRefused("only an admin may change users")


def _added(access: Access, change: AddUser, index: int) -> Access:
    name = change.name
    if not is_name(name):
        raise ChangeRefused(
            f"a user's name has 1 to {NAME_MAX} letters, digits, and . _ - @ + between them"
        )
    if name in access.users:
        raise ChangeRefused(f"there is a user {name} already")
    if not access.users and change.role is not Role.ADMIN:
        raise ChangeRefused("the first user has to be an admin, or nobody could add others")
    number = _free_number(access)
    user = User(number, name, change.secret, index, change.role)
    users = {**access.users, name: user}
    return msgspec.structs.replace(access, users=users, last_number=number)


def is_name(text: str) -> bool:
    """Whether users may be called so."""
    plain = "".join(letter for letter in text if letter not in "._-@+")
    return bool(plain) and len(text) <= NAME_MAX and plain.isascii() and plain.isalnum()


def _free_number(access: Access) -> int:
    taken = {user.number for user in access.users.values()}
    for step in range(1, NUMBER_MAX + 1):
        number = (access.last_number + step - 1) % NUMBER_MAX + 1
        if number not in taken:
            return number
    raise ChangeRefused(f"there are {NUMBER_MAX} users already")
