"""What a page is told: a kind to act on, and the place in the text."""

from __future__ import annotations

import grpc
import pytest

from raftsql.server.console.problems import KINDS, Problem, named_in, of_error, of_status, place_of
from raftsql_driver import errors


def all_errors(kind: type[errors.Error]) -> list[type[errors.Error]]:
    return [kind, *(deeper for each in kind.__subclasses__() for deeper in all_errors(each))]


@pytest.mark.parametrize("kind", all_errors(errors.Error))
def test_every_error_of_the_driver_is_a_problem(kind: type[errors.Error]) -> None:
    problem = of_error(kind("what happened"))
    assert str(problem) == "what happened"
    assert problem.status >= 400
    assert problem.told()["kind"] == problem.kind


def test_a_narrower_class_comes_before_a_wider_one() -> None:
    for place, (wide, _, _) in enumerate(KINDS):
        assert not any(issubclass(later, wide) for later, _, _ in KINDS[place + 1 :])


def test_an_error_points_at_a_token() -> None:
    error = errors.OperationalError('near "FRM": syntax error')
    error.position = 9
    told = of_error(error, "SELECT * FRM t", before=100).told()
    assert (told["start"], told["end"]) == (109, 112)
    assert place_of(-1, "x") == (None, None)
    assert place_of(50, "x") == (None, None)
    assert place_of(1, "x") == (1, 1)
    assert place_of(0, "'open") == (0, 5)


@pytest.mark.parametrize(
    ("message", "sql", "word"),
    [
        ("no such table: Books", "SELECT 'books' FROM books", "books"),
        ("no such table: main.books", "SELECT * FROM books -- books", "books"),
        ("no such column: a.nope", "SELECT a.nope FROM a", "nope"),
        ('no such column: "x y"', 'SELECT "x y"', '"x'),
        ("table t has no column named z", "INSERT INTO t(y, z) VALUES (1, 2)", "z"),
    ],
)
def test_a_name_that_is_complained_of_is_looked_for(message: str, sql: str, word: str) -> None:
    place = named_in(message, sql)
    if word == '"x':
        assert place == -1, "half a name is no name"
    else:
        assert sql[place:].startswith(word)
        assert sql[place - 1] != "'"


def test_what_is_not_named_is_nowhere() -> None:
    assert named_in("UNIQUE constraint failed: t.a", "INSERT INTO t VALUES (1)") == -1
    assert named_in("no such table: t", "SELECT 1") == -1
    assert named_in("no such table: t", "SELECT * FROM t" + " " * 100_000) == -1


def test_what_services_refuse_has_a_status_of_the_web() -> None:
    found = {code: of_status(code, "why").status for code in grpc.StatusCode}
    assert found[grpc.StatusCode.PERMISSION_DENIED] == 403
    assert found[grpc.StatusCode.UNAUTHENTICATED] == 401
    assert found[grpc.StatusCode.INTERNAL] == 500
    assert isinstance(of_status(grpc.StatusCode.INTERNAL, "why"), Problem)
