"""Until when a certificate is valid: the one thing of it that Python's ssl does not tell.

A certificate is nested records of a tag, a length and a content (DER). What is read here was taken
by OpenSSL before.
"""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime
from typing import Final

WARNING_DAYS: Final = 30
"""From then on the log speaks of it whenever the certificate is read."""

_FIRST: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_VERSION: Final = 0xA0
_TWO_DIGIT_YEAR: Final = 0x17
_LONG: Final = 0x80


def valid_until(content: bytes) -> datetime | None:
    """The end of the first certificate of a PEM file; None where there is none to be read."""
    found = _FIRST.search(content)
    if found is None:
        return None
    (_, certificate), *_ = _records(ssl.PEM_cert_to_DER_cert(found[0].decode("ascii")))
    (_, signed), *_ = _records(certificate)
    fields = _records(signed)
    if fields[0][0] == _VERSION:
        del fields[0]
    _serial, _algorithm, _issuer, (_, validity), *_ = fields
    _begin, (kind, end) = _records(validity)
    return _time(kind, end.decode("ascii"))


def warning(until: datetime | None, now: datetime) -> str:
    """What is wrong with the end of a certificate, if it is near or past."""
    if until is None or (until - now).days >= WARNING_DAYS:
        return ""
    if until <= now:
        return f"expired on {until:%Y-%m-%d %H:%M} UTC: whoever checks it can't connect"
    return f"expires on {until:%Y-%m-%d %H:%M} UTC: replace it before"


def _records(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(data):
        tag, size = data[at], data[at + 1]
        at += 2
        if size & _LONG:
            digits = size - _LONG
            size = int.from_bytes(data[at : at + digits])
            at += digits
        found.append((tag, data[at : at + size]))
        at += size
    return found


def _time(kind: int, text: str) -> datetime:
    if kind == _TWO_DIGIT_YEAR:  # From 1950 to 2049, says X.509.
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
