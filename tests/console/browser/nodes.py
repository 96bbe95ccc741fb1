"""Three real nodes with consoles."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.request import urlopen

import raftsql
from tests.server.processes import Cluster, Node, free_port, until


class Consoles:
    """A cluster of three, each of which serves its page."""

    def __init__(self, folder: Path, count: int = 3) -> None:
        """Start them, and wait until all of them vote."""
        self.cluster = Cluster(folder)
        self.pages: list[str] = []
        try:
            for _ in range(count):
                self._start()
            first = self.nodes[0]
            first.wait_for(
                lambda status: sum(member["voter"] for member in status["members"]) == count,
                f"{count} voters",
            )
        except BaseException:
            self.cluster.end()
            raise

    def _start(self) -> None:
        page = f"127.0.0.1:{free_port()}"
        flags = ["--http", page, "--console"]
        if self.pages:
            flags += ["--join", self.nodes[0].address]
        self.cluster.node(*flags).start().serves()
        self.pages.append(page)

    @property
    def nodes(self) -> list[Node]:
        """The processes, running or not."""
        return self.cluster.nodes

    @property
    def url(self) -> str:
        """Where clients find them."""
        return self.cluster.url

    def leader(self) -> int:
        """The place of the node that leads."""
        return self.nodes.index(self.cluster.leader())

    def follower(self) -> int:
        """The place of a node that does not."""
        return (self.leader() + 1) % len(self.nodes)

    def number(self, place: int) -> int:
        """A node's own number."""
        with urlopen(f"http://{self.pages[place]}/console/api/me", timeout=10) as answer:
            return int(json.loads(answer.read())["node_id"])

    def again(self, place: int) -> None:
        """Start a node that was killed, and wait until it follows."""
        self.nodes[place].start().serves()
        until(lambda: self.nodes[place].status().get("ready", True), "a node that is ready")

    def execute(self, sql: str) -> None:
        """Run a script on them, as any client would; every node that runs has it then."""
        connection = raftsql.connect(self.url, autocommit=True, timeout=30)
        try:
            connection.executescript(sql)
        finally:
            connection.close()
        self.level()

    def level(self) -> None:
        """Wait until every node that runs has applied what is committed now: a page may ask for
        what its own node has."""
        committed = self.cluster.leader().wait_for(bool, "its place")["commit_index"]
        for node in self.nodes:
            if node.process is not None:
                node.wait_for(lambda status: status["applied_index"] >= committed, "all entries")

    def end(self) -> None:
        """All of it is over."""
        self.cluster.end()
