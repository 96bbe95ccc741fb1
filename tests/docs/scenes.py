"""What has to be there, or happen beside, for single pages to be followed."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from typing import Any

from tests.docs.session import PEERS_ARE, Session, free_ports_in_a_row
from tests.security.authority import Authority
from tests.server.processes import until

BOOKS = (
    "CREATE TABLE author(id INTEGER PRIMARY KEY, name TEXT, born INTEGER);"
    "CREATE TABLE book(id INTEGER PRIMARY KEY, title TEXT, author INTEGER, price REAL);"
    "INSERT INTO author VALUES(1, 'Ursula K. Le Guin', 1929);"
)


def a_library(session: Session) -> None:
    """The tables of docs/shell.md, and the files that its scripts read."""
    session.run(f'raftsql -c "{BOOKS}"')
    (session.folder / "schema.sql").write_text("CREATE TABLE shelf(a);")
    (session.folder / "data.sql").write_text("INSERT INTO shelf VALUES(1);")


class Machines:
    """The machines 10.0.0.1 to 10.0.0.3 of docs/operating.md: processes and folders of this one."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.lines: dict[int, str] = {}
        self.folders: dict[int, str] = {}
        self.lives = 0
        self.survivor_alone: bool | None = None
        """Whether the node that survived a lost quorum is up again; None: none was lost yet."""
        ports = free_ports_in_a_row(6)
        for number in (1, 2, 3):
            address = f"127.0.0.1:{ports[number - 1]}"
            session.places[f"10.0.0.{number}:4001"] = address
            session.places[f"n{number}:4001"] = address
            session.places[f"10.0.0.{number}:4080"] = f"127.0.0.1:{ports[number + 2]}"
        session.places["s3://bucket"] = f"file://{session.folder}/bucket"
        (session.folder / "bucket" / "daily").mkdir(parents=True)
        session.places["/etc/raftsql/node.toml"] = str(session.folder / "node.toml")
        (session.folder / "node.toml").touch()
        url = session.real("raftsql://10.0.0.1:4001,10.0.0.2:4001,10.0.0.3:4001/")
        session.environment |= {"RAFTSQL_URL": url, "PRODUCTION": url}
        session.scenes |= {
            "raftsql serve --data-dir /var/lib/raftsql/data": self.serve,
            "raftsql serve --data-dir … ": self.serve_again,
            "systemctl restart": self.restart,
            "systemctl reload": self.reload,
            "systemctl start": self.start_anew,
            "mv /var/lib/raftsql/data": lambda _, line: self.in_folder(3, line),
            "raftsql remove 3": self.remove,
            "raftsql status --json --url 10.0.0.2:4001": self.lose_the_others,
            "systemctl stop": self.stop_the_survivor,
            "cp -a /var/lib/raftsql/data": lambda _, line: self.in_folder(2, line),
            "raftsql recover": lambda _, line: self.in_folder(2, line),
            "raftsql restore backup.db --url …": lambda *_: "raftsql restore backup.db --yes",
            "raftsql 127.0.0.1:5001": lambda _, line: line.replace("…", "account"),
        }

    def serve(self, _: Session, line: str) -> None:
        """The same command on each machine, or the command of one."""
        found = re.search(r"--listen 10\.0\.0\.(\d)", line)
        assert found
        if "--bootstrap-expect" in line:
            for number in (1, 2, 3):
                own = re.sub(r"(--(?:listen|http)) 10\.0\.0\.1", rf"\1 10.0.0.{number}", line)
                self.start(number, f"{own} --node-id {number} --config node.toml")
            self.until_voters(3)
            self.session.run(
                "raftsql -c 'CREATE TABLE account(cents); INSERT INTO account VALUES(1)'"
            )
        elif "--join" in line:
            self.start(int(found[1]), line, empty=True)
            self.until_voters(3)

    def serve_again(self, _: Session, line: str) -> None:
        """The command of the third machine, of which the page shows the outline."""
        words = line.replace("--data-dir …", "--data-dir /var/lib/raftsql/data", 1)
        self.serve(self.session, words.replace("--listen …", "--listen 10.0.0.3:4001"))

    def start(self, number: int, line: str, *, empty: bool = False) -> None:
        """Start the node of a machine, where it was or in a folder that is not there yet."""
        self.lives += 1
        if empty or number not in self.folders:
            self.folders[number] = f"data{number}-{self.lives}"
        self.lines[number] = self.in_folder(number, line)
        self.session.serve_node(self.lines[number])

    def in_folder(self, number: int, line: str) -> str:
        """The line as it is typed on that machine."""
        return line.replace("/var/lib/raftsql/data", self.folders[number])

    def start_anew(self, *_: object) -> None:
        """The third machine, whose settings let a node with an empty directory join; once a quorum
        was lost, the survivor, and after it the others with empty directories."""
        if self.survivor_alone is not None:
            self.start_after_loss()
            return
        line = "raftsql serve --data-dir /var/lib/raftsql/data --listen 10.0.0.3:4001"
        self.start(3, f"{line} --join 10.0.0.1:4001,10.0.0.2:4001", empty=True)
        self.until_voters(3)

    def stop_the_survivor(self, *_: object) -> None:
        self.stop(2)
        self.survivor_alone = False

    def start_after_loss(self) -> None:
        if not self.survivor_alone:
            self.survivor_alone = True
            self.start(2, "raftsql serve --data-dir /var/lib/raftsql/data --listen 10.0.0.2:4001")
            return
        for number in (1, 3):
            line = f"raftsql serve --data-dir /var/lib/raftsql/data --listen 10.0.0.{number}:4001"
            self.start(number, f"{line} --join 10.0.0.2:4001", empty=True)
        self.until_voters(3)

    def stop(self, number: int) -> None:
        self.session.stop(self.lines[number])

    def restart(self, *_: object) -> None:
        """What systemd does on one of the machines."""
        self.stop(3)
        self.start(3, self.lines[3])

    def reload(self, *_: object) -> None:
        """The same on each of them."""
        for line in self.lines.values():
            self.session.services[line].send_signal(signal.SIGHUP)

    def remove(self, _: Session, line: str) -> str:
        """The node on the third machine goes, and is stopped as the page says afterwards."""
        number = self.status(3)["node_id"]
        self.session.finish(line.replace("remove 3", f"remove {number}"))
        self.stop(3)
        return "# removed"

    def lose_the_others(self, _: Session, line: str) -> str:
        self.stop(1)
        self.stop(3)
        return line

    def status(self, number: int) -> dict[str, Any]:
        return self.session.status(f"10.0.0.{number}:4001")

    def until_voters(self, count: int) -> None:
        def voters() -> bool:
            known = [m for m in self.status(2).get("members", []) if m["voter"]]
            return len(known) == count and all(self.status(n).get("ready") for n in (1, 2, 3))

        until(voters, f"{count} voters")


