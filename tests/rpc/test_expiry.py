"""Until when a certificate is valid, beside what OpenSSL reads in it."""

from __future__ import annotations

import logging
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from raftsql.rpc.expiry import WARNING_DAYS, valid_until, warning
from raftsql.rpc.tls import Certificates, TlsFiles
from tests.security.authority import Authority

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def openssl_says(path: Path) -> datetime:
    command = ["openssl", "x509", "-enddate", "-noout", "-dateopt", "iso_8601", "-in", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return datetime.fromisoformat(
        told.strip().removeprefix("notAfter=").removesuffix("Z") + "+00:00"
    )


# The year is written in two digits until 2049, and in four from then on.
@pytest.mark.parametrize("days", [1, 365, 20_000, -1])
def test_the_end_of_a_certificate_is_read(tmp_path: Path, days: int) -> None:
    certificate, _ = Authority(tmp_path, "authority").sign("node", days)
    assert valid_until(certificate.read_bytes()) == openssl_says(certificate)


def test_of_a_chain_the_first_counts_whatever_stands_before_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.sign("node", 5)
    chain = b"about it\n" + b"".join(
        path.read_bytes() for path in (key, certificate, authority.certificate)
    )
    assert valid_until(chain) == openssl_says(certificate)


def test_where_there_is_no_certificate_nothing_is_said() -> None:
    assert valid_until(b"nothing") is None
    assert warning(None, NOW) == ""


def test_what_ends_soon_is_spoken_of_and_what_has_ended_differently() -> None:
    assert warning(NOW + timedelta(days=WARNING_DAYS), NOW) == ""
    assert "expires on 2026-11-22 00:00" in warning(NOW + timedelta(days=1), NOW)
    assert "expired on 2026-11-20 00:00" in warning(NOW - timedelta(days=1), NOW)


def test_a_node_says_that_what_it_shows_has_expired(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate, key = Authority(tmp_path, "authority").sign("node", -1)
    with caplog.at_level(logging.WARNING):
        read = Certificates(TlsFiles(certificate, key))
    assert f"the certificate in {certificate} expired on" in caplog.text
    assert read.valid_until() == openssl_says(certificate)
