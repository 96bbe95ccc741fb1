"""The documentation as pages: built strictly, whole, and with nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, pages

pytest.importorskip("material", reason="the group docs is not installed")
pytestmark = [pytest.mark.long, pytest.mark.e2e]

LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""What a browser fetches by itself when it opens a page."""


class Seen(HTMLParser):
    """The places that a page has, leads to, and loads from."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.places: set[str] = {""}
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.places.add(known.get("id") or "")
        if tag == "a" and known.get("href"):
            self.links.append(str(known["href"]))
        if tag in LOADS and known.get("rel") != "canonical" and known.get(LOADS[tag]):
            self.loads.append(str(known[LOADS[tag]]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Seen]:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
        check=False, timeout=110,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return {page: Seen(page) for page in folder.rglob("*.html")}


def test_every_page_is_there_and_in_the_menu(site: dict[Path, Seen]) -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    built = {page.stem for page in site}
    for page in pages():
        name = "index" if page.stem == "README" else page.stem.lower()
        assert name in built
        assert f"{name}.md" in menu


def test_every_link_of_the_site_leads_somewhere(site: dict[Path, Seen]) -> None:
    lost = []
    for page, seen in site.items():
        for link in seen.links:
            target, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", link) or page.name == "404.html":
                continue
            goal = (page.parent / target).resolve() if target else page
            if not goal.exists() or (goal in site and anchor not in site[goal].places):
                lost.append(f"{page.name}: {link}")
    assert lost == []


def test_nothing_is_loaded_from_elsewhere(site: dict[Path, Seen]) -> None:
    elsewhere = [
        load for seen in site.values() for load in seen.loads if re.match("(?:https?:)?//", load)
    ]
    assert elsewhere == []
    folder = next(page.parent for page in site if page.name == "404.html")
    for sheet in folder.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", sheet.read_text(encoding="utf-8"))
