"""For whom a client's stream speaks, and what follows for its requests.

A stream says who it is once, in its greeting; from then on nothing is computed, only looked up: the
user may have been removed meanwhile, or have another password. A stream of another node speaks for
clients of its own, and its requests carry their users' numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from raftsql.database.sessions import owned
from raftsql.rpc.gate import Caller, Denied, Gate
from raftsql.sql.commands import OpenSession, Settings, encode, of_user
from raftsql.sql.values import BadValue
from raftsql_proto import frames

if TYPE_CHECKING:
    from raftsql.cluster.runner import Runner
    from raftsql.rpc.forwarding import Forwardable

Naming = frames.Run | frames.Commit | frames.OpenSession
"""Requests that say for whom they are, when a node passes them on."""


class Standing:
    """Who speaks on one stream."""

    __slots__ = ("_gate", "_is_open", "_runner", "caller")

    def __init__(self, gate: Gate, runner: Runner) -> None:
        self._gate = gate
        self._runner = runner
        self.caller: Caller | None = None
        """Who greeted; None where nobody has to say."""
        self._is_open = not gate.is_closed
        """Whether nobody had to say, when the last message came."""

    def check(self) -> None:
        """Denied when the caller is not any more who they were; asked once a message."""
        self._is_open = not self._gate.is_closed
        if not self._is_open and (self.caller is None or not self.caller.is_node):
            self._gate.user_of(self.caller)

    def user(self, frame: Naming) -> int:
        """The number of the user for whom a request is done; 0 where there are none."""
        if self._is_open:
            return 0
        try:
            return self._gate.number_of(self.caller, frame.user)
        except Denied as denied:
            raise BadValue(str(denied)) from None

    def mark(self, settings: Settings, frame: Naming) -> Settings:
        """What a request's commands carry: its connection's settings, and its user."""
        return settings if self._is_open else of_user(settings, self.user(frame))

    def check_session(self, frame: frames.Run | frames.Commit) -> None:
        """A session is one user's: its answers are nobody else's business."""
        if frame.session and not self._is_open:
            owner = self._runner.machine.owner(frame.session)
            if owner is not None and owner != self.user(frame):
                raise BadValue("the session is another user's")

    def opening(self, frame: frames.OpenSession) -> bytes:
        """The body of the command that opens a session for the user."""
        return encode(OpenSession(owned(frame.nonce, self.user(frame)), frame.keep_ms))

    def vouched(self, frame: Forwardable) -> Forwardable:
        """A request as it is passed on: this node says for whom it is."""
        if not self._is_open and isinstance(frame, Naming):
            return msgspec.structs.replace(frame, user=self.user(frame))
        return frame
