"""The frames of a client's stream: what `client.proto` carries as bytes.

A client process holds one stream to a node for all its connections. Frames that wait together
travel in one message, as one msgpack array; each frame is an array that starts with its tag.
Fields may be added at the end of a frame: readers ignore what they don't know, and take the default
for what is missing. That is why this is msgpack and not a protobuf message for each: packing and
unpacking a small request costs a tenth of the time, and rows are never packed twice.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Annotated, Any, Final

import msgspec

PROTOCOL: Final = 1
"""The version spoken here. A server refuses a client whose version it doesn't know."""

Value = Any
"""An int of 64 bits, a float, a str, bytes or None: what SQLite can hold."""
Parameters = list[Value] | dict[str, Value] | None


Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
"""What counts or names something. A frame with any other number in its place is unreadable: the
stream ends, and nothing of it comes near the log."""
Integer = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""What SQLite can hold."""
Trace = Annotated[str, msgspec.Meta(max_length=600)]
"""The span that a request is part of, where somebody records it: a W3C `traceparent`, and behind a
blank the `tracestate`, if there is one. Empty where nobody does."""
KEEP_MS_MAX: Final = 366 * 24 * 3_600_000
"""How long a session may ask to be remembered."""


class Level(IntEnum):
    """What a read promises."""

    LINEARIZABLE = 0
    """Sees every write acknowledged before it began, on any node."""
    LEASE = 1
    """The same while clocks drift less than the cluster's bound; saves the round to a quorum."""
    SESSION = 2
    """Sees what this client has seen and written (`token`), and never less."""
    STALE = 3
    """What the asked node has."""


class Work(IntEnum):
    """What the body of a Run is."""

    EXECUTE = 1
    """One statement: [sql, parameters]."""
    MANY = 2
    """One statement for many rows: [sql, [parameters, ...]]; all or nothing."""
    SCRIPT = 3
    """Several statements: [[sql, parameters], ...]; all or nothing."""


class Begin(IntEnum):
    """Whether a Run opens the transaction that it names."""

    NO = 0
    DEFERRED = 1
    """Reads a snapshot until its first write."""
    IMMEDIATE = 2
    """Takes the writer at once."""


class Settings(IntFlag):
    """The connection's PRAGMAs that change what a write means."""

    FOREIGN_KEYS = 1
    DEFER_FOREIGN_KEYS = 2
    RECURSIVE_TRIGGERS = 4


class Statement(msgspec.Struct, array_like=True, frozen=True):
    """One statement and its parameters: a list for `?`, a mapping for `:name`."""

    sql: str
    parameters: Parameters = None


class Many(msgspec.Struct, array_like=True, frozen=True):
    """One statement and a row of parameters for each time it runs."""

    sql: str
    rows: list[list[Value] | dict[str, Value]]


# From the client.


class Hello(msgspec.Struct, array_like=True, frozen=True, tag=0):
    """The first frame of a stream."""

    protocol: int
    client: str = ""
    """Names the program, for logs."""
    token: str = ""
    """Proves who the user is: user:password, or a token that a Welcome has given; empty where the
    cluster has no users."""
    forwarded: bool = False
    """A node speaks, for clients of its own: never forward again."""
    node: Number = 0
    """Which node that is."""


class Run(msgspec.Struct, array_like=True, tag=1):
    """Run SQL. Whether it reads or writes is for the server to find out."""

    id: Number
    """Chosen by the client; the answer carries it. Unique among its open requests."""
    work: int
    body: bytes
    session: Number = 0
    """0: not protected against being applied twice, and so never to be sent twice."""
    sequence: Number = 0
    floor: Number = 0
    """The client has seen the answers of all sequences up to this one."""
    settings: int = 1
    level: int = 0
    timeout_ms: Number = 0
    """How long the client will wait; 0: no bound."""
    token: Number = 0
    """The highest log index this connection has seen an effect of."""
    max_staleness_ms: Number = 0
    """For stale reads: refuse rather than answer from older data than this. 0: no bound."""
    transaction: Number = 0
    """0: on its own. Else a number that the client chose, unique in this stream."""
    begin: int = 0
    page_rows: Number = 0
    """At most so many rows in the first page; 0: as the server likes."""
    last_insert_rowid: Integer = 0
    changes: Integer = 0
    total_changes: Integer = 0
    """What those SQL functions shall say in a read: they speak of the connection."""
    user: Number = 0
    """From node to node: the number of the user for whom it is passed on."""
    trace: Trace = ""


