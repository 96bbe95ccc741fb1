"""Hands pytest to SQLAlchemy's plugin: this folder is a run of its own."""

import pytest

pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

from sqlalchemy.testing.plugin import pytestplugin  # noqa: E402
from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403


def pytest_sessionstart(session: pytest.Session) -> None:
    """Name the schema that a few tests use without asking whether there is a second one.

    On plain SQLite it is a database that SQLAlchemy attaches. A cluster has the one called main.
    """
    pytestplugin.pytest_sessionstart(session)
    from sqlalchemy import testing
    from sqlalchemy.testing import config

    for each in config.Config.all_configs():
        if each.db.url.get_backend_name() == "raftsql":
            each.test_schema = "main"
            each.set_as_current(each, testing)
