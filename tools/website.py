"""What mkdocs does not do by itself: pages and sources outside of docs/, and a list of decisions.

The same Markdown is read in a checkout and on the site. Links that lead out of docs/ are made to
lead to a page of the site or to a copy of the source; a link to a folder, which nobody can open
there, becomes its text.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
TOP = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
}
"""Pages beside docs/, and what they are called on the site."""
DECISIONS = "decisions/index.md"
_LINK = re.compile(r"\[(?P<text>(?:[^\]\[]|\[[^\]]*\])*)\]\((?P<target>[^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add what does not lie in docs/."""
    for name, page in TOP.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=linked(text, ".", page, files, config)))
    text = "\n".join(
        ["# Decisions\n", "What was decided, why, and what was measured.\n", *titles()]
    )
    files.append(File.generated(config, DECISIONS, content=text + "\n"))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn the links of a page of docs/ that lead out of it."""
    if page.file.generated_by:
        return markdown
    folder = posixpath.dirname(posixpath.join("docs", page.file.src_uri))
    return linked(markdown, folder, page.file.src_uri, files, config)


def titles() -> list[str]:
    """A line for each decision."""
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    firsts = [page.read_text(encoding="utf-8").partition("\n")[0] for page in pages]
    return [
        f"- [{first.lstrip('# ')}]({page.name})" for first, page in zip(firsts, pages, strict=True)
    ]


def linked(text: str, folder: str, page: str, files: Files, config: Any) -> str:
    """The text of a page in a folder of the project, with links as the site has them."""

    def turned(link: re.Match[str]) -> str:
        target, mark, anchor = link["target"].partition("#")
        if "://" in target or not target:
            return link[0]
        goal = posixpath.normpath(posixpath.join(folder, target))
        there = placed(goal, files, config)
        if not there:
            return link["text"]
        return f"[{link['text']}]({relative(there, page)}{mark}{anchor})"

    pieces = re.split(r"(^```.*?^```|`[^`\n]*`(?!\]))", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(piece if k % 2 else _LINK.sub(turned, piece) for k, piece in enumerate(pieces))


def placed(goal: str, files: Files, config: Any) -> str:
    """Where a file of the project is on the site; empty for what is not there."""
    if goal in TOP:
        return TOP[goal]
    if goal == "docs/decisions":
        return DECISIONS
    if goal.startswith("docs/"):
        return goal.removeprefix("docs/")
    path = ROOT / goal
    if not path.is_file():
        return ""
    copy = f"source/{goal}.txt"
    if files.get_file_from_path(copy) is None:
        content = path.read_text(encoding="utf-8")
        files.append(File.generated(config, copy, content=content))
    return copy


def relative(there: str, page: str) -> str:
    """The link from one page of the site to a file of it."""
    return posixpath.relpath(there, posixpath.dirname(page) or ".")
