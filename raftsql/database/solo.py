"""Commands that get a SQLite transaction of their own, and what each kind of them does."""

from __future__ import annotations

from typing import Final

import msgspec

from raftsql.database import fuel
from raftsql.database.errors import MachineStopped, RunAlone
from raftsql.database.headers import EXECUTE, HEADER_BYTES, SCRIPT, Header, decode_pair, header_of
from raftsql.database.replay import replay
from raftsql.database.shared import MALFORMED, is_vacuum, perform
from raftsql.database.statements import COMMAND_ERRORS
from raftsql.database.writer import Writer
from raftsql.raft.messages import Entry
from raftsql.sql.access import ChangeRefused, decode_change
from raftsql.sql.commands import (
    USER_SHIFT,
    CommandKind,
    Done,
    Failed,
    Refusal,
    decode_open_session,
    decode_sessions,
    decode_transaction,
    encode,
)

DONE: Final = encode(Done(-1, 0))
"""What a command answers that counts no rows."""

_ANSWERED: Final = CommandKind.TRANSACTION
"""Kinds up to this one are clients' writes, whose answers sessions keep."""
_ASK: Final = CommandKind.ASK
"""And what became of a write is answered from there, or kept there as never to happen."""

NEVER_HAPPENED: Final = encode(
    Failed(Refusal.NEVER_HAPPENED, 0, "the transaction was rolled back; nothing of it was written")
)


def apply_alone(writer: Writer, entry: Entry, *, exact: bool = False) -> bytes:
    """Apply one command in a transaction of its own; its packed answer.

    `exact` says that it came near its fuel, and has to be counted on a fresh connection.
    """
    header = header_of(entry.payload)
    clock_ms = writer.hear(header.clock_ms)
    client = header.session if header.kind <= _ANSWERED or header.kind == _ASK else 0
    if client:
        known = writer.sessions.known(client, header.sequence, header.floor)
        if known is not None:
            writer.begin(header.settings)
            writer.commit(entry)
            return known
    if exact:
        writer.reconnect()
    answer = _answer(writer, entry, header, exact=exact)
    if client:
        writer.sessions.note(entry.index, client, header.sequence, header.floor, clock_ms, answer)
    writer.commit(entry)
    return answer


def _answer(writer: Writer, entry: Entry, header: Header, *, exact: bool) -> bytes:
    """Do what the command says and leave a transaction open that holds it."""
    if header.kind <= SCRIPT:
        if header.kind == EXECUTE and is_vacuum(entry.payload):
            return _vacuum(writer, entry, header)
        return _run(writer, entry, header, exact=exact)
    writer.begin(header.settings)
    body = memoryview(entry.payload)[HEADER_BYTES:]
    try:
        if header.kind == CommandKind.TRANSACTION:
            return replay(writer, decode_transaction(body))
        return _session(writer, entry, header, body)
    except msgspec.MsgspecError:
        return MALFORMED


def _run(writer: Writer, entry: Entry, header: Header, *, exact: bool) -> bytes:
    """Run a command that may do to its transaction what it likes: there is nobody else in it."""
    writer.begin(header.settings)
    writer.pinned.set(writer.clock_ms, header.seed)
    writer.meter.start(fuel.exact(header.fuel) if exact else fuel.near(header.fuel))
    try:
        answer = perform(writer, header.kind, entry.payload)
    except RunAlone as news:
        writer.roll_back()
        if news.recount and not exact:
            writer.reconnect()
            return _run(writer, entry, header, exact=True)
        writer.begin(header.settings)
        return encode(news.answer)
    assert answer is not None, "a VACUUM has its own way"
    return answer


def _vacuum(writer: Writer, entry: Entry, header: Header) -> bytes:
    """VACUUM commits by itself, before the position is moved: after a crash in between it runs
    again, which changes nothing more."""
    sql, parameters = decode_pair(memoryview(entry.payload)[HEADER_BYTES:])
    statements, guard = writer.statements, writer.guard
    answer = DONE
    writer.meter.hurry()
    writer.meter.start(fuel.NO_LIMIT)
    statements.become(header.settings >> USER_SHIFT)
    guard.trusting, guard.vacuuming = False, True
    try:
        statements.vacuum(sql, parameters)
    except COMMAND_ERRORS as error:
        answer = encode(statements.failure(error, sql))
    finally:
        guard.trusting, guard.vacuuming = True, False
    statements.read_schema()
    writer.begin(header.settings)
    return answer


def _session(writer: Writer, entry: Entry, header: Header, body: memoryview) -> bytes:
    """The commands that open, keep and forget sessions."""
    sessions = writer.sessions
    writer.guard.trusting = True
    match CommandKind(header.kind):
        case CommandKind.OPEN_SESSION:
            return sessions.open(decode_open_session(body), entry.index, writer.clock_ms)
        case CommandKind.KEEP_SESSIONS:
            sessions.keep(decode_sessions(body), writer.clock_ms)
        case CommandKind.CLOSE_SESSION:
            sessions.close(header.session)
        case CommandKind.EXPIRE_SESSIONS:
            sessions.expire(writer.clock_ms)
        case CommandKind.ACCESS:
            try:
                writer.change_access(
                    decode_change(body), header.settings >> USER_SHIFT, entry.index
                )
            except ChangeRefused as refused:
                return encode(Failed(Refusal.ACCESS, 0, str(refused)))
        case CommandKind.ASK:
            return NEVER_HAPPENED  # Had it happened, its session would have answered.
        case CommandKind.VERIFY:
            pass  # Its position is all there is to it; the caller sees a Marker.
        case kind:
            raise MachineStopped(f"{kind.name} is not applied here")
    return DONE
