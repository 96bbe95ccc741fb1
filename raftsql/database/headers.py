"""The header of a command, named, and what can be told of an entry by it alone."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Any, Final

import msgspec

from raftsql.database.errors import MachineStopped
from raftsql.raft.messages import Entry, EntryKind
from raftsql.sql.commands import HEADER, VERSION, CommandKind, encode

# Plain integers: comparing them costs a third of comparing enum members, once for every entry.
COMMAND: Final = int(EntryKind.COMMAND)
MEMBERSHIP: Final = int(EntryKind.MEMBERSHIP)
EXECUTE: Final = int(CommandKind.EXECUTE)
MANY: Final = int(CommandKind.MANY)
SCRIPT: Final = int(CommandKind.SCRIPT)
_KINDS: Final = {int(kind): kind for kind in CommandKind}

HEADER_BYTES: Final = HEADER.size
SETTINGS_AT: Final = 2
"""The settings' place in a payload: two bytes, with the user's number in them."""

decode_pair = msgspec.msgpack.Decoder(tuple[str, list[Any] | dict[str, Any] | None]).decode
"""Reads a Statement without making one, at half the cost."""
decode_list = msgspec.msgpack.Decoder(list[Any]).decode
"""Reads parameters that are a list: knowing so halves the cost once more."""

_PAIR: Final = b"\x92"
"""How the body of an EXECUTE begins: an array of two, text and parameters."""
_SPLIT_HEADER: Final = "<QqQQQQ"
"""A header with version, kind, settings and fuel as one number, to be compared as one."""

assert Struct(_SPLIT_HEADER).size == HEADER.size, "both read the same header"


class Shape:
    """How the payloads of one text look, so that the next is recognised without being decoded."""

    __slots__ = ("end", "head", "sql", "unpack")

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.head = _PAIR + encode(sql)
        self.end = HEADER_BYTES + len(self.head)
        """Where the parameters begin."""
        self.unpack = Struct(f"{_SPLIT_HEADER}{len(self.head)}s").unpack_from
        """Version to fuel as one number, clock, seed, session, sequence, floor, packed text."""

    def fits(self, payload: bytes) -> bool:
        """Whether a payload of this text is packed like that; there are longer ways to pack it."""
        return payload.startswith(self.head, HEADER_BYTES)


@dataclass(slots=True)
class Header:
    """What the leader decided for one command."""

    kind: int
    settings: int
    """The connection's, and its user's number."""
    fuel: int
    clock_ms: int
    seed: int
    session: int
    sequence: int
    floor: int


@dataclass(frozen=True, slots=True)
class Marker:
    """An entry that asks for something outside SQLite, at exactly this place of the log.

    VERIFY is applied (the position is at it, and committed): take the read snapshot before more is
    applied. RESTORE is not: the file that takes the database's place brings the position along.
    """

    kind: CommandKind
    entry: Entry


def settings_of(payload: bytes) -> int:
    """The settings of a command, and its user's number in them."""
    return payload[SETTINGS_AT] | payload[SETTINGS_AT + 1] << 8


def header_of(payload: bytes) -> Header:
    """Read a header; a command of another version stops the machine, which can't guess."""
    version, *fields = HEADER.unpack_from(payload)
    if version != VERSION:
        raise _unknown(f"version {version}")
    return Header(*fields)


def kind_of(payload: bytes) -> CommandKind:
    """What a command is; one of a kind that came later stops the machine too."""
    kind = payload[1]
    if kind not in _KINDS:
        raise _unknown(f"kind {kind}")
    return _KINDS[kind]


def _unknown(what: str) -> MachineStopped:
    return MachineStopped(
        f"a command of {what} is in the log, which this program does not know. Start this node with"
        " the release that the others run"
    )
