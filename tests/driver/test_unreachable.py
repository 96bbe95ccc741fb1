"""Why a node can't be reached, and what the URL has wrong: `raftsql_driver.unreachable`."""

from __future__ import annotations

import pytest

from raftsql_driver.unreachable import hint, plain


@pytest.mark.parametrize(
    ("details", "words"),
    [
        (
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "
            "Failed to connect to remote host: Connection refused",
            "Connection refused",
        ),
        (
            "errors resolving db:4001: [field:hostname lookup error:address lookup failed for "
            "db:4001: Domain name not found]",
            "Domain name not found",
        ),
        ("this node belongs to no cluster yet: try another", None),
        ("Internal error from Core", "the connection broke off"),
        ("unreadable [frames]", None),
        ("", None),
    ],
)
def test_why_a_node_can_not_be_reached_is_said_in_few_words(
    details: str, words: str | None
) -> None:
    assert plain(details) == (details if words is None else words)


@pytest.mark.parametrize(
    ("details", "tls", "told"),
    [
        ("Socket closed", False, "?sslrootcert=FILE"),
        ("Tls handshake failed: SSL_ERROR_SSL: WRONG_VERSION_NUMBER", True, "without sslrootcert"),
        ("CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate", True, "name the CA"),
        ("CERTIFICATE_VERIFY_FAILED: certificate has expired", True, "has expired"),
        ("Failed to create security handshaker.", True, "holds no certificate"),
    ],
)
def test_what_is_wrong_with_the_url_is_told(details: str, tls: bool, told: str) -> None:
    assert told in hint(details, tls=tls)


def test_nothing_is_guessed_of_a_node_that_is_not_there() -> None:
    for tls in (True, False):
        assert hint("Connection refused", tls=tls) == ""
    assert hint("Socket closed", tls=True) == "", "it did speak TLS"
