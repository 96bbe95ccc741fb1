"""The console over TLS: where clients have it, as clients have it."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.console.browsing import Browser, served
from tests.security.authority import Authority


def flags(authority: Authority, *more: str) -> tuple[str, ...]:
    certificate, key = authority.sign("node")
    return (
        "--tls-cert", str(certificate), "--tls-key", str(key),
        "--tls-ca", str(authority.certificate), *more,
    )  # fmt: skip


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.certificate))


async def test_with_certificates_the_page_is_https_alone(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    async with served(tmp_path, *flags(authority)) as node:
        await node.add("root", role="admin")
        browser = Browser(node.address, tls=trusting(authority))
        reply = await browser.post("/api/login", {"user": "root", "password": "a long enough word"})
        assert reply.status == 200
        assert "Secure" in reply.headers["set-cookie"]
        own = {"origin": f"https://{node.address}"}
        assert (await browser.post("/api/query", {"sql": "SELECT 1"}, **own)).status == 200
        plain = {"origin": f"http://{node.address}"}
        assert (await browser.post("/api/query", {"sql": "SELECT 1"}, **plain)).status == 403
        with pytest.raises((OSError, EOFError)):
            await Browser(node.address).get("/api/me")
        with pytest.raises(ssl.SSLError):
            await Browser(node.address, tls=ssl.create_default_context()).get("/api/me")


async def test_a_new_certificate_serves_the_next_browser(tmp_path: Path) -> None:
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    async with served(tmp_path, *flags(old)) as node:
        assert node.encryption is not None
        assert (await Browser(node.address, tls=trusting(old)).get("/api/me")).status == 200
        new.sign("node")
        node.encryption.refresh()
        assert (await Browser(node.address, tls=trusting(new)).get("/api/me")).status == 200
        (tmp_path / "node.crt").write_text("no certificate")
        node.encryption.refresh()
        assert (await Browser(node.address, tls=trusting(new)).get("/api/me")).status == 200


async def test_where_clients_need_a_certificate_browsers_do(tmp_path: Path) -> None:
    authority, clients = Authority(tmp_path, "ca"), Authority(tmp_path, "clients")
    more = ("--tls-client-ca", str(clients.certificate))
    async with served(tmp_path, *flags(authority, *more)) as node:
        bare = trusting(authority)
        with pytest.raises((OSError, EOFError)):
            await Browser(node.address, tls=bare).get("/api/me")
        shown = trusting(authority)
        shown.load_cert_chain(*clients.sign("somebody"))
        assert (await Browser(node.address, tls=shown).get("/api/me")).status == 200