PASSWORD = "correct-horse-battery"


class Guarded:
    """The machines of docs/security.md: certificates of one authority, and users."""

    def __init__(self, session: Session) -> None:
        self.session = session
        Authority(session.folder, "ca").sign("node")
        session.places["/etc/ca.crt"] = str(session.folder / "ca.crt")
        for number, port in enumerate(free_ports_in_a_row(3, also=PEERS_ARE), start=1):
            session.places[f"10.0.0.{number}:4001"] = f"127.0.0.1:{port}"
        session.scenes |= {
            "raftsql serve": self.serve,
            "raftsql user add": lambda _, line: f"echo {PASSWORD} | {line}",
            "raftsql 'raftsql://root": lambda _, line: f"{line} -c .tables".replace("…", PASSWORD),
            "raftsql.connect": self.connect,
        }

    def serve(self, _: Session, line: str) -> None:
        for number in (1, 2, 3):
            own = line.replace("--listen 10.0.0.1", f"--listen 10.0.0.{number}")
            self.session.serve_node(f"{own} --data-dir node{number}")
        url = "raftsql://10.0.0.1:4001/?sslrootcert=/etc/ca.crt"
        until(lambda: self.session.status(url).get("leader"), "a leader")

    def connect(self, session: Session, line: str) -> None:
        """Somebody who was let in by the admin of before."""
        url = f"raftsql://root:{PASSWORD}@10.0.0.1:4001/?sslrootcert=ca.crt"
        session.run(f"raftsql user add ann --role read --url '{url}'")
        opened = session.real(line.replace("…", PASSWORD))
        exec(f"import raftsql; connection = {opened}", session.names)
        assert session.names["connection"].execute("SELECT 1").fetchall() == [(1,)]
        session.names["connection"].close()


SCENERY: dict[str, Callable[[Session], object]] = {
    "docs/shell.md": a_library,
    "docs/operating.md": Machines,
    "docs/security.md": Guarded,
}
