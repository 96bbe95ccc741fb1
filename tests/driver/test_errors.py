"""Every refusal has a class, and SQLite's codes are those of the standard module."""

from __future__ import annotations

import pickle
import sqlite3

import pytest

from raftsql_driver import errors
from raftsql_driver.errors import of_sqlite
from raftsql_driver.refusals import OF_REFUSAL, OF_WHY, of_failed, of_refused
from raftsql_proto.frames import Failed, Refusal, Refused, Why


def test_every_refusal_has_a_class() -> None:
    assert set(OF_REFUSAL) == set(Refusal)
    assert set(OF_WHY) == set(Why)


@pytest.mark.parametrize(
    ("code", "kind", "name"),
    [
        (1, errors.OperationalError, "SQLITE_ERROR"),
        (18, errors.DataError, "SQLITE_TOOBIG"),
        (19, errors.IntegrityError, "SQLITE_CONSTRAINT"),
        (2067, errors.IntegrityError, "SQLITE_CONSTRAINT_UNIQUE"),
        (1299, errors.IntegrityError, "SQLITE_CONSTRAINT_NOTNULL"),
        (787, errors.IntegrityError, "SQLITE_CONSTRAINT_FOREIGNKEY"),
        (20, errors.IntegrityError, "SQLITE_MISMATCH"),
        (25, errors.ProgrammingError, "SQLITE_RANGE"),
        (11, errors.DatabaseError, "SQLITE_CORRUPT"),
        (9, errors.OperationalError, "SQLITE_INTERRUPT"),
        (99 << 8 | 19, errors.IntegrityError, "SQLITE_CONSTRAINT"),
    ],
)
def test_sqlite_codes_become_classes(code: int, kind: type, name: str) -> None:
    error = of_sqlite(code, "no", 7)
    assert type(error) is kind
    assert (error.sqlite_errorcode, error.sqlite_errorname) == (code, name)
    assert (str(error), error.position) == ("no", 7)


def test_code_and_name_are_what_the_standard_module_says() -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE t(a UNIQUE)")
    with pytest.raises(sqlite3.IntegrityError) as theirs:
        database.execute("INSERT INTO t VALUES(1), (1)")
    database.close()
    ours = of_sqlite(theirs.value.sqlite_errorcode, "")
    assert ours.sqlite_errorname == theirs.value.sqlite_errorname


def test_a_refusal_tells_where_in_the_text() -> None:
    failed = Failed(Refusal.DETERMINISM, 0, "random files can't be equal", 12)
    error = of_failed(failed)
    assert isinstance(error, errors.NotSupportedError)
    assert error.position == 12
    assert of_refused(Refused(1, Why.BAD_REQUEST, "no", position=3)).position == 3


def test_the_tree_is_that_of_pep_249() -> None:
    for name in ("DataError", "OperationalError", "IntegrityError", "InternalError"):
        assert issubclass(getattr(errors, name), errors.DatabaseError)
    assert issubclass(errors.DatabaseError, errors.Error)
    assert issubclass(errors.InterfaceError, errors.Error)
    assert not issubclass(errors.Warning, errors.Error)
    for name in ("OutcomeUnknown", "SerializationFailure", "Unavailable", "TimedOut"):
        assert issubclass(getattr(errors, name), errors.OperationalError)


def test_an_error_survives_its_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(of_sqlite(2067, "UNIQUE constraint failed", 3)))
    assert isinstance(error, errors.IntegrityError)
    assert (error.sqlite_errorname, error.position) == ("SQLITE_CONSTRAINT_UNIQUE", 3)
