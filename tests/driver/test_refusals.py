"""What a server's refusal becomes; test_errors.py has the table."""

from __future__ import annotations

from raftsql_driver import errors
from raftsql_driver.refusals import PASSING, of_failed, of_refused
from raftsql_proto.frames import Failed, Refusal, Refused, Why


def test_what_passes_by_itself_promises_that_nothing_happened() -> None:
    assert Why.UNKNOWN not in PASSING
    assert Why.TIMEOUT not in PASSING


def test_an_answer_of_a_newer_server_is_still_an_error() -> None:
    assert isinstance(of_refused(Refused(1, 99, "new")), errors.OperationalError)


def test_a_refusal_by_the_driver_of_sqlite_without_a_code_is_a_database_error() -> None:
    assert type(of_failed(Failed(Refusal.SQL, 0, "odd"))) is errors.DatabaseError
