"""The public compliance suite of PEP 249, and what it does not ask."""

from __future__ import annotations

from typing import Any

import dbapi20
import pytest

import raftsql
from tests.driver.fake import FakeServer


class TestCompliance(dbapi20.DatabaseAPI20Test):  # type: ignore[misc]
    """All tests of the suite; two of them only have to be overridden."""

    driver = raftsql

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = FakeServer(1).start()
        cls.connect_kw_args: dict[str, Any] = {}
        cls.connect_args = (cls.server.url,)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.stop()

    def test_nextset(self) -> None:
        """Optional in PEP 249: a statement has one result here, and so there is no such method."""
        assert not hasattr(raftsql.Cursor, "nextset")

    def test_non_idempotent_close(self) -> None:
        """PEP 249 does not ask for an error: closing twice is fine, as in sqlite3."""
        connection = self._connect()
        connection.close()
        connection.close()

    def test_setoutputsize(self) -> None:
        connection = self._connect()
        connection.cursor().setoutputsize(1000)
        connection.cursor().setoutputsize(2000, 0)
        connection.close()


def test_the_module_says_what_it_is() -> None:
    assert (raftsql.apilevel, raftsql.threadsafety, raftsql.paramstyle) == ("2.0", 2, "qmark")


@pytest.mark.parametrize("name", ["Warning", "Error", "OperationalError", "OutcomeUnknown"])
def test_exceptions_are_attributes_of_connections(name: str) -> None:
    assert getattr(raftsql.Connection, name) is getattr(raftsql, name)
    assert getattr(raftsql.AsyncConnection, name) is getattr(raftsql, name)
