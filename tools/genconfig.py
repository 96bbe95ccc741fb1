"""Write the tables in the documents that the code defines; with --check, only compare."""

import sys
from pathlib import Path

from raftsql.server import configuration, metrics

DOCS = Path(__file__).parent.parent / "docs"


def written(page: str, name: str, table: str) -> str:
    """The page, with the table between its marks as it is now."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, began, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not began or not ended:
        sys.exit(f"a page has lost the marks around its table of {name}")
    return f"{before}{begin}{table}\n{end}{after}"


def main() -> None:
    """Settings and metrics, each to its page."""
    for page, name, table in (
        ("configuration.md", "settings", configuration.table()),
        ("operating.md", "metrics", metrics.table()),
    ):
        text = (DOCS / page).read_text()
        if "--check" not in sys.argv:
            (DOCS / page).write_text(written(text, name, table))
        elif written(text, name, table) != text:
            sys.exit(f"docs/{page} is stale, run `make configuration`")


if __name__ == "__main__":
    main()
