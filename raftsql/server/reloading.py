"""SIGHUP: a running node reads its configuration again, takes up what it can and names the rest.

A configuration that can't be used changes nothing: the log says what is wrong with it, and the node
goes on as it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import fields

from raftsql.server.configuration import Configuration, taken_up
from raftsql.server.settings import BadSettings, ServeSettings

log = logging.getLogger("raftsql.server")


class Reloading:
    """The settings of a running node, as they change."""

    def __init__(
        self,
        settings: ServeSettings,
        read: Callable[[], Configuration],
        apply: Callable[[ServeSettings], None],
    ) -> None:
        """`read` decides anew, from the same flags and file; `apply` tells the node."""
        self.settings = settings
        self._read = read
        self._apply = apply

    def reload(self) -> None:
        """Read again, and take up what can be."""
        try:
            found = self._read()
        except BadSettings as error:
            log.error("the settings stay as they are: %s", error)
            return
        for doubt in found.doubts:
            log.warning("%s", doubt)
        before = self.settings
        self.settings, later = taken_up(before, found.settings)
        changed = [
            one.name
            for one in fields(ServeSettings)
            if getattr(before, one.name) != getattr(self.settings, one.name)
        ]
        self._apply(self.settings)
        log.info("the settings were read again; changed: %s", ", ".join(changed) or "nothing")
        if later:
            log.warning("changed too, but in force only after a restart: %s", ", ".join(later))
