"""What this machine's processor and C library make of numbers, as one digest to be compared.

`sin`, `exp` or `pow` come from the C library, whose results differ in the last bit between versions
and processors; whether a text is read into a number through 80 bits or 64 depends on the build. A
command that stores such a result would store another on a node of another kind. No command can pin
that, so nodes compare beforehand: the digest is part of the fingerprint, and a node that computes
otherwise may not join.

It is a probe: two libraries that agree on every argument here, and differ elsewhere, pass it. So
the arguments are those at which implementations part: large angles, whose reduction needs many
digits of pi, results near a tie, and the ends of the range.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Any, Final

import apsw

_ONE: Final = (
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
    "exp", "ln", "log10", "log2", "sqrt", "radians", "degrees", "ceil", "floor", "trunc", "abs",
)  # fmt: skip
_TWO: Final = ("pow", "atan2", "mod", "log", "round")

_EDGES: Final = (
    0.0, -0.0, 0.1, 0.5, 0.7, 1.0, 1.5, 2.0, 2.5, 3.0, 10.0, 0.9999999999999999, 1.0000000000000002,
    3.141592653589793, 1.5707963267948966, 2.718281828459045, 1e-8, 1e-300, 5e-324, 2.2e-308,
    22.0, 355.0, 710.4, 1e5, 1e15, 1e16, 1e22, 6381956970095103.0 * 2.0**797, 1.7e308, 9e307,
    4.35, 0.3, 1.005, 2.675, 1.0 / 3, 123456.789, 4503599627370497.5, 9007199254740993.0,
)  # fmt: skip

_TEXTS: Final = (
    "0.1", "1e23", "9007199254740993", "2.2250738585072011e-308", "2.2250738585072012e-308",
    "4.9e-324", "2.4703282292062328e-324", "1.7976931348623157e308", "1.7976931348623159e308",
    "0.500000000000000166533453693773481063544750213623046875", "8.5e-1", "1.15", "1e-400",
    "123456789012345678901234567890", "3.518437208883201171875e13", "62.5364939768271845828",
    "8.10109172351e-10", "1.50000000000000011102230246251565", "9007199254740991.4999999999999",
    "6.631236846766476e-316", "3.2378839133029012895883524125015321748630094e-319",
)  # fmt: skip

_PRINTED: Final = ("%.17g", "%!.20g", "%.15g", "%.3f", "%!.0f", "%e")


def arguments() -> list[float]:
    """The edges, and a few hundred numbers between them by a rule that no build can change."""
    drawn, state = list(_EDGES), 1
    for _ in range(300):
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        exponent = 1023 + (state >> 52) % 80 - 40
        bits = (state & 1) << 63 | exponent << 52 | state >> 12
        drawn.append(struct.unpack("<d", struct.pack("<Q", bits))[0])
    return drawn


def probe() -> str:
    """A digest of what SQLite answers here to all of it."""
    return digest(apsw.Connection(":memory:"))


def digest(connection: apsw.Connection) -> str:
    """The same, asked of a connection."""
    summed = hashlib.sha256()
    for results in _results(connection):
        for value in results:
            summed.update(struct.pack("<d", value) if isinstance(value, float) else b"")
            summed.update(repr(value).encode() + b"\n")
    return summed.hexdigest()


def _results(connection: apsw.Connection) -> list[tuple[Any, ...]]:
    numbers = arguments()
    one = ", ".join(f"{name}(?1)" for name in _ONE)
    two = ", ".join(f"{name}(?1, ?2)" for name in _TWO)
    printed = ", ".join(f"printf('{form}', ?1)" for form in _PRINTED)
    asked: list[tuple[str, list[tuple[Any, ...]]]] = [
        (f"SELECT {one}, CAST(?1 AS TEXT), CAST(?1 AS INTEGER)", [(x,) for x in numbers]),
        (f"SELECT {two}, ?1 * ?2, ?1 / ?2, ?1 + ?2", list(zip(numbers, numbers[7:], strict=False))),
        (f"SELECT {printed}, json_quote(?1)", [(x,) for x in numbers]),
        ("SELECT CAST(?1 AS REAL), ?1 + 0, json_extract(?1, '$')", [(text,) for text in _TEXTS]),
        (
            "SELECT datetime(?1, 'auto', '+1.1 days'), julianday(?1, 'auto')",
            [(x,) for x in numbers],
        ),
    ]
    results = [
        tuple(connection.execute(sql, each).fetchall()[0]) for sql, rows in asked for each in rows
    ]
    sums = "SELECT sum(value), avg(value), total(value), sum(value * 0.1) FROM json_each(?)"
    small = repr([x for x in numbers if abs(x) < 1e9 and x == x])
    return [*results, tuple(connection.execute(sums, (small,)).fetchall()[0])]
