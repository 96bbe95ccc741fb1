"""Tells systemd how the node is: started, stopping, and still alive (sd_notify(3)).

Nothing happens where systemd did not ask for it: its socket is named by NOTIFY_SOCKET.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping

log = logging.getLogger("raftsql.server")


class Supervisor:
    """systemd, or nobody."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Where it listens, and how often it wants to hear from this process."""
        self._address = environment.get("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        self._alive_seconds = int(environment.get("WATCHDOG_USEC", "0") or 0) / 2e6
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, *news: str) -> None:
        """Say something; it is lost when nobody hears it."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaking:
                speaking.connect(self._address)
                speaking.send("\n".join(news).encode())
        except OSError as error:
            log.warning("systemd does not hear this node: %s", error)

    def keep_telling(self) -> None:
        """Say that the event loop turns, twice in the time after which systemd would restart."""
        if self._alive_seconds:
            self.tell("WATCHDOG=1")
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._alive_seconds, self.keep_telling)

    def close(self) -> None:
        """Say nothing more."""
        if self._timer is not None:
            self._timer.cancel()
