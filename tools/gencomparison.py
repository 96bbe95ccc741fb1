"""Write the ratios of docs/comparison.md and README.md from the table in docs/performance.md.

A measurement is told in one place; who compares takes it from there. --check only compares.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PEERS = ("rqlite", "etcd", "postgresql", "sqlite3")
PAGES = {
    "docs/comparison.md": None,
    "README.md": (
        "insert, 1 client",
        "insert, 64 clients",
        "insert, 256 clients",
        "batch of 1000 in a transaction",
        "3 statements, 64 clients",
        "linearizable read, 1 client",
        "linearizable read, 64 clients",
        "stale read, 64 clients",
    ),
}
"""The rows that a page shows; all of three nodes where it names none."""
ROWS_MIN = 5


def measured() -> dict[str, dict[str, str]]:
    """The table of three nodes: each workload's cells by their heading."""
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    lines = text[text.index("| workload |") :].splitlines()
    heads = [head.strip() for head in lines[0].strip("|").split("|")]
    found = {}
    for line in lines[2:]:
        if not line.startswith("|"):
            break
        cells = dict(zip(heads, (cell.strip() for cell in line[1:-1].split("|")), strict=True))
        if cells.get("nodes") == "3":
            found[cells["workload"]] = cells
    return found


def ratio(cell: str) -> str:
    """By how many times ours is better, as the table has it: in bold where it is worse."""
    found = re.search(r"\*{0,2}x[\d.]+\*{0,2}$", cell)
    return found[0].replace("x", "") if found else ""


def table(rows: tuple[str, ...] | None) -> str:
    """Our figures, and ours divided by each peer's."""
    known = measured()
    chosen = [known[row] for row in rows or known if row in known]
    if len(chosen) < ROWS_MIN:
        sys.exit("docs/performance.md names its workloads otherwise: see tools/gencomparison.py")
    lines = [f"| three nodes | raftsql | {' | '.join(f'to {peer}' for peer in PEERS)} |"]
    lines.append("|---|---|" + "---|" * len(PEERS))
    for cells in chosen:
        ours = cells["raftsql"].partition(" (")[0]
        ratios = " | ".join(ratio(cells.get(peer, "")) for peer in PEERS)
        lines.append(f"| {cells['workload']} | {ours} | {ratios} |")
    return "\n".join(lines)


def written(page: str, rows: tuple[str, ...] | None) -> str:
    """The page, with the table between its marks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    marked = re.compile(r"(<!-- ratios -->\n).*?(<!-- end of ratios -->)", re.DOTALL)
    if not marked.search(text):
        sys.exit(f"{page} has lost the marks around its ratios")
    return marked.sub(lambda found: f"{found[1]}{table(rows)}\n{found[2]}", text)


def main() -> None:
    """Each page."""
    for page, rows in PAGES.items():
        text = written(page, rows)
        if "--check" not in sys.argv:
            (ROOT / page).write_text(text, encoding="utf-8")
        elif text != (ROOT / page).read_text(encoding="utf-8"):
            sys.exit(f"{page} is stale, run `make configuration`")


if __name__ == "__main__":
    main()
