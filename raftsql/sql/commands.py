"""What the log holds: a command is a fixed header and the body that the driver packed.

The body arrives from the client as msgpack bytes and stays those bytes: the leader puts a header
in front of them (`seal`), every node's log keeps them, and apply unpacks them once. The header
holds all that the leader decided for the command, so that every node decides alike: the clock and
the seed of its pinned environment, the session and sequence that make it happen once, the
settings of the connection that sent it, and the fuel it may burn.

Answers are msgpack too, packed once in apply and handed on unchanged to the session table and to
the client.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import Any, Final

import msgspec

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


class Settings(IntFlag):
    """The session PRAGMAs that change what a write means, and travel with it."""

    FOREIGN_KEYS = 1
    DEFER_FOREIGN_KEYS = 2
    RECURSIVE_TRIGGERS = 4


HEADER: Final = struct.Struct("<BBBxIqQQQQ")
"""version, kind, settings, fuel in thousands of steps, clock in ms, seed, session, sequence, floor.

`floor` is the highest sequence up to which the client has seen every answer: those are forgotten.
Session 0 stands for "no session": applied as often as it is proposed.
"""

FUEL_UNIT: Final = 1_000
"""Steps of SQLite's virtual machine in one unit of fuel; what its progress handler counts in."""

Value = Any
"""An int of 64 bits, a float, a str, bytes or None. msgspec can't check a union of str and bytes,
so `sql.values` does, at the door, before a body may enter the log."""
Parameters = list[Value] | dict[str, Value] | None


class Statement(msgspec.Struct, array_like=True, frozen=True):
    """One statement and its parameters: a list for `?`, a mapping for `:name`."""

    sql: str
    parameters: Parameters = None


class Many(msgspec.Struct, array_like=True, frozen=True):
    """One statement and a row of parameters for each time it runs."""

    sql: str
    rows: list[list[Value] | dict[str, Value]]


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


class Transaction(msgspec.Struct, array_like=True, frozen=True):
    """An interactive transaction from its first write to its COMMIT."""

    steps: list[Step]


class OpenSession(msgspec.Struct, array_like=True, frozen=True):
    """A client's wish to be remembered. `nonce` makes a repeated wish find the same session."""

    nonce: bytes
    keep_ms: int
    """How long it is remembered after it was last heard of, by the log's clock."""


class Restore(msgspec.Struct, array_like=True, frozen=True):
    """Names the file that takes the database's place, by size and checksum."""

    digest: bytes
    size_bytes: int


class Refusal(IntEnum):
    """Why a command has no result. Each is the same on every node."""

    SQL = 1
    """SQLite said so: constraint, syntax, type, too big; `code` is its extended code."""
    DETERMINISM = 2
    """The statement could give different rows on different nodes."""
    FUEL = 3
    """It burnt all the steps it was given, and was undone."""
    SESSION_UNKNOWN = 4
    """The session was never opened, was closed, or has expired. It was not applied."""
    SEQUENCE_FORGOTTEN = 5
    """At or below the floor: it was answered, and the client said it had seen the answer."""
    ANSWER_DROPPED = 6
    """Applied before; its answer was too large to keep."""
    ACCESS = 7
    """The user may not."""
    SESSIONS_FULL = 8
    """No room for another session; none is old enough to be forgotten."""


class Column(msgspec.Struct, array_like=True, frozen=True):
    """A result column and the type it was declared with, if it is a table's column."""

    name: str
    declared: str | None


class Done(msgspec.Struct, array_like=True, frozen=True, tag=0):
    """The command happened. `rows` is what RETURNING gave (each a list of values)."""

    changes: int
    """What `rowcount` shows: rows inserted, updated or deleted by the statement itself."""
    last_insert_rowid: int
    columns: list[Column] | None = None
    rows: list[list[Value]] | None = None


class Failed(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """The command did not happen, on any node."""

    refusal: Refusal
    code: int
    """SQLite's extended result code; 0 where SQLite was not the one to refuse."""
    message: str
    position: int = -1
    """Where in the statement's text, in characters; -1 when not known."""


class Opened(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """The session's number."""

    session: int


Answer = Done | Failed | Opened

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
