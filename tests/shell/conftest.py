"""A fake cluster, and a shell on it whose words are kept."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from raftsql_shell.look import Look
from raftsql_shell.output import Output
from raftsql_shell.session import Session
from raftsql_shell.shell import Shell
from tests.driver import fake as driver_fake
from tests.shell.fake import ShellConnection, ShellServer


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes what belongs to whoever runs it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "RAFTSQL_URL", "NO_COLOR", "PAGER"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ShellServer]:
    monkeypatch.setattr(driver_fake, "Connection", ShellConnection)
    server = ShellServer(1).start()
    yield server
    server.stop()


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> Iterator[ShellServer]:
    monkeypatch.setattr(driver_fake, "Connection", ShellConnection)
    server = ShellServer(3).start()
    yield server
    server.stop()


class Kept(Shell):
    """A shell that keeps what it says."""

    def __init__(self, url: str) -> None:
        self.said = StringIO()
        super().__init__(
            Session(url, timeout=10),
            Look(mode="table"),
            output=Output(self.said),
            notes=self.said,
        )
        self.bail = False

    def type(self, text: str) -> str:
        """Type something; what came of it."""
        self.said.seek(0)
        self.said.truncate()
        self.feed([text], "")
        return self.said.getvalue()


@pytest.fixture
def shell(server: ShellServer) -> Iterator[Kept]:
    shell = Kept(server.url)
    yield shell
    shell.session.close()
