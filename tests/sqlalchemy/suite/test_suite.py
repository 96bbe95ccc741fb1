"""SQLAlchemy's own tests for dialects."""

from typing import Any

from sqlalchemy.testing import suite
from sqlalchemy.testing.suite import *  # noqa: F403


class ServerSideCursorsTest(suite.ServerSideCursorsTest):
    """The suite asks each driver that it knows in its own way, and it does not know ours."""

    def _is_server_side(self, cursor: Any) -> bool:
        return bool(getattr(cursor, "server_side", False))
