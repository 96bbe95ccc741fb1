"""A cluster with certificates and users, as real processes."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import grpc

import raftsql
from raftsql.server.operate import call
from raftsql.server.places import Place, places
from raftsql_proto import users_pb2
from raftsql_proto.users_pb2_grpc import UsersStub
from tests.security.authority import Authority
from tests.server.processes import Node, free_port, until

PASSWORDS = {"root": "root's own word", "ann": "ann's own word", "eva": "eva's own word"}
OFFSET = 1_000


def pair_of_ports() -> int:
    """A port that is free, and so is the one for peers."""
    while True:
        port = free_port()
        if port + OFFSET > 65_535:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port + OFFSET))
            except OSError:
                continue
        return port


class Secured:
    """Some nodes; `root` is admin, `ann` may write to one table and read another, `eva` nothing."""

    def __init__(self, folder: Path, count: int = 1) -> None:
        self.folder = folder
        self.clients = Authority(folder, "for-clients")
        self.peers = Authority(folder, "for-peers")
        self.strangers = Authority(folder, "of-strangers")
        ports = [pair_of_ports() for _ in range(count)]
        joins = ",".join(f"127.0.0.1:{port}" for port in ports)
        self.nodes = []
        for number, port in enumerate(ports, start=1):
            flags = self.flags(number)
            if number > 1:
                flags += ["--join", joins]
            self.nodes.append(
                Node(folder / f"node{number}", *flags, address=self.place(port, "root"))
            )

    def flags(self, number: int) -> list[str]:
        """What makes a node a secured one."""
        certificate, key = self.clients.sign(f"node{number}")
        peer_certificate, peer_key = self.peers.sign(f"peer{number}")
        return [
            "--tls-cert", str(certificate), "--tls-key", str(key),
            "--tls-peer-cert", str(peer_certificate), "--tls-peer-key", str(peer_key),
            "--tls-peer-ca", str(self.peers.certificate), "--node-id", str(number),
            "--audit-log", str(self.audit(number)),
        ]  # fmt: skip

    def audit(self, number: int = 1) -> Path:
        """A node's audit log."""
        return self.folder / f"audit{number}.log"

    def url(self, port: int, user: str = "", password: str | None = None) -> str:
        """Where a node is, for a user."""
        word = PASSWORDS.get(user, "") if password is None else password
        login = f"{user}:{word.replace(' ', '%20')}@" if user else ""
        return f"raftsql://{login}127.0.0.1:{port}/?sslrootcert={self.clients.certificate}"

    def place(self, port: int, user: str = "", password: str | None = None) -> Place:
        """The same, for an operator's commands."""
        return places(self.url(port, user, password))[0]

    @property
    def port(self) -> int:
        """The first node's."""
        return int(self.nodes[0].address.rpartition(":")[2])

    def start(self) -> Secured:
        """Run the nodes, and wait until they are one cluster."""
        for node in self.nodes:
            node.start().serves()
        until(lambda: len(self.voters()) == len(self.nodes), "a vote for every node")
        return self

    def voters(self) -> list[Any]:
        """The members with a vote."""
        return [m for m in self.nodes[0].status().get("members", []) if m["voter"]]

    def people(self) -> Secured:
        """Add the users, two tables, and what `ann` may do to them."""
        self.change("root", add=users_pb2.AddUser(password=PASSWORDS["root"], role="admin"))
        for name in ("ann", "eva"):
            self.change(name, add=users_pb2.AddUser(password=PASSWORDS[name]))
        root = self.connect("root")
        root.executescript(
            "CREATE TABLE orders(id INTEGER PRIMARY KEY, what); INSERT INTO orders VALUES (1, 'a');"
            "CREATE TABLE prices(what, price); INSERT INTO prices VALUES ('a', 7);"
            "CREATE TABLE secrets(what); INSERT INTO secrets VALUES ('hidden')"
        )
        root.close()
        self.change("ann", grant=users_pb2.GrantRight(right="write", table="orders"))
        self.change("ann", grant=users_pb2.GrantRight(right="read", table="Prices"))
        return self

    def change(self, whom: str, asking: str = "root", port: int = 0, **what: Any) -> None:
        """Change a user, as `asking`."""
        request = users_pb2.ChangeRequest(user=whom, **what)
        place = self.place(port or self.port, asking)
        call(place, lambda stub: stub.Change, request, 20.0, UsersStub)

    def connect(
        self, user: str, password: str | None = None, *, port: int = 0, **options: Any
    ) -> Any:
        """A connection in autocommit mode."""
        options = {"autocommit": True, "timeout": 20, "connect_timeout": 10} | options
        return raftsql.connect(self.url(port or self.port, user, password), **options)

    def channel(self, *, port: int = 0, certificate: tuple[Path, Path] | None = None) -> Any:
        """A bare channel: to the clients' port, or another."""
        root = self.clients if port in (0, self.port) else self.peers
        pair = certificate or (None, None)
        credentials = grpc.ssl_channel_credentials(
            root.certificate.read_bytes(),
            pair[1].read_bytes() if pair[1] else None,
            pair[0].read_bytes() if pair[0] else None,
        )
        return grpc.secure_channel(f"127.0.0.1:{port or self.port}", credentials)

    def stop(self) -> None:
        """End the processes."""
        for node in self.nodes:
            node.end()
