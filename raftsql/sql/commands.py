"""What the log holds: a command is a fixed header and the body that the driver packed.

The body arrives from the client as msgpack bytes and stays those bytes: the leader puts a header
in front of them (`seal`), every node's log keeps them, and apply unpacks them once. The header
holds all that the leader decided for the command, so that every node decides alike: the clock and
the seed of its pinned environment, the session and sequence that make it happen once, the
settings of the connection that sent it, and the fuel it may burn.

What the client packs and what it gets back is defined with the client's stream, in
`raftsql_proto.frames`, and only named again here. Answers are msgpack too, packed once in apply
and handed on unchanged to the session table and to the client.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import msgspec

from raftsql_proto.frames import (
    Answer,
    Column,
    Done,
    Failed,
    Level,
    Many,
    Opened,
    Parameters,
    Refusal,
    Settings,
    Statement,
    Value,
    Why,
)

VERSION: Final = 1
"""The first byte of every command. A node that reads another one stops: it can't guess."""


class CommandKind(IntEnum):
    """What the body is, and so what applying it means."""

    EXECUTE = 1
    """One statement: body is `Statement`."""
    MANY = 2
    """One statement for many rows of parameters, all or nothing: body is `Many`."""
    SCRIPT = 3
    """Several statements, all or nothing: body is a list of `Statement`."""
    TRANSACTION = 4
    """An interactive transaction, with what each statement did on the leader: `Transaction`."""
    OPEN_SESSION = 5
    """Registers a client: body is `OpenSession`. The answer is its number."""
    CLOSE_SESSION = 6
    """Forgets session `header.session` and its answers. No body."""
    EXPIRE_SESSIONS = 7
    """Forgets every session not heard of for its own time, by the command's clock. No body."""
    VERIFY = 8
    """Marks the index at which every node takes its checksum. The body names the asking."""
    RESTORE = 9
    """Replaces the whole database by one file that every node holds: body is `Restore`."""
    KEEP_SESSIONS = 10
    """Notes that sessions are alive: body is a list of session numbers."""
    ASK = 11
    """Asks what became of `header.session`'s `header.sequence`. The answer is the one it got; if it
    never got one it never will: NEVER_HAPPENED is then its answer, for good. No body."""
    ACCESS = 12
    """Changes users, grants or signing keys: body is a `Change` of `raftsql.sql.access`."""


_BOOKKEEPING: Final = frozenset(
    {
        CommandKind.OPEN_SESSION,
        CommandKind.CLOSE_SESSION,
        CommandKind.EXPIRE_SESSIONS,
        CommandKind.VERIFY,
        CommandKind.KEEP_SESSIONS,
        CommandKind.ASK,
        CommandKind.ACCESS,
    }
)
"""What these write, no statement can see."""

HEADER: Final = struct.Struct("<BBHIqQQQQ")
"""version, kind, settings, fuel in thousands of steps, clock in ms, seed, session, sequence, floor.

Settings are those of the connection, and the number of its user above them (`of_user`).
`floor` is the highest sequence up to which the client has seen every answer: those are forgotten.
Session 0 stands for "no session": applied as often as it is proposed.
"""

USER_SHIFT: Final = 4
"""Where a user's number begins in the settings of a command."""
SETTINGS_ALL: Final = (1 << USER_SHIFT) - 1
"""And all that lies below it: the connection's own."""

FUEL_UNIT: Final = 1_000
"""Steps of SQLite's virtual machine in one unit of fuel; what its progress handler counts in."""


class Step(msgspec.Struct, array_like=True, frozen=True):
    """A statement of an interactive transaction as the leader ran it.

    `changes` is what it changed there (total_changes, triggers included): a replica that counts
    differently has diverged and stops. Statements that failed are kept too, where they changed
    the transaction (an OR FAIL's rows, an OR ROLLBACK), with `failed` set.
    """

    sql: str
    parameters: Parameters
    clock_ms: int
    seed: int
    changes: int
    failed: bool = False
    many: bytes = b""
    """Where it ran for many rows of parameters: the packed `Many`, as it came from the client; then
    there is no text and no parameters beside it."""


class Transaction(msgspec.Struct, array_like=True, frozen=True):
    """An interactive transaction from its first write to its COMMIT."""

    steps: list[Step]


@dataclass(frozen=True, slots=True)
class Batch:
    """A statement for many rows of parameters within a transaction, and the bytes it came in."""

    many: Many
    body: bytes

    @property
    def sql(self) -> str:
        """The statement's text."""
        return self.many.sql


class OpenSession(msgspec.Struct, array_like=True, frozen=True):
    """A client's wish to be remembered. `nonce` makes a repeated wish find the same session."""

    nonce: bytes
    keep_ms: int
    """How long it is remembered after it was last heard of, by the log's clock."""


class Restore(msgspec.Struct, array_like=True, frozen=True):
    """Names the file that takes the database's place, by size and checksum."""

    digest: bytes
    size_bytes: int


_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
decode_statement = msgspec.msgpack.Decoder(Statement).decode
decode_many = msgspec.msgpack.Decoder(Many).decode
decode_script = msgspec.msgpack.Decoder(list[Statement]).decode
decode_transaction = msgspec.msgpack.Decoder(Transaction).decode
decode_open_session = msgspec.msgpack.Decoder(OpenSession).decode
decode_restore = msgspec.msgpack.Decoder(Restore).decode
decode_sessions = msgspec.msgpack.Decoder(list[int]).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode


def of_user(settings: Settings, user: int) -> Settings:
    """A connection's settings, and whose connection it is: what its commands carry."""
    return Settings(settings | user << USER_SHIFT) if user else settings


def seal(
    kind: CommandKind,
    body: bytes,
    *,
    clock_ms: int,
    seed: int,
    settings: Settings = Settings.FOREIGN_KEYS,
    fuel: int = 1_000_000,
    session: int = 0,
    sequence: int = 0,
    floor: int = 0,
) -> bytes:
    """Put the leader's decisions in front of a body: the payload of a log entry."""
    header = HEADER.pack(VERSION, kind, settings, fuel, clock_ms, seed, session, sequence, floor)
    return header + body


def is_seen(payload: bytes) -> bool:
    """Whether a statement could see what a command changes."""
    return payload[1] not in _BOOKKEEPING


__all__ = [
    "Answer",
    "Batch",
    "Column",
    "CommandKind",
    "Done",
    "Failed",
    "Level",
    "Many",
    "OpenSession",
    "Opened",
    "Parameters",
    "Refusal",
    "Restore",
    "Settings",
    "Statement",
    "Step",
    "Transaction",
    "Value",
    "Why",
    "is_seen",
    "of_user",
    "seal",
]
