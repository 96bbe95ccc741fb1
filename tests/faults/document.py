"""Tables go into documents by program: no number there is typed."""

from __future__ import annotations

import re
from pathlib import Path


def put(path: Path, name: str, text: str) -> None:
    """Replace what stands in the document between the marks of this name."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    before = path.read_text()
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    after, count = pattern.subn(lambda _: f"{begin}\n{text.strip()}\n{end}", before)
    if count != 1:
        raise ValueError(f"{path} has {count} places that are marked {name!r}, not one")
    path.write_text(after)
