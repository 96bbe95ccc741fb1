r"""csv, tsv and jsonl files as rows, each with the line on which it begins.

Files are read as bytes and decoded a line at a time, so that what is no text is named by its line.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

from raftsql_shell.errors import CommandError

FIELD_BYTES_MAX: Final = 64 << 20
Numbered: TypeAlias = Iterator[tuple[int, list[Any]]]

_KINDS: Final = {
    "csv": "csv",
    "tsv": "tsv",
    "tab": "tsv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
}
_UNESCAPED: Final = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}


class BadInput(Exception):
    """A line that can't be loaded."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


@dataclass(slots=True)
class Source:
    """A file's rows."""

    rows: Numbered
    columns: list[str] | None = None
    """The names that the file certainly gives; in csv and tsv the first row may be names."""


def kind_of(path: Path) -> str:
    """What a file's name says of its format."""
    kind = _KINDS.get(path.suffix.lower().lstrip("."))
    if kind is None:
        raise CommandError(f"{path.name}: say what it is: --csv, --tsv or --jsonl")
    return kind


def open_source(file: IO[bytes], kind: str, *, empty_is_null: bool, separator: str = ",") -> Source:
    """The rows of an open file; the separator is that of csv."""
    lines = _Lines(file)
    if kind == "jsonl":
        return _objects(lines)
    if kind == "tsv":
        return Source(_tab_separated(lines))
    return Source(_comma_separated(lines, separator, empty_is_null=empty_is_null))


class _Lines:
    """The lines of a file as text; knows the number of the last one."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.number += 1
            if self.number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if b"\0" in line:
                raise BadInput(self.number, "a NUL byte: this is no text")
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                byte = error.object[error.start]
                raise BadInput(self.number, f"byte 0x{byte:02x} is not UTF-8") from None


def _comma_separated(lines: _Lines, separator: str, *, empty_is_null: bool) -> Numbered:
    csv.field_size_limit(FIELD_BYTES_MAX)
    reader = csv.reader(lines, strict=True, delimiter=separator)
    begins = 1
    try:
        for row in reader:
            if row:
                if empty_is_null and "" in row:
                    yield begins, [each or None for each in row]
                else:
                    yield begins, row
            begins = lines.number + 1
    except csv.Error as error:
        reason = str(error)
        if "end of data" in reason:
            reason = "a quote that is opened here is never closed"
        raise BadInput(begins, reason) from None


def _tab_separated(lines: _Lines) -> Numbered:
    for line in lines:
        fields: list[Any] = line.rstrip("\r\n").split("\t")
        if "\\" in line:
            fields = list(map(_unescaped, fields))
        yield lines.number, fields


def _unescaped(text: str) -> str | None:
    if text == "\\N":
        return None
    if "\\" not in text:
        return text
    pieces, at = [], 0
    while (found := text.find("\\", at)) >= 0 and found + 1 < len(text):
        pieces.append(text[at:found])
        sign = text[found + 1]
        pieces.append(_UNESCAPED.get(sign, "\\" + sign))
        at = found + 2
    return "".join(pieces) + text[at:]


def _objects(lines: _Lines) -> Source:
    objects = _parsed(lines)
    first = next(objects, None)
    if first is None:
        return Source(iter(()))
    columns = list(first[1])

    def rows() -> Numbered:
        number, each = first
        yield number, _row(each, columns)
        for number, each in objects:
            yield number, _row(each, columns)

    return Source(rows(), columns)


def _parsed(lines: _Lines) -> Iterator[tuple[int, dict[str, Any]]]:
    for line in lines:
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            raise BadInput(lines.number, f"this is no JSON: {error}") from None
        if not isinstance(found, dict):
            raise BadInput(lines.number, "an object is wanted, as {...}")
        yield lines.number, found


def _row(found: dict[str, Any], columns: list[str]) -> list[Any]:
    """In the order of the columns; what is missing is NULL, what is too much comes last."""
    row = [_value(found.get(each)) for each in columns]
    if len(found) > len(columns) or not found.keys() <= set(columns):
        row += [found[each] for each in found if each not in columns]
    return row


def _value(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return int(value) if isinstance(value, bool) else value


def type_of(values: list[Any]) -> str:
    """What the type of a new column should be, by the values seen first."""
    seen = [each for each in values if each is not None]
    for name, kind in (("INTEGER", int), ("REAL", float)):
        if seen and all(_is_number(each, kind) for each in seen):
            return name
    return "TEXT"


def _is_number(value: Any, kind: Callable[[Any], Any]) -> bool:
    if not isinstance(value, str):
        return isinstance(value, int) or (kind is float and isinstance(value, float))
    digits = value.lstrip("+-")
    if not digits[:1].isdigit() or (digits[0] == "0" and digits[1:2].isdigit()):
        return False  # 00501 is a post code; nan and inf are words.
    try:
        kind(value)
    except ValueError:
        return False
    return value.isascii() and "_" not in value and value == value.strip()
