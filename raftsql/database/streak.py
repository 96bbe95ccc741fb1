"""A streak: commands that follow each other with the same text, run as one `executemany`.

Most logs are long runs of one INSERT. Handed to SQLite one at a time, half of what each costs is
finding things again: the text, the cursor, the prepared statement. Here they are the rows of one
`executemany` instead: SQLite steps and resets one statement, and what makes each row a command of
its own - its clock and seed, its session, its answer - happens between the rows, in the generator
that hands them over.

Nothing is decided here. A command that is in any way out of the ordinary (another text, other
settings, asked before, malformed) ends the streak before it has begun, and the machine's loop takes
it from there. One that fails ends the streak too, with the answer it would have had alone.
"""

from __future__ import annotations

import inspect
import struct
from collections.abc import Generator, Sequence
from itertools import islice
from typing import Any, Final

import apsw
import msgspec

from raftsql.database.headers import COMMAND, EXECUTE, Shape, decode_list, header_of
from raftsql.database.rowids import ROWID_MAX, TOO_HIGH
from raftsql.database.sessions import OUTSTANDING_MAX, Client
from raftsql.database.shared import failed, perform
from raftsql.database.statements import COMMAND_ERRORS, Plan, Undo
from raftsql.database.writer import Writer
from raftsql.raft.messages import Entry
from raftsql.sql.commands import encode

NOBODY: Final = Client(0, b"", 0, 0)
"""Stands for a client before the first is found."""

Rows = Generator[list[Any], None, None]


def run_streak(
    writer: Writer, plan: Plan, entries: Sequence[Entry], stop: int, answers: list[bytes | None]
) -> None:
    """Run entries from the first unanswered one, which the plan's shape fits, while they are alike.

    At least that one is answered. Clock, chance and fuel are left as the last command set them.
    """
    statements, sql = writer.statements, _shape(plan).sql
    rows = _rows(writer, plan, entries, stop, answers)
    if statements.watching:
        statements.watch(on=False)
    try:
        statements.cursor.executemany(sql, rows)
    except COMMAND_ERRORS as error:
        own_fault = inspect.getgeneratorstate(rows) != inspect.GEN_SUSPENDED
        if own_fault and not isinstance(error, Undo):
            raise AssertionError("the streak itself failed, not a command of it") from error
        _answer_failure(writer, error, entries[len(answers)], sql, answers)


def _shape(plan: Plan) -> Shape:
    assert plan.shape is not None, "a streak runs a text whose shape is known"
    return plan.shape


def _rows(
    writer: Writer, plan: Plan, entries: Sequence[Entry], stop: int, answers: list[bytes | None]
) -> Rows:
    """Hand over the parameters of one command after the other; answer each when the next is due.

    This is the hottest loop of all: what is called here is called once for every write.
    """
    start = len(answers)
    shape, inserts = _shape(plan), plan.inserts
    unpack, head, end = shape.unpack, shape.head, shape.end
    pinned, vfs, meter = writer.pinned, writer.pinned.vfs, writer.meter
    connection, sessions = writer.connection, writer.sessions
    changes, last_insert_rowid = connection.changes, connection.last_insert_rowid
    own_rowid, reset = plan.sets_rowid, connection.set_last_insert_rowid
    answered, keep, known = answers.append, sessions.fresh.append, sessions.known
    alike, command = unpack(entries[start].payload)[0], entries[start].kind
    assert command == COMMAND, "only commands run"
    index = entries[start].index - 1
    clock_ms = vfs.clock_ms = writer.clock_ms
    number, client, kept, lowest, room = 0, NOBODY, NOBODY.answers, 0, 0
    rowid = 0
    for entry in islice(entries, start, stop):
        payload = entry.payload
        try:
            common, clock, seed, session, sequence, floor, text = unpack(payload)
            if common != alike or text != head or entry.kind is not command:
                return
            parameters = decode_list(payload[end:])
        except (struct.error, msgspec.MsgspecError):
            return
        if session:
            if session != number:
                if session not in sessions.clients:
                    return
                number, client = session, sessions.clients[session]
                kept, lowest = client.answers, client.floor
                room = OUTSTANDING_MAX - len(kept)
            if (sequence <= lowest or sequence in kept or room <= 0) and known(
                session, sequence, floor
            ) is not None:
                return
        index += 1
        assert entry.index == index, f"entry {entry.index} can't follow {index - 1}"
        if clock > clock_ms:
            clock_ms = writer.clock_ms = vfs.clock_ms = clock
        pinned.seed = seed
        pinned.chance = None
        meter.burnt = 0
        if inserts and not own_rowid:
            reset(0)
        yield parameters
        count = changes()
        if inserts:
            rowid = last_insert_rowid() if count or not own_rowid else 0
            if rowid > ROWID_MAX:
                raise Undo(TOO_HIGH, ran=True)
        answer = encode((0, count, rowid, None, None))
        if session:
            if floor >= sequence:
                floor = sequence - 1
            if floor > lowest:
                lowest = client.floor = floor
            room -= 1
            record = (index, session, sequence, floor, clock_ms, answer)
            kept[sequence] = record
            keep(record)
        answered(answer)


def _answer_failure(
    writer: Writer, error: Exception, entry: Entry, sql: str, answers: list[bytes | None]
) -> None:
    """Answer the command at which the streak ended; its clock and chance are still set."""
    if isinstance(error, apsw.BindingsError):
        # Nothing has run, and `executemany` words this error in its own way; what a command is
        # answered may not depend on who its neighbours were.
        answer = perform(writer, EXECUTE, entry.payload)
        assert answer is not None, "a VACUUM is never part of a streak"
    else:
        answer = encode(failed(writer, error, sql))
    header = header_of(entry.payload)
    if header.session:
        writer.sessions.note(
            entry.index, header.session, header.sequence, header.floor, writer.clock_ms, answer
        )
    answers.append(answer)
