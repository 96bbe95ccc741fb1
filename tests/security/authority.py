"""Certificates for tests, made by the tests: authorities, and what they sign."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1\n"
_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


class Authority:
    """One authority; `sign` makes a key and a certificate of it."""

    def __init__(self, folder: Path, name: str) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("openssl makes the certificates of these tests")
        self.folder = folder
        self.name = name
        self.certificate = folder / f"{name}.crt"
        self._key = folder / f"{name}.key"
        _openssl(
            "req", "-x509", *_KEY, "-keyout", self._key, "-out", self.certificate,
            "-days", "30", "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
        )  # fmt: skip

    def sign(self, name: str, days: int = 30) -> tuple[Path, Path]:
        """A certificate for this machine and its key; under the same name, they are replaced. With
        less than no days, it has expired."""
        key, request, made = (self.folder / f"{name}.{kind}" for kind in ("key", "csr", "crt"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(NAMES)
        new_key, new = key.with_suffix(".new-key"), made.with_suffix(".new-crt")
        _openssl("req", *_KEY, "-keyout", new_key, "-out", request, "-subj", f"/CN={name}")
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key,
            "-CAcreateserial", "-out", new, "-days", days, "-extfile", extensions,
        )  # fmt: skip
        new_key.replace(key)
        new.replace(made)
        return made, key


def _openssl(*arguments: str | Path | int) -> None:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
