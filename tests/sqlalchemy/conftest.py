"""One real cluster for all tests here, and engines on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

from benchmarks.nodes import Nodes

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine


collect_ignore = ["suite"]  # SQLAlchemy's own tests have their own run: tests/sqlalchemy/suite


@pytest.fixture(scope="session")
def node_url() -> Iterator[str]:
    """A cluster of one node, as SQLAlchemy names it."""
    with Nodes(1) as nodes:
        yield f"raftsql://{nodes.addresses[0]}/"


@pytest.fixture
def engine(node_url: str) -> Iterator[Engine]:
    """An engine on an empty database."""
    from sqlalchemy import create_engine

    engine = create_engine(node_url)
    _empty(engine)
    yield engine
    engine.dispose()


@pytest.fixture
async def aengine(engine: Engine) -> AsyncIterator[AsyncEngine]:
    """The same for asyncio."""
    from sqlalchemy.ext.asyncio import create_async_engine

    aengine = create_async_engine(engine.url.set(drivername="raftsql+aio"))
    yield aengine
    await aengine.dispose()


def _empty(engine: Engine) -> None:
    from sqlalchemy import text

    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("PRAGMA foreign_keys = OFF"))
        found = connection.execute(
            text(
                "SELECT type, name FROM sqlite_master "
                "WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%'"
            )
        )
        for kind, name in found.all():
            connection.execute(text(f'DROP {kind} "{name}"'))
        connection.execute(text("PRAGMA foreign_keys = ON"))
