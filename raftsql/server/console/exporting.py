"""A whole result as a file: csv or json, streamed, with nothing cut.

In csv NULL is an empty field and an empty text is "", blobs are hexadecimal. In json each row is an
object; a name that stands twice gets a number. Long values are written slice by slice, so that one
of five megabytes takes the loop no longer than many short ones.
"""

from __future__ import annotations

import base64
import math
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from time import perf_counter
from typing import Any, Final, Literal

import msgspec
from starlette.responses import Response

from raftsql.server.console.guarding import Asked
from raftsql.server.console.problems import Problem, of_error
from raftsql.server.console.queries import Cancelled, QueryAsked, Work
from raftsql.server.console.streaming import BrokenOff, Flow
from raftsql_driver.aio import AsyncCursor
from raftsql_driver.errors import Error

PART_BYTES: Final = 64 << 10
"""A part is sent when it is about so long."""
SLICE: Final = 48 << 10
"""Characters or bytes of a long value that are written at once; base64 needs a multiple of 3."""

KINDS: Final = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


class ExportAsked(QueryAsked, kw_only=True):
    """What to write, and how. All of it is written, whatever its `limit`."""

    format: Literal["csv", "json"]


async def export(asked: Asked) -> Response:
    """Run one statement that gives rows, and send all of them."""
    given = asked.body
    work = await Work.of(asked, given)
    try:
        cursor = await _begun(work)
    except BaseException:
        await work.close()
        raise
    names = [column[0] for column in cursor.description or ()]
    form: Form = Csv(names) if given.format == "csv" else Json(names)
    headers = {"content-disposition": f'attachment; filename="result.{given.format}"'}
    content = _content(work, cursor, form)
    return Flow(content, KINDS[given.format], headers, until=work.session.ended, done=work.close)


async def _begun(work: Work) -> AsyncCursor:
    """The statement's cursor, so that what is wrong with it is told before a file begins."""
    if len(work.pieces) != 1:
        raise Problem(400, "bad_request", "an export is of one statement")
    cursor = work.connection.cursor()
    try:
        await work.execute(cursor, work.pieces[0])
    except Cancelled:
        raise Problem(409, "cancelled", "it was cancelled") from None
    except Error as error:
        raise of_error(error, work.pieces[0].text, work.pieces[0].start) from error
    if cursor.description is None:
        raise Problem(400, "bad_request", "the statement gives no rows to export")
    return cursor


async def _content(work: Work, cursor: AsyncCursor, form: Form) -> AsyncGenerator[bytes, None]:
    """The file. It breaks off, and so is not taken for whole, when the rows do."""
    try:
        async with aclosing(_parts(work, cursor, form)) as parts:
            async for piece in parts:
                yield piece
    except (Error, Cancelled, Problem) as error:
        raise BrokenOff from error


async def _parts(work: Work, cursor: AsyncCursor, form: Form) -> AsyncGenerator[bytes, None]:
    pace, part = work.console.pace, bytearray(form.head())
    async with work.let_go(cursor), aclosing(work.pages(cursor)) as pages:
        async for rows in pages:
            began = perf_counter()
            for piece in form.rows(rows):
                part += piece
                if len(part) >= PART_BYTES:
                    await pace.rest(began)
                    yield bytes(part)
                    part.clear()
                    began = perf_counter()
            await pace.rest(began)
        yield bytes(part + form.foot())


class Form:
    """How a file looks."""

    def __init__(self, names: Sequence[str]) -> None:
        """Of these columns."""
        self.names = names

    def head(self) -> bytes:
        """What comes before the rows."""
        return b""

    def foot(self) -> bytes:
        """What comes after them."""
        return b""

    def rows(self, rows: Sequence[Sequence[Any]]) -> Iterator[bytes]:
        """Rows, in pieces of which none is long."""
        raise NotImplementedError


class Csv(Form):
    """As RFC 4180 has it."""

    def head(self) -> bytes:
        """The names."""
        return ",".join(_quoted(name) for name in self.names).encode() + b"\r\n"

    def rows(self, rows: Sequence[Sequence[Any]]) -> Iterator[bytes]:
        """A line for each."""
        for values in rows:
            for place, value in enumerate(values):
                if place:
                    yield b","
                yield from _csv(value)
            yield b"\r\n"


def _quoted(text: str) -> str:
    plain = text and not any(sign in text for sign in '",\r\n') and text == text.strip()
    return text if plain else '"' + text.replace('"', '""') + '"'


def _csv(value: Any) -> Iterator[bytes]:
    match value:
        case None:
            return
        case str() if len(value) <= SLICE:
            yield _quoted(value).encode()
        case str():
            yield b'"'
            for start in range(0, len(value), SLICE):
                yield value[start : start + SLICE].replace('"', '""').encode()
            yield b'"'
        case bytes():
            for start in range(0, len(value), SLICE):
                yield value[start : start + SLICE].hex().encode()
        case _:
            yield repr(value).encode()


class Json(Form):
    """An array of objects."""

    def __init__(self, names: Sequence[str]) -> None:
        """Of these columns, each by a name of its own."""
        super().__init__(_distinct(names))
        self._keys = [msgspec.json.encode(name) + b":" for name in self.names]
        self._first = True

    def head(self) -> bytes:
        """The array begins."""
        return b"["

    def foot(self) -> bytes:
        """The array ends."""
        return b"\n]\n"

    def rows(self, rows: Sequence[Sequence[Any]]) -> Iterator[bytes]:
        """An object for each."""
        for values in rows:
            yield b"\n{" if self._first else b",\n{"
            self._first = False
            for place, (key, value) in enumerate(zip(self._keys, values, strict=True)):
                yield b"," + key if place else key
                yield from _json(value)
            yield b"}"


def _distinct(names: Sequence[str]) -> list[str]:
    found: dict[str, None] = {}
    for name in names:
        chosen, number = name, 1
        while chosen in found:
            number += 1
            chosen = f"{name}_{number}"
        found[chosen] = None
    return list(found)


def _json(value: Any) -> Iterator[bytes]:
    match value:
        case str() if len(value) > SLICE:
            yield b'"'
            for start in range(0, len(value), SLICE):
                yield msgspec.json.encode(value[start : start + SLICE])[1:-1]
            yield b'"'
        case bytes():
            yield b'"'
            for start in range(0, len(value), SLICE):
                yield base64.b64encode(value[start : start + SLICE])
            yield b'"'
        case float() if math.isinf(value):
            # As SQLite writes it: a number that reads as infinity everywhere.
            yield b"9e999" if value > 0 else b"-9e999"
        case _:
            yield msgspec.json.encode(value)
