"""raftsql: a SQL database for Python people, replicated with Raft.

`import raftsql` is what users type. The names of the driver arrive lazily, so that a server
that imports its own rooms never loads a client, and a client never loads a server.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raftsql_driver import *  # noqa: F403

__version__ = "0.1.0"


if not TYPE_CHECKING:  # Else every name in the world would be there, and be Any.

    def __getattr__(name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import raftsql_driver

        try:
            value = getattr(raftsql_driver, name)
        except AttributeError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
        if name != "__all__":
            globals()[name] = value
        return value


def __dir__() -> list[str]:
    import raftsql_driver

    return sorted({*globals(), *raftsql_driver.__all__})
