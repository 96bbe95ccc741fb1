"""Tokens: who somebody is, signed with a key of the cluster, so that a call costs no hash.

Any node can make one and any node can check it, since the keys are in the replicated state. A
token names the password that it was got for (by the log index at which that was set), so a new
password, or the user's removal, ends it at once; else it ends by itself after a while.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

import msgspec

from raftsql.sql.access import Access, Key, User

PREFIX: Final = "rt1."
TOKEN_SECONDS: Final = 900
NODE_SECONDS: Final = 60


class Claim(msgspec.Struct, array_like=True, frozen=True):
    """What a token says."""

    key: int
    expires_ms: int
    user: str
    """Empty: a node of the cluster."""
    since: int = 0


def for_user(access: Access, user: User, now_ms: int) -> str:
    """A token for a user; empty while the cluster has no key."""
    return _signed(access, now_ms + TOKEN_SECONDS * 1000, user.name, user.since)


def for_node(access: Access, now_ms: int) -> str:
    """A token by which a node shows others that it holds the cluster's keys."""
    return _signed(access, now_ms + NODE_SECONDS * 1000, "", 0)


def _signed(access: Access, expires_ms: int, user: str, since: int) -> str:
    if not access.keys:
        return ""
    key = access.keys[-1]
    body = msgspec.msgpack.encode(Claim(key.number, expires_ms, user, since))
    return f"{PREFIX}{_text(body)}.{_text(_mac(key, body))}"


def read(access: Access, token: str, now_ms: int) -> Claim | None:
    """What a token says, if it is genuine and its time is not over."""
    try:
        head, mac = (_bytes(part) for part in token.removeprefix(PREFIX).split("."))
        claim = msgspec.msgpack.decode(head, type=Claim)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        return None
    key = next((key for key in access.keys if key.number == claim.key), None)
    if key is None or not hmac.compare_digest(_mac(key, head), mac):
        return None
    return claim if claim.expires_ms > now_ms else None


def _mac(key: Key, body: bytes) -> bytes:
    return hmac.new(key.secret, body, hashlib.sha256).digest()


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
