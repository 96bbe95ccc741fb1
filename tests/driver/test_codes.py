"""The names of SQLite's codes."""

from __future__ import annotations

import sqlite3

from raftsql_driver.codes import NAMES


def test_names_agree_with_the_standard_module() -> None:
    theirs = {
        getattr(sqlite3, name): name
        for name in dir(sqlite3)
        if name.startswith(("SQLITE_CONSTRAINT", "SQLITE_BUSY", "SQLITE_IOERR", "SQLITE_ERROR"))
    }
    assert len(theirs) > 40
    assert {code: NAMES.get(code) for code in theirs} == theirs
