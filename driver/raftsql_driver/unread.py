"""The rows of a result that were not fetched yet: where they are, and what names them there.

An object of its own, since it has a last word: dropped before the end, it tells the node, which
holds only a few results half read. Most results are one page and have none of this.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from raftsql_driver import flows
from raftsql_driver.flows import Flow, Send, Wait, budget_ms, next_id
from raftsql_proto.frames import Cancel, Fetch, Page, Release

Forsake: TypeAlias = Callable[[Flow[None]], None]
"""Carries out a flow that waits for nothing, from wherever the last word is said."""


class Unread:
    """The rows after the page being read."""

    __slots__ = ("_forsake", "_node", "_serial", "ahead", "number")

    def __init__(self, number: int, node: str, serial: int, forsake: Forsake) -> None:
        self.number = number
        """What names them; 0: there are none any more."""
        self.ahead: Wait | None = None
        """The next page, where it was asked for before anybody wanted it."""
        self._node = node
        self._serial = serial
        self._forsake = forsake

    def next_page(self, timeout: float, now: float) -> Flow[Page]:
        """More rows. What names them stays after an error: a result that broke off must not look
        like one that has ended."""
        deadline = now + timeout
        ahead, self.ahead = self.ahead, None
        if ahead is not None:
            ahead.deadline = deadline
        page = yield from flows.next_page(
            self._node, self._serial, self.number, deadline, now, ahead
        )
        self.number = page.cursor
        return page

    def ask_ahead(self, timeout: float, now: float) -> Flow[None]:
        """Ask for the next page while this one is read."""
        frame = Fetch(next_id(), self.number, timeout_ms=budget_ms(now + timeout, now))
        ticket = yield Send(self._node, frame, self._serial)
        self.ahead = Wait(ticket, frame, self._node, self._serial, 0.0)

    def let_go(self) -> Flow[None]:
        """Tell the node that they are not wanted; waits for nothing."""
        number, ahead = self.number, self.ahead
        self.number, self.ahead = 0, None
        return _farewell(self._node, self._serial, number, ahead)

    def __del__(self) -> None:
        if self.number:
            with suppress(Exception):
                self._forsake(self.let_go())


def _farewell(node: str, serial: int, number: int, ahead: Wait | None) -> Flow[None]:
    if ahead is not None and ahead.ticket.done():
        page = yield ahead
        number = page.cursor if type(page) is Page else 0
    elif ahead is not None:
        # What names the rest is on its way: when it comes, the stream lets go of it.
        yield Send(node, Cancel(ahead.frame.id), serial)
        return
    if number and serial:
        yield Send(node, Release(number), serial)
