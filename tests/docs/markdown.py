"""Pages as the tests read them: blocks of code, what they show, headings and links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(?P<kind>[\w-]*)\s*$")
_MARK = re.compile(r"^<!-- (?P<mark>[\w-]+(?:: [\w.-]+)?) -->$")
_HEADING = re.compile(r"^#{1,6} (?P<text>.+?)\s*$")
_LINK = re.compile(r"(?<!!)\[(?:[^\]\[]|\[[^\]]*\])*\]\((?P<target>[^)\s]+)\)")


def pages() -> list[Path]:
    """Every page that a reader meets."""
    top = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")]
    return [*(page for page in top if page.exists()), *sorted((ROOT / "docs").glob("*.md"))]


def name_of(page: Path) -> str:
    """How the tests call a page."""
    return str(page.relative_to(ROOT))


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of code: where it stands, what it is written in, and the mark above it, if any."""

    page: Path
    line: int
    kind: str
    text: str
    mark: str = ""

    @property
    def place(self) -> str:
        """For people."""
        return f"{name_of(self.page)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The fenced and the indented blocks of a page, in their order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    found: list[Block] = []
    at = 0
    while at < len(lines):
        if fence := _FENCE.match(lines[at]):
            end = lines.index("```", at + 1)
            mark = _MARK.match(lines[at - 1]) if at else None
            text = "\n".join(lines[at + 1 : end])
            kind = fence["kind"] or "plain"
            found.append(Block(page, at + 2, kind, text, mark["mark"] if mark else ""))
            at = end
        elif lines[at].startswith("    ") and (at == 0 or not lines[at - 1].strip()):
            end = at
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            text = "\n".join(line[4:] for line in lines[at:end]).rstrip()
            found.append(Block(page, at + 1, "indented", text))
            at = end - 1
        at += 1
    return found


def prose(page: Path) -> str:
    """The page without its blocks of code, in which nothing is a link or a heading."""
    lines = page.read_text(encoding="utf-8").splitlines()
    for block in blocks(page):
        for number in range(block.line - 1, block.line + block.text.count("\n")):
            lines[number] = ""
    return "\n".join(lines)


def anchors(page: Path) -> set[str]:
    """What may stand after the # of a link to the page."""
    found: set[str] = set()
    for line in prose(page).splitlines():
        if heading := _HEADING.match(line):
            plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading["text"]).lower()
            slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
            found.add(slug)
    return found


def links(page: Path) -> list[str]:
    """The targets of all links of a page."""
    text = re.sub(r"`[^`]*`", "", prose(page))
    return [link["target"] for link in _LINK.finditer(text)]
