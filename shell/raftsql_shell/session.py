"""The connection that a shell works with, and what belongs to it: parameters and the last result.

Nodes come and go behind the driver, which finds another one by itself; a session only ends when
somebody connects elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raftsql_shell.errors import CommandError
from raftsql_shell.statements import NAMELESS, parameters

if TYPE_CHECKING:
    from raftsql_driver import Connection, Cursor, Verdict
    from raftsql_driver.address import Address


class Session:
    """One connection, and the values of named parameters."""

    def __init__(
        self, url: str | None, *, consistency: str | None = None, timeout: float | None = None
    ) -> None:
        """Connects at once; raises what the driver raises."""
        self.parameters: dict[str, Any] = {}
        self.url = url
        self.connection: Connection = _connect(url, consistency, timeout)
        self.address: Address = _address(url)

    def connect(self, url: str) -> None:
        """Leave this cluster for another, if that can be reached."""
        old, consistency = self.connection, self.connection.consistency
        self.connection = _connect(url, consistency, None)
        self.url, self.address = url, _address(url)
        old.close()

    def execute(self, sql: str, given: dict[str, Any] | None = None) -> Cursor:
        """Run a statement with the session's parameters."""
        values = self.parameters if given is None else given
        wanted = parameters(sql)
        missing = [name for name in wanted if name not in values]
        if NAMELESS in missing:
            raise CommandError(
                "a ? has no name to give it a value by; write :name, and .parameter set name VALUE"
            )
        if missing:
            raise CommandError(
                f"the parameter :{missing[0]} has no value; "
                f"give it one with .parameter set {missing[0]} VALUE, or at the start with "
                f"-v {missing[0]}=VALUE"
            )
        return self.connection.execute(sql, {name: values[name] for name in wanted} or None)

    def another(self, timeout: float) -> Connection:
        """A second connection, for what goes on beside statements."""
        from raftsql_driver import connect

        return connect(self.url, autocommit=True, consistency="stale", timeout=timeout)

    @property
    def node(self) -> str:
        """The node that one is connected to, as host:port; writes are answered by the leader."""
        return self.connection._cluster.state.routes.home

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """All rows of a small query of the shell's own."""
        return self.connection.execute(sql, values).fetchall()

    def examine(self, sql: str) -> Verdict:
        """The cluster's verdict on a statement, without running it."""
        return self.connection.examine(sql)

    def close(self) -> None:
        """Roll back what is open, and disconnect."""
        self.connection.close()


def _connect(url: str | None, consistency: str | None, timeout: float | None) -> Connection:
    from raftsql_driver import connect

    return connect(
        url,
        autocommit=True,
        consistency=consistency,
        timeout=timeout,
        application_name="raftsql-shell",
    )


def _address(url: str | None) -> Address:
    from raftsql_driver.address import parse

    return parse(url)
