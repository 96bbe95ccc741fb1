"""docs/sqlalchemy.md: every example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")

from sqlalchemy import Engine

pytestmark = pytest.mark.e2e
PAGE = Path(__file__).parents[2] / "docs" / "sqlalchemy.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = [
    (TEXT[: match.start()].count("\n") + 2, match[1])
    for match in re.finditer(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
]


@pytest.mark.parametrize(("line", "code"), EXAMPLES, ids=[f"line {line}" for line, _ in EXAMPLES])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_every_example_runs(line: int, code: str, engine: Engine) -> None:
    for module in re.findall(r"^(?:import|from) (alembic|pandas|polars)\b", code, re.MULTILINE):
        pytest.importorskip(module)
    names = {"__name__": "example", "url": engine.url.render_as_string()}
    exec(compile("\n" * (line - 1) + code, str(PAGE), "exec"), names)
