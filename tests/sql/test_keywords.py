"""Our keywords are SQLite's."""

import apsw

from raftsql.sql.keywords import KEYWORDS


def test_the_keywords_are_those_of_the_sqlite_we_ship_with() -> None:
    assert set(apsw.keywords) == KEYWORDS
