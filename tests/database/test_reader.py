from __future__ import annotations

import apsw
import msgspec
import pytest

from raftsql.database.reader import Limits, ReadBroken, ReadBusy, ReadCut, Running, answer
from raftsql.sql.commands import Column, Failed, Refusal


def running(count: int, blob: int = 10) -> Running:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t (i, pad)")
    connection.executemany(
        "INSERT INTO t VALUES (?, zeroblob(?))", [(i, blob) for i in range(count)]
    )
    cursor = connection.execute("SELECT * FROM t ORDER BY i")
    return Running([Column("i", None), Column("pad", None)], cursor, ())


@pytest.mark.parametrize(
    ("count", "limits", "lengths"),
    [
        (0, Limits(), [0]),
        (1, Limits(), [1]),
        (7, Limits(rows_max=3), [3, 3, 1]),
        (6, Limits(rows_max=3), [3, 3]),
        (3, Limits(rows_max=1), [1, 1, 1]),
        (5, Limits(bytes_max=1), [1, 1, 1, 1, 1]),
        (5, Limits(bytes_max=40), [3, 2]),
    ],
)
def test_pages_hold_what_their_limits_say_and_every_row_once(
    count: int, limits: Limits, lengths: list[int]
) -> None:
    query: Running | None = running(count)
    pages = []
    while query is not None:
        part = query.part(limits)
        pages.append(part)
        query = part.rest
    assert [part.length for part in pages] == lengths
    rows = [row for part in pages for row in msgspec.msgpack.decode(part.rows)]
    assert rows == [[i, bytes(10)] for i in range(count)]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (apsw.exception_for(apsw.SQLITE_IOERR), ReadBroken),
        (apsw.exception_for(apsw.SQLITE_CORRUPT), ReadBroken),
        (apsw.exception_for(apsw.SQLITE_NOTADB), ReadBroken),
        (apsw.exception_for(apsw.SQLITE_CANTOPEN), ReadBroken),
        (apsw.exception_for(apsw.SQLITE_INTERNAL), ReadBroken),
        (apsw.IOError("from a faulty VFS"), ReadBroken),
        (apsw.exception_for(apsw.SQLITE_INTERRUPT), ReadCut),
        (apsw.exception_for(apsw.SQLITE_BUSY), ReadBusy),
        (apsw.exception_for(apsw.SQLITE_LOCKED), ReadBusy),
    ],
)
def test_what_is_not_about_the_query_is_raised(error: apsw.Error, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        answer(error, "SELECT 1")


@pytest.mark.parametrize(
    "error",
    [
        apsw.exception_for(apsw.SQLITE_ERROR),
        apsw.exception_for(apsw.SQLITE_CORRUPT_VTAB),
        apsw.exception_for(apsw.SQLITE_TOOBIG),
        apsw.exception_for(apsw.SQLITE_FULL),
        apsw.exception_for(apsw.SQLITE_NOMEM),
        apsw.BindingsError("2 parameters, 1 given"),
        OverflowError("int too big"),
        KeyError("name"),
    ],
)
def test_what_is_about_the_query_is_its_answer(error: Exception) -> None:
    found = answer(error, "SELECT 1")
    assert isinstance(found, Failed)
    assert found.refusal is Refusal.SQL
    assert found.code
