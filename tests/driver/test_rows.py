"""Rows, factories and descriptions."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from raftsql_driver import convert, rows
from raftsql_proto.frames import Column

COLUMNS = [Column("id", "INTEGER"), Column("Name", "VARCHAR(20)"), Column("x", None)]


class FakeCursor:
    description = rows.describe(COLUMNS, (1, "a", 2.5), 0)


def row(*values: Any) -> rows.Row:
    return rows.Row(FakeCursor(), values)


def test_a_row_is_reached_by_position_and_by_name_in_any_case() -> None:
    one = row(1, "a", 2.5)
    assert (one[0], one["NAME"], one["name"], one[-1], one[0:2]) == (1, "a", "a", 2.5, (1, "a"))
    assert (list(one), len(one), one.keys()) == ([1, "a", 2.5], 3, ["id", "Name", "x"])
    with pytest.raises(IndexError, match="no column named 'nmae'; there are id, Name, x"):
        one["nmae"]


def test_rows_of_equal_content_are_equal() -> None:
    assert row(1, "a", 2) == row(1, "a", 2)
    assert hash(row(1, "a", 2)) == hash(row(1, "a", 2))
    assert row(1, "a", 2) != row(1, "a", 3)
    assert row(1, "a", 2) != (1, "a", 2)
    assert repr(row(1, "a", None)) == "Row(id=1, Name='a', x=None)"


def test_factories_make_other_things_of_a_row() -> None:
    values = (1, "a", 2.5)
    cursor = FakeCursor()
    assert rows.tuple_row(cursor, values) is values
    assert rows.dict_row(cursor, values) == {"id": 1, "Name": "a", "x": 2.5}
    assert rows.namedtuple_row(cursor, values).Name == "a"
    assert rows.scalar_row(cursor, values) == 1


def test_names_that_python_can_not_use_are_numbered() -> None:
    class Odd:
        description = rows.describe([Column("count(*)", None), Column("class", None)], None, 0)

    assert rows.namedtuple_row(Odd(), (1, 2))._fields == ("_0", "_1")


def test_a_description_has_seven_facts_and_tells_types_of_expressions_from_the_first_row() -> None:
    described = rows.describe(COLUMNS, (1, "a", b"x"), 0)
    assert [column[:2] for column in described] == [
        ("id", "INTEGER"),
        ("Name", "VARCHAR(20)"),
        ("x", "BLOB"),
    ]
    assert {len(column) for column in described} == {7}
    assert rows.describe(COLUMNS, None, 0)[2][1] is None


def test_converters_are_found_by_declared_type_and_by_alias() -> None:
    columns = [Column("a", "date not null"), Column("b [timestamp]", None), Column("c", None)]
    assert rows.converters(columns, 0) is None
    by_type = rows.converters(columns, convert.PARSE_DECLTYPES)
    assert by_type is not None
    assert [each is not None for each in by_type] == [True, False, False]
    both = rows.converters(columns, convert.PARSE_DECLTYPES | convert.PARSE_COLNAMES)
    assert both is not None
    assert rows.convert([("2024-02-29", "2024-02-29 01:02:03", 5), (None, None, 6)], both) == [
        (datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 1, 2, 3), 5),
        (None, None, 6),
    ]
    assert rows.describe(columns, None, convert.PARSE_COLNAMES)[1][0] == "b"


def test_no_converter_leaves_rows_alone() -> None:
    assert rows.converters([Column("a", "INTEGER")], convert.PARSE_DECLTYPES) is None
