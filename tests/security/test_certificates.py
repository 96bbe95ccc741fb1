"""Certificates: who is believed, and how they are replaced while nodes run."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

import raftsql
from raftsql.rpc.tls import BadCertificates, Certificates, TlsFiles
from raftsql.server.certificates import tls_of
from raftsql.server.cli import main
from raftsql.server.settings import BadSettings, ServeSettings, check, demands_users
from tests.security.authority import Authority
from tests.security.secured import Secured
from tests.server import processes


def shown(port: int) -> bytes:
    """The certificate that a server shows, as it is on the wire."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port), timeout=10))


def der(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


@pytest.mark.e2e
def test_a_certificate_is_replaced_without_a_restart(tmp_path: Path) -> None:
    secured = Secured(tmp_path)
    try:
        secured.start().people()
        with secured.connect("root") as before:
            old = shown(secured.port)
            certificate, _ = secured.clients.sign("node1")
            assert shown(secured.port) == der(certificate) != old
            assert before.execute("SELECT 1").fetchall() == [(1,)]
        certificate.write_text("no certificate")
        assert shown(secured.port) != old, "what can't be used changes nothing"
        with secured.connect("root") as after:
            assert after.execute("SELECT what FROM secrets").fetchall() == [("hidden",)]
        assert "the certificate is not replaced" in secured.nodes[0].says()
    finally:
        secured.stop()


@pytest.mark.e2e
def test_a_driver_believes_only_whom_it_was_told_to(secured: Secured) -> None:
    other = secured.strangers.certificate
    for options in ({"sslrootcert": str(other)}, {"sslrootcert": "", "sslmode": "verify-full"}):
        with pytest.raises(raftsql.Unavailable):
            raftsql.connect(f"raftsql://127.0.0.1:{secured.port}/", connect_timeout=3, **options)
    with pytest.raises(raftsql.Unavailable, match="if TLS is spoken there, name its CA"):
        raftsql.connect(f"raftsql://127.0.0.1:{secured.port}/?sslmode=disable", connect_timeout=3)
    with pytest.raises(raftsql.InterfaceError, match="nowhere"):
        raftsql.connect(f"raftsql://127.0.0.1:{secured.port}/?sslrootcert=/nowhere")


@pytest.mark.e2e
def test_an_operator_is_told_what_is_wrong_with_the_url(
    secured: Secured, capsys: pytest.CaptureFixture[str]
) -> None:
    node = f"127.0.0.1:{secured.port}"
    assert main(["status", "--url", node]) == 3
    assert f"no answer from {node}: if TLS is spoken there" in capsys.readouterr().err
    for command in ("status", "verify"):
        url = f"raftsql://{node}/?sslrootcert={secured.strangers.certificate}"
        assert main([command, "--url", url]) == 3
        assert "has to name the CA of the certificate shown there" in capsys.readouterr().err
    done = processes.raftsql("status", "--url", url)
    assert done.stderr.count("\n") == 1, "gRPC's own words are not there too"


@pytest.mark.e2e
def test_a_named_node_is_asked_for_its_backup_as_the_url_says(
    secured: Secured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, copy = secured.url(secured.port, "root"), tmp_path / "copy.db"
    done = main(["backup", str(copy), "--node", "1", "--url", url])
    assert done == 0, capsys.readouterr().err
    assert copy.exists()


@pytest.mark.e2e
def test_clients_can_be_asked_for_certificates(tmp_path: Path) -> None:
    secured = Secured(tmp_path)
    customers = Authority(tmp_path, "for-customers")
    secured.nodes[0].flags += ["--tls-client-ca", str(customers.certificate)]
    certificate, key = customers.sign("customer")
    stranger, stranger_key = secured.strangers.sign("no-customer")
    try:
        node = secured.nodes[0].start()
        url = secured.url(secured.port)

        def connects(**options: Any) -> bool:
            try:
                raftsql.connect(url, connect_timeout=5, timeout=5, **options).close()
            except raftsql.Unavailable:
                return False
            return True

        from tests.server.processes import until

        until(lambda: connects(sslcert=str(certificate), sslkey=str(key)), "the node")
        assert not connects()
        assert not connects(sslcert=str(stranger), sslkey=str(stranger_key))
        assert node.process is not None
    finally:
        secured.stop()


def settings_of(tmp_path: Path, **more: Any) -> ServeSettings:
    nodes = Authority(tmp_path, "nodes")
    certificate, key = nodes.sign("node")
    named = {"tls_cert": str(certificate), "tls_key": str(key), "tls_ca": str(nodes.certificate)}
    return ServeSettings(**(named | {"advertise": "10.0.0.1:4001"} | more))


def test_clients_and_peers_may_not_share_an_authority(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    shared = settings_of(tmp_path, tls_client_ca=settings.tls_ca)
    assert tls_of(settings).roads.certificates is not None
    with pytest.raises(BadCertificates, match="same CA"):
        tls_of(shared)


def test_files_that_are_no_certificates_are_named(tmp_path: Path) -> None:
    nodes = Authority(tmp_path, "nodes")
    certificate, key = nodes.sign("node")
    _, other_key = nodes.sign("other")
    for bad in (
        TlsFiles(certificate, other_key),
        TlsFiles(certificate, tmp_path / "missing"),
        TlsFiles(key, key),
        TlsFiles(certificate, key, key),
    ):
        with pytest.raises(BadCertificates, match=str(tmp_path)):
            Certificates(bad)


def test_a_server_is_told_of_a_file_that_somebody_else_saw_first(tmp_path: Path) -> None:
    """Peers are called and served with the same certificate, in whatever order."""
    nodes = Authority(tmp_path, "nodes")
    certificate, key = nodes.sign("node")
    held = Certificates(TlsFiles(certificate, key, nodes.certificate))
    assert held._again() is None
    nodes.sign("node")
    assert held.refresh()
    assert held._again() is not None, "a handshake after it is with the new one"
    assert held._again() is None


def test_beyond_loopback_a_node_wants_certificates_and_users(tmp_path: Path) -> None:
    plain = ServeSettings(listen="0.0.0.0:4001", advertise="10.0.0.1:4001")
    with pytest.raises(BadSettings, match=r"--tls-cert, --tls-key and --tls-ca"):
        check(plain)
    check(ServeSettings(listen="0.0.0.0:4001", advertise="10.0.0.1:4001", insecure=True))
    safe = settings_of(tmp_path, listen="0.0.0.0:4001")
    check(safe)
    assert demands_users(safe)
    assert not demands_users(ServeSettings())
    assert demands_users(ServeSettings(auth="on"))


@pytest.mark.parametrize("missing", ["tls_cert", "tls_key", "tls_ca"])
def test_half_of_tls_is_refused(tmp_path: Path, missing: str) -> None:
    with pytest.raises(BadSettings, match=missing):
        check(settings_of(tmp_path, **{missing: ""}))
