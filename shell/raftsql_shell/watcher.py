"""Keeps an eye on the cluster while somebody types: for the toolbar, and to say what changed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from raftsql_shell.cluster import Nodes, Seen
    from raftsql_shell.session import Session

PERIOD_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class View:
    """What is known of the cluster right now."""

    node: int | None = None
    address: str = ""
    leader: int | None = None
    leader_address: str = ""
    term: int = 0
    reachable: bool = True
    known: bool = False
    """A node has said something about itself at all."""
    members: tuple[int, ...] = ()


class Watcher:
    """Asks the connected node once a second, in a thread of its own."""

    def __init__(self, session: Session, tell: Callable[[str], None]) -> None:
        self._session = session
        self._tell = tell
        self._ended = threading.Event()
        self._nodes: Nodes | None = None
        self._watched: object = None
        self._patient = True
        """The next node that is late, rather than gone, is given a second chance."""
        self.view = View()
        self._thread = threading.Thread(target=self._run, name="raftsql-watcher", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, soon."""
        self._ended.set()
        self._thread.join(3.0)

    def _run(self) -> None:
        while True:
            try:
                self._look()
            except Exception:  # It is only an eye: whatever goes wrong, the prompt goes on.
                self._nodes = None
            if self._ended.wait(PERIOD_S):
                return

    def _look(self) -> None:
        from raftsql_shell.cluster import Nodes

        session = self._session
        if self._nodes is None or self._watched is not session.address:
            self._nodes, self._watched, self.view = Nodes(session.address), session.address, View()
        home = self._nodes.status(session.node, timeout=1.0)
        if "not offered" in home.problem:
            return
        patience, self._patient = self._patient, not home.late
        if home.late and patience:  # A busy machine is no dead one.
            return
        found = view_of(home if home.picture else self._any(home))
        if not found.known and not self.view.known:
            return
        for text in changes(self.view, found):
            self._tell(text)
        self.view = found

    def _any(self, silent: Seen) -> Seen:
        assert self._nodes is not None, "there are nodes to look at"
        answering = [each for each in self._nodes.pictures() if each.picture]
        return answering[0] if answering else silent


def view_of(seen: Seen) -> View:
    """What matters of a node's picture."""
    picture = seen.picture
    if not picture:
        return View(address=seen.address, reachable=False)
    return View(
        node=picture.get("node_id"),
        address=seen.address,
        leader=picture.get("leader"),
        leader_address=picture.get("leader_address") or "",
        term=picture.get("term") or 0,
        known=True,
        members=tuple(member["node_id"] for member in picture.get("members", ())),
    )


def changes(before: View, after: View) -> list[str]:
    """What somebody at the prompt wants to be told."""
    if not before.known and before.reachable:
        return []
    if before.reachable and not after.reachable:
        return ["connection lost: no node answers; trying again"]
    if not after.reachable:
        return []
    told = []
    if not before.reachable:
        told.append(f"connected again: node {after.node} at {after.address}")
    elif after.address != before.address:
        told.append(f"{before.address} does not answer; now at node {after.node}, {after.address}")
    if after.leader is None and before.leader is not None:
        told.append("the cluster has no leader")
    elif after.leader is not None and after.leader != before.leader:
        told.append(f"node {after.leader} leads, term {after.term}")
    return told
