"""What stands for a password in the cluster's state, and how one is checked against it.

scrypt makes each guess cost 32 MiB of memory and a tenth of a second, for an attacker who has the
database file as much as for this node: so it runs in a thread of its own, one at a time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

import msgspec

LENGTH_MAX: Final = 1024
COST: Final = 15
"""The logarithm of scrypt's N. Kept with each hash, so that it can be raised for those to come."""
_BLOCK: Final = 8
_MEMORY_BYTES_MAX: Final = 256 << 20


class Hashed(msgspec.Struct, array_like=True, frozen=True):
    """A hash, and what it takes to compute it again."""

    cost: int
    block: int
    salt: bytes
    digest: bytes


def hashed(password: str) -> bytes:
    """What may be kept of a password. Takes a tenth of a second."""
    salt = secrets.token_bytes(16)
    return msgspec.msgpack.encode(Hashed(COST, _BLOCK, salt, _digest(password, salt, COST, _BLOCK)))


def matches(secret: bytes, password: str) -> bool:
    """Whether this is the password; takes as long when it is not."""
    kept = msgspec.msgpack.decode(secret, type=Hashed)
    return hmac.compare_digest(_digest(password, kept.salt, kept.cost, kept.block), kept.digest)


def _digest(password: str, salt: bytes, cost: int, block: int) -> bytes:
    return hashlib.scrypt(
        password.encode()[:LENGTH_MAX],
        salt=salt,
        n=1 << cost,
        r=block,
        p=1,
        maxmem=_MEMORY_BYTES_MAX,
        dklen=32,
    )


def problem_of(password: str) -> str | None:
    """Why a password can't be taken."""
    if len(password) < 8:
        return "a password has 8 characters at least"
    if len(password.encode()) > LENGTH_MAX:
        return f"a password has at most {LENGTH_MAX} bytes"
    return None
