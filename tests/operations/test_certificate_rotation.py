"""Certificates and their CA are replaced under load, as docs/operating.md says."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import raftsql as driver
from raftsql.server.places import places
from tests.operations.load import Load
from tests.operations.nodes import FAST
from tests.operations.page import Operator, block
from tests.security.authority import Authority
from tests.security.secured import OFFSET, pair_of_ports
from tests.server.processes import Node, until

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(180)]

ROTATION = "Certificate rotation"


class Machine(Node):
    """A node whose certificate lies in a folder of its own, and an operator before it."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        way = f"raftsql://127.0.0.1:{pair_of_ports()}/?sslrootcert={authority.certificate}"
        super().__init__(folder, address=places(way)[0])
        self.etc = folder.with_name(folder.name + "-etc")
        self.etc.mkdir()
        self.give(authority, "node")
        shutil.copy(authority.certificate, self.etc / "ca.crt")
        self._operator = Operator(
            folder.with_name(folder.name + "-operator"), {"/etc/raftsql": str(self.etc)}, self._ctl
        )

    def settle(self, addresses: list[str]) -> None:
        etc = self.etc
        self.flags = [
            *FAST, "--join", ",".join(addresses), "--bootstrap-expect", str(len(addresses)),
            "--tls-cert", str(etc / "node.crt"), "--tls-key", str(etc / "node.key"),
            "--tls-ca", str(etc / "ca.crt"),
        ]  # fmt: skip

    def give(self, authority: Authority, name: str) -> None:
        """Put a certificate and its key on the machine."""
        certificate, key = authority.sign(f"{self.folder.name}-{name}")
        shutil.copy(certificate, self.etc / f"{name}.crt")
        shutil.copy(key, self.etc / f"{name}.key")

    def _ctl(self, verb: str) -> None:
        assert verb == "reload"
        assert self.process is not None
        heard = self.says().count("the settings were read again")
        os.kill(self.process.pid, signal.SIGHUP)
        until(lambda: self.says().count("the settings were read again") > heard, "the news")

    def follows(self, first: str) -> None:
        self._operator.follows(block(ROTATION, first))

    def shown(self, offset: int = 0) -> bytes:
        """The certificate that a new connection is shown, as it is on the wire."""
        port = int(self.address.rpartition(":")[2]) + offset
        return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port), timeout=10))

    @property
    def own(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert((self.etc / "node.crt").read_text())


def url(machines: list[Machine], ca: Path) -> str:
    return f"raftsql://{','.join(m.address for m in machines)}/?sslrootcert={ca}"


def wait_until(done: Callable[[], bool], what: str) -> None:
    until(done, what)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "old-ca")


@pytest.fixture
def machines(tmp_path: Path, authority: Authority) -> Iterator[list[Machine]]:
    made = [Machine(tmp_path / f"node{number}", authority) for number in (1, 2, 3)]
    try:
        for machine in made:
            machine.settle([one.address for one in made])
            machine.start()
        for machine in made:
            machine.wait_for(lambda s: sum(m["voter"] for m in s["members"]) == 3, "three voters")
        yield made
    finally:
        for machine in made:
            machine.end()


def test_certificates_are_replaced_under_load(
    machines: list[Machine], authority: Authority
) -> None:
    with Load(url(machines, authority.certificate)) as load:
        load.goes_on(wait_until)
        for machine in machines:
            before = machine.own
            machine.give(authority, "new")
            machine.follows("mv /etc/raftsql/new.key")
            said = f"the certificate in {machine.etc / 'node.crt'} was replaced"
            # Once for clients, and once for peers.
            until(lambda it=machine, text=said: it.says().count(text) == 2, "its word")  # type: ignore[misc]
            assert machine.shown() == machine.own != before
            load.goes_on(wait_until)
        for machine in machines:
            _restarted(machine)
            load.goes_on(wait_until)
    assert load.errors == []


def test_the_authority_is_replaced_under_load(
    machines: list[Machine], authority: Authority, tmp_path: Path
) -> None:
    following = Authority(tmp_path, "new-ca")
    trusted = tmp_path / "clients-ca.crt"
    trusted.write_text(authority.certificate.read_text() + following.certificate.read_text())
    with Load(url(machines, trusted)) as load:
        load.goes_on(wait_until)
        for machine in machines:
            shutil.copy(following.certificate, machine.etc / "new-ca.crt")
            machine.follows("cat /etc/raftsql/new-ca.crt")
        for machine in machines:
            machine.give(following, "new")
            machine.follows("mv /etc/raftsql/new.key")
            # Every connection anew, in the middle of it: old and new certificates trust each other.
            _restarted(machine)
            load.goes_on(wait_until)
        for machine in machines:
            machine.follows("mv /etc/raftsql/new-ca.crt")
            assert (machine.etc / "ca.crt").read_bytes() == following.certificate.read_bytes()
        for machine in machines:
            _restarted(machine)
            load.goes_on(wait_until)
    assert load.errors == []
    with pytest.raises(driver.Unavailable):
        driver.connect(url(machines, authority.certificate), connect_timeout=3)
    with driver.connect(url(machines, following.certificate)) as connection:
        load.is_all_there(connection)


def test_the_port_of_the_peers_lets_in_only_the_new_authority(
    machines: list[Machine], authority: Authority, tmp_path: Path
) -> None:
    """Whoever of the nodes was first to see the new file."""
    machine, port = machines[0], int(machines[0].address.rpartition(":")[2]) + OFFSET

    def lets_in(of: Authority) -> bool:
        certificate, key = of.sign("caller")
        context = ssl.create_default_context(cadata=(machine.etc / "node-ca.crt").read_text())
        context.set_alpn_protocols(["h2"])
        context.load_cert_chain(certificate, key)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            try:
                with context.wrap_socket(plain, server_hostname="localhost") as wrapped:
                    return bool(wrapped.recv(1))
            except (ssl.SSLError, ConnectionError):
                return False

    shutil.copy(authority.certificate, machine.etc / "node-ca.crt")
    following = Authority(tmp_path, "new-ca")
    assert lets_in(authority)
    assert not lets_in(following)
    shutil.copy(following.certificate, machine.etc / "new-ca.crt")
    machine.follows("cat /etc/raftsql/new-ca.crt")
    assert lets_in(authority)
    assert lets_in(following)
    machine.follows("mv /etc/raftsql/new-ca.crt")
    assert lets_in(following)
    assert not lets_in(authority)


def _restarted(machine: Machine) -> None:
    ended = machine.says().count(" serves on ")
    assert machine.stop() == 0
    machine.start()
    until(lambda: machine.says().count(" serves on ") > ended, "it to serve again")
