"""SQLAlchemy on three nodes whose leader is killed."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("sqlalchemy")

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

import raftsql
from benchmarks.nodes import Nodes
from raftsql_driver.sqlalchemy import run_transaction

pytestmark = pytest.mark.e2e
ADD = text("UPDATE counter SET n = n + 1")


@pytest.mark.long
def test_a_killed_leader_costs_a_transaction_and_no_more() -> None:
    with Nodes(3) as nodes:
        hosts = "&".join(f"host={address}" for address in nodes.addresses)
        engine = create_engine(f"raftsql://?{hosts}")
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE counter(n INTEGER)"))
            connection.execute(text("INSERT INTO counter VALUES(0)"))
        with engine.connect() as connection:
            connection.execute(ADD)
            nodes.kill(nodes.leader())
            with pytest.raises(DBAPIError) as caught, connection.begin_nested():
                connection.execute(ADD)
            assert isinstance(caught.value.orig, raftsql.TransactionLost)
            assert caught.value.connection_invalidated
            connection.rollback()
            connection.execute(ADD)
            connection.commit()

        for number in (1, 2, 3):
            if nodes.processes[number].poll() is not None:
                nodes.start(number)
        nodes.wait_for_leader(voters=3)
        killed: list[int] = []

        def work(connection: Any) -> None:
            connection.execute(ADD)
            if not killed:
                killed.append(nodes.leader())
                nodes.kill(killed[0])
            connection.execute(ADD)

        run_transaction(engine, work)
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT n FROM counter")) == 3
        engine.dispose()
