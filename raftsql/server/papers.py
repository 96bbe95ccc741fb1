"""Certificates for `raftsql up --tls`: an authority that signs one certificate and is forgotten.

Made by the program `openssl`, which is there wherever this is tried (decision 0146). The key of the
authority never leaves a folder that is removed at once: whoever trusts it trusts this certificate,
which names the loopback addresses of this machine and nothing else. Real clusters have certificates
of a CA that outlives them: see docs/security.md.
"""

from __future__ import annotations

import secrets
import subprocess
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

DAYS: Final = 365
RENEWED_SECONDS: Final = 30 * 86_400
"""What is valid for less is made anew with the next start."""
OPENSSL_SECONDS_MAX: Final = 30.0

_CONFIGURATION: Final = """
[req]
distinguished_name = name
prompt = no
[name]
CN = raftsql up
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[node]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
"""
_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class NoPapers(Exception):
    """They can't be made; why."""


class Papers(NamedTuple):
    """What a node shows, and what others check it by."""

    certificate: Path
    key: Path
    authority: Path

    @property
    def flags(self) -> list[str]:
        """For `raftsql serve`."""
        return [
            "--tls-cert", str(self.certificate), "--tls-key", str(self.key),
            "--tls-ca", str(self.authority),
        ]  # fmt: skip


def papers_in(folder: Path) -> Papers:
    """Those that are there from the last time, or new ones. Raises NoPapers."""
    papers = Papers(folder / "node.crt", folder / "node.key", folder / "ca.crt")
    if not _still_good(papers):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        with tempfile.TemporaryDirectory(dir=folder) as workshop:
            _make(Path(workshop))
            for path in papers:
                (Path(workshop) / path.name).replace(path)
    return papers


def _still_good(papers: Papers) -> bool:
    if not all(path.exists() for path in papers):
        return False
    soon = ("-checkend", str(RENEWED_SECONDS), "-noout")
    return all(
        not _openssl("x509", *soon, "-in", path).returncode
        for path in (papers.certificate, papers.authority)
    )


def _make(folder: Path) -> None:
    configuration, serial = folder / "openssl.cnf", f"0x{secrets.token_hex(15)}"
    configuration.write_text(_CONFIGURATION)
    days = ("-sha256", "-days", str(DAYS))
    named = ("-config", configuration)
    authority = ("-keyout", folder / "ca.key", "-out", folder / "ca.crt")
    request = ("-keyout", folder / "node.key", "-out", folder / "node.csr")
    signer = ("-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-set_serial", serial)
    extensions = ("-extfile", configuration, "-extensions", "node")
    _done("req", "-x509", *_KEY, *days, *authority, *named, "-extensions", "authority")
    _done("req", *_KEY, *request, *named)
    _done(
        "x509", "-req", *days, "-in", folder / "node.csr", "-out", folder / "node.crt", *signer,
        *extensions,
    )  # fmt: skip


def _done(*arguments: str | Path) -> None:
    done = _openssl(*arguments)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise NoPapers(f"openssl could not make the certificates: {last}")


def _openssl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False,
            timeout=OPENSSL_SECONDS_MAX, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoPapers(
            f"--tls needs the program openssl, which makes the certificates ({error}): install "
            "it, or leave --tls out"
        ) from error