class Fetch(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """The next page of a result."""

    id: Number
    cursor: Number
    page_rows: Number = 0
    timeout_ms: Number = 0


class Release(msgspec.Struct, array_like=True, frozen=True, tag=3):
    """The rest of a result is not wanted. Has no answer."""

    cursor: Number


class Cancel(msgspec.Struct, array_like=True, frozen=True, tag=4):
    """Stop working on a request. It is answered all the same: done, cancelled or unknown."""

    id: Number


class OpenSession(msgspec.Struct, array_like=True, frozen=True, tag=5):
    """Register for exactly-once writes; the same nonce finds the same session again."""

    id: Number
    nonce: Annotated[bytes, msgspec.Meta(min_length=1, max_length=64)]
    keep_ms: Annotated[int, msgspec.Meta(ge=0, le=KEEP_MS_MAX)]
    timeout_ms: Number = 0
    user: Number = 0
    """From node to node, as in a Run."""


class Commit(msgspec.Struct, array_like=True, frozen=True, tag=6):
    """Make the transaction's writes durable everywhere."""

    id: Number
    transaction: Number
    session: Number = 0
    sequence: Number = 0
    floor: Number = 0
    timeout_ms: Number = 0
    user: Number = 0
    """From node to node, as in a Run."""
    trace: Trace = ""


class Rollback(msgspec.Struct, array_like=True, frozen=True, tag=7):
    """Forget the transaction's writes. Fine for one that is not there any more."""

    id: Number
    transaction: Number


class Examine(msgspec.Struct, array_like=True, frozen=True, tag=8):
    """What would the cluster say to this text, without running it?"""

    id: Number
    sql: str
    strict: bool = False


ClientFrame = Hello | Run | Fetch | Release | Cancel | OpenSession | Commit | Rollback | Examine


# Answers of the state machine: also what the log's session table keeps.


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
    NEVER_HAPPENED = 9
    """The transaction whose COMMIT this was is gone; nothing of it was or will be written."""


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
    row: int = -1
    """Which row of a `Many` failed inside a transaction, counted from 0: those before it stay."""


class Opened(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """The session's number."""

    session: int


Answer = Done | Failed | Opened


# From the server.


class Why(IntEnum):
    """Why a request has no result. All but UNKNOWN promise that nothing was written."""

    NOT_LEADER = 1
    """Ask `leader`; when that is empty, ask any node again soon."""
    OVERLOADED = 2
    """Too much waits already. Try again, later."""
    TIMEOUT = 3
    """The request's own bound passed before it began to change anything."""
    CANCELLED = 4
    """As the client wished."""
    UNKNOWN = 5
    """It may have happened, may still happen, or may not. Retry under the same sequence."""
    TRANSACTION_GONE = 6
    """Rolled back: the node lost the lead, the transaction was idle for too long, or never was."""
    SERIALIZATION = 7
    """What the transaction read has changed since. Run it again from its beginning."""
    CURSOR_GONE = 8
    """The result's snapshot was given up: it was held too long, or too many were."""
    TOO_STALE = 9
    """This node's data is older than `max_staleness_ms`."""
    BAD_REQUEST = 10
    """The frame or its body is not what this protocol allows."""
    UNAUTHENTICATED = 11
    FORBIDDEN = 12
    SHUTTING_DOWN = 13
    """The node stops; others go on."""


class Welcome(msgspec.Struct, array_like=True, frozen=True, tag=0):
    """The first frame back."""

    protocol: int
    node: int
    cluster: str
    leader: str
    """host:port of the leader; empty when none is known."""
    members: dict[int, str]
    """host:port of every member."""
    version: str
    sqlite_version: str
    token: str = ""
    """Stands for the password in the next greeting, here or at another node, for a while."""
    token_seconds: int = 0


class Result(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """The answer of a write, of a statement inside a transaction, or of its end."""

    id: int
    answer: msgspec.Raw
    """An Answer, as it stands in the session table."""
    index: int = 0
    """Where in the log it happened: the connection's new token. 0: it changed nothing."""


class Page(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """Rows of a read."""

    id: int
    columns: list[Column] | None
    """With the first page only."""
    rows: msgspec.Raw
    """An array of rows, each an array of values."""
    cursor: int = 0
    """Names the rest of the result; 0: this was all."""
    index: int = 0
    """The log index of the state that was read: the connection's new token."""
    age_ms: int = 0
    """For stale reads: at most so long ago the node was level with its leader; -1: not known."""


class Refused(msgspec.Struct, array_like=True, frozen=True, tag=3):
    """The request was not carried out."""

    id: int
    why: int
    message: str
    leader: str = ""
    position: int = -1
    retry_after_ms: int = 0


class Leader(msgspec.Struct, array_like=True, frozen=True, tag=4):
    """Unasked: the node has learnt of another leader, or of other members."""

    address: str
    members: dict[int, str] = {}


class Verdict(msgspec.Struct, array_like=True, frozen=True, tag=5):
    """What the cluster would say to a text."""

    id: int
    kind: str
    verdict: str
    """pure, pinned or refused."""
    detail: str = ""
    position: int = -1
    length: int = 0


ServerFrame = Welcome | Result | Page | Refused | Leader | Verdict

_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
decode_client_frames = msgspec.msgpack.Decoder(list[ClientFrame]).decode
decode_server_frames = msgspec.msgpack.Decoder(list[ServerFrame]).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode
decode_rows = msgspec.msgpack.Decoder(list[list[Any]]).decode
