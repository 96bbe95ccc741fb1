"""Links lead somewhere: to files that are there, and to headings that are in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, anchors, links, name_of, pages

EVERY = [*pages(), *sorted((ROOT / "docs" / "decisions").glob("*.md"))]


def problem(page: Path, target: str) -> str:
    """Why a link leads nowhere; empty when it does not."""
    path, _, anchor = target.partition("#")
    goal = (page.parent / path).resolve() if path else page
    if not goal.exists():
        return f"{target}: there is no such file"
    if not goal.is_relative_to(ROOT):
        return f"{target}: it leads out of the project"
    if anchor and goal.suffix == ".md" and anchor not in anchors(goal):
        return f"{target}: {name_of(goal)} has no such heading"
    return ""


@pytest.mark.parametrize("page", EVERY, ids=name_of)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    inner = [target for target in links(page) if "://" not in target]
    assert [said for target in inner if (said := problem(page, target))] == []


def test_a_link_that_leads_nowhere_would_be_noticed(tmp_path: Path) -> None:
    page = ROOT / "README.md"
    assert "no such file" in problem(page, "docs/absent.md")
    assert "no such heading" in problem(page, "docs/driver.md#absent")
    assert "out of the project" in problem(page, "../../")
    assert problem(page, "docs/driver.md#connecting") == ""


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        waiting += [
            (page.parent / target.partition("#")[0]).resolve()
            for target in links(page)
            if "://" not in target
        ]
    assert [name_of(page) for page in pages() if page not in reached] == []
