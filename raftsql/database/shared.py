"""Runs one command inside a transaction that it shares with its neighbours.

Its errors and its undoing must touch no neighbour: what can't be done so raises RunAlone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import apsw
import msgspec

from raftsql.database.errors import RunAlone
from raftsql.database.headers import EXECUTE, HEADER_BYTES, MANY, Shape, decode_pair
from raftsql.database.many import run_command
from raftsql.database.rowids import ROWID_MAX, TOO_HIGH
from raftsql.database.statements import COMMAND_ERRORS, Plan, Undo, leading_word
from raftsql.database.writer import Writer
from raftsql.sql.commands import (
    Done,
    Failed,
    Parameters,
    Refusal,
    decode_many,
    decode_script,
    encode,
)

MALFORMED = encode(Failed(Refusal.SQL, apsw.SQLITE_MISUSE, "the command's body is malformed"))
STREAK: Final = b""
"""Stands for an answer where one more command of the same text was found."""


def quick_runner(writer: Writer) -> Callable[[bytes], bytes | None]:
    """`perform` for EXECUTE commands, with all that a batch needs looked up once.

    Half of what a small command costs is finding things, so the common case - a text that was met
    before, and needs nothing but to be executed and counted - is written out here. The tuples it
    packs give the very bytes of a `Done`.

    A text that comes for the second time in a row is not run: the answer is STREAK then, and
    `statements.repeated` is its plan.
    """
    statements, connection = writer.statements, writer.connection
    quick, execute = statements.quick, statements.cursor.execute
    changes, last_insert_rowid = connection.changes, connection.last_insert_rowid
    reset = connection.set_last_insert_rowid
    last: Plan | None = None

    def run(payload: bytes) -> bytes | None:
        nonlocal last
        try:
            sql, parameters = decode_pair(payload[HEADER_BYTES:])
        except msgspec.MsgspecError:
            return MALFORMED
        plan = quick.get(sql)
        if plan is None:
            return _one(writer, sql, parameters)
        if plan is last and type(parameters) is list:
            shape = plan.shape = plan.shape or Shape(sql)
            if shape.fits(payload):
                statements.repeated = plan
                return STREAK
        last = plan
        if statements.watching:
            statements.watch(on=False)
        try:
            if not plan.inserts:
                execute(sql, parameters)
                return encode((0, changes(), 0, None, None))
            if not plan.sets_rowid:
                reset(0)
            execute(sql, parameters)
            count = changes()
            rowid = last_insert_rowid() if count or not plan.sets_rowid else 0
            if rowid > ROWID_MAX:
                raise Undo(TOO_HIGH, ran=True)
            return encode((0, count, rowid, None, None))
        except COMMAND_ERRORS as error:
            return encode(failed(writer, error, sql))

    return run


def perform(writer: Writer, kind: int, payload: bytes) -> bytes | None:
    """Run one command; its packed answer, or None for a VACUUM, which can share with nobody."""
    body = memoryview(payload)[HEADER_BYTES:]
    try:
        if kind == EXECUTE:
            return _one(writer, *decode_pair(body))
        if kind == MANY:
            many = decode_many(body)
            return _compound(writer, many.sql, lambda: run_command(writer.statements, many))
        script = decode_script(body)
        return _compound(writer, "", lambda: writer.statements.script(script))
    except msgspec.MsgspecError:
        return MALFORMED


def is_vacuum(payload: bytes) -> bool:
    """Whether an EXECUTE command is a VACUUM; a malformed one is none."""
    if b"vacuum" not in payload.lower():
        return False
    try:
        sql, _ = decode_pair(memoryview(payload)[HEADER_BYTES:])
    except msgspec.MsgspecError:
        return False
    return leading_word(sql) == "VACUUM"


def _one(writer: Writer, sql: str, parameters: Parameters) -> bytes | None:
    if sql not in writer.statements.plans and leading_word(sql) == "VACUUM":
        return None
    answer = _run(writer, sql, parameters)
    _flush(writer, sql)
    return answer


def _flush(writer: Writer, sql: str) -> None:
    """Leave nothing in memory that the neighbours' commands would add to."""
    try:
        writer.statements.flush()
    except COMMAND_ERRORS as error:
        raise RunAlone(writer.statements.failure(error, sql), recount=False) from error


def _run(writer: Writer, sql: str, parameters: Parameters) -> bytes:
    statements = writer.statements
    try:
        if not statements.careful:
            return encode(statements.command(sql, parameters))
    except COMMAND_ERRORS as error:
        return encode(failed(writer, error, sql))
    return _careful(writer, sql, parameters)


def failed(writer: Writer, error: Exception, sql: str) -> Failed:
    """The answer to an error that touched nobody else's rows; RunAlone when it did, or must."""
    statements = writer.statements
    failed = statements.failure(error, sql)
    recount = writer.meter.exhausted
    leaves = statements.must_undo(error) or statements.may_leave_rows(error, sql)
    if recount or leaves or not writer.connection.in_transaction:
        raise RunAlone(failed, recount=recount) from error
    return failed


def _careful(writer: Writer, sql: str, parameters: Parameters) -> bytes:
    """One statement that may succeed and leave a foreign key open, which fails it after all.

    Where the statement itself failed, SQLite has undone it, but for the rows OR FAIL means to keep.
    """
    own, statements = writer.statements.own, writer.statements
    own("SAVEPOINT raftsql")
    answer: Done | Failed
    try:
        answer = statements.command(sql, parameters)
    except COMMAND_ERRORS as error:
        answer = failed(writer, error, sql)
    left_open = statements.unresolved()
    if left_open is not None:
        _undo(writer)
    own("RELEASE raftsql")
    return encode(answer if left_open is None else left_open)


def _compound(writer: Writer, sql: str, action: Callable[[], Done]) -> bytes:
    """A command of several statements: all of them happen, or none."""
    own, statements = writer.statements.own, writer.statements
    own("SAVEPOINT raftsql")
    answer: Done | Failed
    try:
        done = action()
        answer = statements.unresolved() or done
    except COMMAND_ERRORS as error:
        answer = failed(writer, error, sql)
    if isinstance(answer, Failed):
        _undo(writer)
    own("RELEASE raftsql")
    _flush(writer, sql)
    return encode(answer)


def _undo(writer: Writer) -> None:
    writer.statements.own("ROLLBACK TO raftsql")
    writer.statements.read_schema()
