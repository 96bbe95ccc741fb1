"""The prompt: reads what is typed, runs it, and stays alive whatever comes of it."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import ThreadedCompleter
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import is_searching
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import BaseStyle, style_from_pygments_cls
from pygments.styles import get_style_by_name
from pygments.util import ClassNotFound

from raftsql_shell import config as configs
from raftsql_shell import habits, pager
from raftsql_shell.catalogue import Reader
from raftsql_shell.completion import ShellCompleter
from raftsql_shell.config import Config
from raftsql_shell.errors import CommandError
from raftsql_shell.interrupts import interrupts_ignored
from raftsql_shell.lexer import SqliteLexer
from raftsql_shell.output import ReaderGone
from raftsql_shell.shell import USAGE
from raftsql_shell.statements import BadText, is_complete, split
from raftsql_shell.toolbar import toolbar
from raftsql_shell.typeahead import interrupted_ahead
from raftsql_shell.watcher import Watcher

if TYPE_CHECKING:
    from raftsql_shell.shell import Shell


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("raftsql")
    except PackageNotFoundError:
        return ""


_CHANGING = ("create", "drop", "alter", "commit", "rollback", "end")


class App:
    """A shell with a person in front of it."""

    def __init__(self, shell: Shell, chosen: argparse.Namespace) -> None:
        self.shell = shell
        self._chosen = chosen
        self._told: list[str] = []
        self._guard = threading.Lock()
        self._typing = False
        self._running = False
        """What was typed is being run."""
        self._was_open = False
        """It was typed inside of a transaction."""
        self.watcher = Watcher(shell.session, self._tell)
        self.reader = Reader(shell.session)

    def run(self) -> int:
        """Until somebody leaves; the exit code."""
        try:
            config = configs.load(self._chosen.config)
        except CommandError as error:
            print(f"raftsql: {error}", file=sys.stderr)
            return USAGE
        self._configure(config)
        prompt = self._prompt(config)
        self.watcher.start()
        print(f"raftsql {_version()}, {self.shell.session.address}. Type .help, or SQL.")
        try:
            while not self.shell.done:
                try:
                    text = self._read(prompt)
                    if text is None:
                        break
                    self._run(text)
                except KeyboardInterrupt:
                    self._interrupted()
        finally:
            self.watcher.stop()
            self.shell.output.restore()
        return 0

    def _configure(self, config: Config) -> None:
        shell, look = self.shell, self.shell.look
        if not self._chosen.format:
            look.mode = config.mode
        if look.null is None:
            look.null = config.null
        look.widths = tuple(config.width)
        shell.timer, shell.bail = config.timer, config.bail
        shell.output.pager = pager.program(config.pager)

    def _prompt(self, config: Config) -> PromptSession[str]:
        completer = ShellCompleter(self.reader.current, self._names, self._nodes)
        return PromptSession(
            history=_history(config),
            lexer=PygmentsLexer(SqliteLexer),
            style=_style(config),
            include_default_pygments_style=False,
            completer=ThreadedCompleter(completer),
            complete_while_typing=config.complete_while_typing,
            auto_suggest=AutoSuggestFromHistory() if config.suggest else None,
            editing_mode=EditingMode.VI if config.keys == "vi" else EditingMode.EMACS,
            multiline=True,
            prompt_continuation=lambda width, line, wrapped: "... ".rjust(width),
            bottom_toolbar=self._toolbar if config.toolbar else None,
            refresh_interval=1.0 if config.toolbar else 0,
            key_bindings=_keys(),
            enable_open_in_editor=True,
            enable_history_search=False,
            color_depth=ColorDepth.DEPTH_1_BIT if os.environ.get("NO_COLOR") else None,
        )

    # One turn.

    def _read(self, prompt: PromptSession[str]) -> str | None:
        """What was typed; None when somebody left with Ctrl-D."""
        size = pager.screen_size()
        self.shell.look.screen = size.columns
        prompt.reserve_space_for_menu = min(8, size.lines // 4)  # Results are not to scroll away.
        with self._guard:
            told, self._told, self._typing = self._told, [], True
        for text in told:
            print(f"-- {text}")
        try:
            with patch_stdout(raw=True):
                text = prompt.prompt(self._message())
            if interrupted_ahead(prompt.app.input):
                print("cancelled", flush=True)
                return ""
            return text
        except KeyboardInterrupt:
            return ""
        except EOFError:
            return None
        finally:
            with self._guard:
                self._typing = False

    def _run(self, text: str) -> None:
        shell = self.shell
        self._was_open, self._running = shell.session.connection.in_transaction, True
        try:
            for item in split(habits.meant(text) or text):
                if not shell.run(item) or shell.done:
                    break
                if item.text[:8].lower().startswith(_CHANGING) or item.text.startswith("."):
                    self.reader.changed()
        except BadText as error:
            shell.fail(f"error: {error}")
        except ReaderGone:
            shell.done = True
        self._running = False

    def _interrupted(self) -> None:
        """Say what Ctrl-C has ended, however often it is pressed; it may have come too late."""
        running, self._running = self._running, False
        if not running:
            return
        with interrupts_ignored():
            print("cancelled", flush=True)
        if self._was_open:
            # A statement that was cut off takes its transaction with it.
            with suppress(Exception, KeyboardInterrupt):
                self.shell.session.connection.rollback()
            with interrupts_ignored():
                print("the transaction was rolled back", flush=True)

    def _message(self) -> str:
        return "raftsql*> " if self.shell.session.connection.in_transaction else "raftsql> "

    def _toolbar(self) -> str:
        shell = self.shell
        connection = shell.session.connection
        return toolbar(
            self.watcher.view,
            fallback=shell.session.node,
            consistency=connection.consistency,
            transaction=connection.in_transaction,
            seconds=shell.last_seconds,
            width=pager.screen_size().columns,
        )

    def _tell(self, text: str) -> None:
        """Say it now, above the prompt, or when the statement that runs has ended."""
        with self._guard:
            if self._typing:
                print(f"-- {text}")
            else:
                self._told.append(text)

    def _nodes(self) -> list[str]:
        return list(map(str, self.watcher.view.members))

    def _names(self) -> list[str]:
        with suppress(CommandError):
            return [*self.shell.session.parameters, *configs.favorites()]
        return list(self.shell.session.parameters)


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter", filter=~is_searching)
    def _(event: KeyPressEvent) -> None:
        """Run what is complete; else begin another line."""
        buffer = event.current_buffer
        state = buffer.complete_state
        if state is not None and state.current_completion is not None:
            buffer.apply_completion(state.current_completion)
            buffer.complete_state = None
        elif is_complete(buffer.text) or habits.meant(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    @keys.add("tab", filter=~is_searching)
    def _(event: KeyPressEvent) -> None:
        """Take the first that fits, then the next."""
        buffer = event.current_buffer
        if buffer.complete_state:
            buffer.complete_next()
        else:
            buffer.start_completion(select_first=True)

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        """Run it as it stands."""
        event.current_buffer.validate_and_handle()

    return keys


def _history(config: Config) -> History:
    """A file that only its owner can read: what is typed may hold secrets."""
    if config.history == "off":
        return InMemoryHistory()
    file = Path(config.history).expanduser() if config.history else None
    file = file or configs.state_folder() / "history"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600, exist_ok=True)
        with file.open("a"):
            pass
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(file))


def _style(config: Config) -> BaseStyle | None:
    if os.environ.get("NO_COLOR"):
        return None
    try:
        return style_from_pygments_cls(get_style_by_name(config.style))
    except ClassNotFound:
        print(f"there is no style {config.style}; the default is taken", file=sys.stderr)
        return None
