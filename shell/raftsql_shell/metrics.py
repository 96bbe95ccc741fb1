"""A node's metrics as a table that a person can read.

They come as Prometheus' text, of which a person wants less: a histogram is shown as how often,
its median and its 99th percentile, and what tells of the Python beneath is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from raftsql_shell.look import Row

COLUMNS: Final = ("metric", "value", "median ms", "99% ms")
PREFIX: Final = "raftsql_"
_KEPT: Final = (PREFIX, "process_")
_SAMPLE: Final = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:\\.|[^"\\])*)"')
_PART: Final = re.compile(r"_(bucket|count|sum)\Z")


@dataclass(slots=True)
class Histogram:
    """How often something happened, and how many of those took no longer than each bound."""

    buckets: list[tuple[float, float]] = field(default_factory=list)
    count: float = 0.0

    def quantile(self, part: float) -> float | None:
        """What this part stayed under, as if those between two bounds were spread evenly."""
        wanted, low, below = self.count * part, 0.0, 0.0
        if not self.count:
            return None
        for bound, upto in self.buckets:
            if upto >= wanted and upto > below:
                if bound == float("inf"):
                    return low
                return low + (bound - low) * (wanted - below) / (upto - below)
            low, below = bound, upto
        return None


def rows(text: str, pattern: str = "") -> tuple[list[Row], dict[str, str]]:
    """A row for each metric whose name holds the pattern, and what their names mean."""
    helps = dict(re.findall(r"^# HELP (\S+) (.*)$", text, re.MULTILINE))
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    wanted = pattern.casefold().strip("%*")
    found: list[Row] = []
    about: dict[str, str] = {}
    for name, labels, value in _values(text, kinds):
        shown = name.removeprefix(PREFIX)
        if wanted not in shown or not name.startswith(_KEPT) or name.endswith("_info"):
            continue
        about[shown] = helps.get(name, "")
        found.append((shown + labels, *_shown(value)))
    return found, about


def _values(text: str, kinds: dict[str, str]) -> Iterator[tuple[str, str, float | Histogram]]:
    """Each metric once, with its labels; the samples of a histogram are brought together."""
    histograms: dict[tuple[str, str], Histogram] = {}
    for line in text.splitlines():
        sample = _SAMPLE.match(line)
        if sample is None or line.startswith("#"):
            continue
        name, value = sample[1], float(sample[3])
        labels = dict(_LABEL.findall(sample[2] or ""))
        base = _PART.sub("", name)
        if kinds.get(base) != "histogram":
            yield name, _listed(labels), value
            continue
        bound = labels.pop("le", None)
        key = (base, _listed(labels))
        histogram = histograms.setdefault(key, Histogram())
        if bound is not None:
            histogram.buckets.append((float(bound), value))
        elif name.endswith("_count"):
            histogram.count = value
        else:  # The sum comes last.
            yield base, key[1], histogram


def _listed(labels: dict[str, str]) -> str:
    return " " + " ".join(f"{name}={value}" for name, value in labels.items()) if labels else ""


def _shown(value: float | Histogram) -> tuple[float, float | None, float | None]:
    if not isinstance(value, Histogram):
        return (int(value) if value.is_integer() else value), None, None
    return int(value.count), _milliseconds(value.quantile(0.5)), _milliseconds(value.quantile(0.99))


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
