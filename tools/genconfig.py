"""Write the table of settings in docs/configuration.md; with --check, only compare."""

import sys
from pathlib import Path

from raftsql.server.configuration import table

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"
BEGIN, END = "<!-- settings -->\n", "\n<!-- end of settings -->"


def written(page: str) -> str:
    """The page, with the table as it is now."""
    before, began, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not began or not ended:
        sys.exit(f"{PAGE} has lost the marks around its table")
    return before + BEGIN + table() + END + after


if __name__ == "__main__":
    text = PAGE.read_text()
    if "--check" not in sys.argv:
        PAGE.write_text(written(text))
    elif written(text) != text:
        sys.exit("docs/configuration.md is stale, run tools/genconfig.py")
