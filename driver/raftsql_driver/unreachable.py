"""Why a node can't be reached, in few words, and what is probably wrong with the URL.

gRPC tells that a connection failed and not what that means: a node that expects TLS just closes
the socket of a client that speaks plainly.
"""

from __future__ import annotations

import re
from typing import Final

_WRAPPING: Final = re.compile(
    r".*last error: |[A-Z_]+: ipv[46]:\S+: |Failed to connect to remote host: "
    r"|errors resolving .*lookup failed for \S+ (?=.*\]$)",
    re.DOTALL,
)

_MEANT: Final = {"Internal error from Core": "the connection broke off"}
"""gRPC's word for a stream that ended while something was written to it."""

_ENCRYPTED: Final = (
    (
        "WRONG_VERSION_NUMBER",
        "TLS is not spoken there: is the URL to be without sslrootcert and sslmode?",
    ),
    ("certificate has expired", "the certificate shown there has expired"),
    ("CERTIFICATE_VERIFY_FAILED", "sslrootcert has to name the CA of the certificate shown there"),
    ("Failed to create security handshaker", "sslrootcert or sslcert holds no certificate"),
)
_PLAIN: Final = (
    ("Socket closed", "if TLS is spoken there, name its CA: ?sslrootcert=FILE"),
)  # fmt: skip


def plain(details: str) -> str:
    """gRPC's words for why a node can't be reached, without its own layers around them."""
    if details in _MEANT:
        return _MEANT[details]
    bare = _WRAPPING.sub("", details)
    return bare if len(bare) == len(details) else bare.rstrip("]")


def hint(details: str, *, tls: bool) -> str:
    """What was probably meant otherwise, by whom a first call failed in this way; else nothing."""
    return next((told for mark, told in (_ENCRYPTED if tls else _PLAIN) if mark in details), "")
