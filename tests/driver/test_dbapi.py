"""The public compliance suite of PEP 249, for both colours, on a fake node and on real ones."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import ExitStack
from typing import Any, ClassVar

import dbapi20
import pytest

import raftsql
from benchmarks.nodes import Nodes
from tests.driver.fake import FakeServer


class TestCompliance(dbapi20.DatabaseAPI20Test):  # type: ignore[misc]
    """All tests of the suite. Two of them raise until they are overridden, and say so; a third one
    says that reasonable persons differ about it, and asks for more than PEP 249 does."""

    driver: ClassVar[Any] = raftsql

    @classmethod
    def setUpClass(cls) -> None:
        cls.stack = ExitStack()
        server = FakeServer(1).start()
        cls.stack.callback(server.stop)
        cls.connect_kw_args: dict[str, Any] = {}
        cls.connect_args = (server.url,)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.stack.close()

    def test_nextset(self) -> None:
        """Optional in PEP 249: a statement has one result here, and so there is no such method."""
        assert not hasattr(raftsql.Cursor, "nextset")
        assert not hasattr(raftsql.AsyncCursor, "nextset")

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


@pytest.mark.e2e
class TestComplianceOfThreeNodes(TestCompliance):
    """The same where it counts."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.stack = ExitStack()
        nodes = cls.stack.enter_context(Nodes(3))
        cls.connect_kw_args: dict[str, Any] = {}
        cls.connect_args = (nodes.url,)


class Awaited:
    """An object of the asyncio colour whose coroutines are run to their end: what is left is the
    interface that the suite knows."""

    def __init__(self, inner: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.__dict__.update(_inner=inner, _loop=loop)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not inspect.ismethod(found):
            return self._wrapped(found)

        def call(*arguments: Any, **named: Any) -> Any:
            result = found(*arguments, **named)
            if inspect.iscoroutine(result):
                result = self._loop.run_until_complete(result)
            return self._wrapped(result)

        return call

    def _wrapped(self, result: Any) -> Any:
        if isinstance(result, raftsql.AsyncConnection | raftsql.AsyncCursor):
            return Awaited(result, self._loop)
        return result


class AsyncModule:
    """The module, with the asyncio colour behind `connect`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(raftsql, name)

    def connect(self, *arguments: Any, **named: Any) -> Any:
        connecting = raftsql.AsyncConnection.connect(*arguments, **named)
        return Awaited(self._loop.run_until_complete(connecting), self._loop)


class TestComplianceOfAsyncio(TestCompliance):
    """The same behaviours, awaited."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        loop = asyncio.new_event_loop()
        cls.stack.callback(loop.close)
        cls.driver = AsyncModule(loop)


def test_what_is_overridden_is_what_the_suite_asks_to_override() -> None:
    suite = {name for name in dir(dbapi20.DatabaseAPI20Test) if name.startswith("test_")}
    mine = suite & set(vars(TestCompliance))
    asked = {name for name in suite if "override" in _source(name)}
    assert mine == asked | {"test_non_idempotent_close"}
    assert "reasonable persons differ" in _source("test_non_idempotent_close")
    for other in (TestComplianceOfThreeNodes, TestComplianceOfAsyncio):
        assert not suite & set(vars(other))
    assert len(suite) == 36


def _source(name: str) -> str:
    return inspect.getsource(getattr(dbapi20.DatabaseAPI20Test, name))


def test_the_module_says_what_it_is() -> None:
    assert (raftsql.apilevel, raftsql.threadsafety, raftsql.paramstyle) == ("2.0", 2, "qmark")


@pytest.mark.parametrize("name", ["Warning", "Error", "OperationalError", "OutcomeUnknown"])
def test_exceptions_are_attributes_of_connections(name: str) -> None:
    assert getattr(raftsql.Connection, name) is getattr(raftsql, name)
    assert getattr(raftsql.AsyncConnection, name) is getattr(raftsql, name)
