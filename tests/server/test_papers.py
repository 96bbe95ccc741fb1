"""The certificates of a cluster that was made to try things on."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path

import pytest

from raftsql.server import papers as module
from raftsql.server.papers import NoPapers, papers_in

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes them")


@needs_openssl
def test_they_are_made_once_and_found_again(tmp_path: Path) -> None:
    papers = papers_in(tmp_path / "certificates")
    made = [path.read_bytes() for path in papers]
    assert [path.read_bytes() for path in papers_in(tmp_path / "certificates")] == made
    ssl.create_default_context(cafile=papers.authority).load_cert_chain(
        papers.certificate, papers.key
    )


@needs_openssl
def test_the_authoritys_key_is_nowhere_and_the_nodes_key_is_its_own(tmp_path: Path) -> None:
    papers = papers_in(tmp_path / "certificates")
    assert sorted(path.name for path in papers.key.parent.iterdir()) == [
        "ca.crt", "node.crt", "node.key",
    ]  # fmt: skip
    assert papers.key.parent.stat().st_mode & 0o077 == 0
    assert papers.key.stat().st_mode & 0o077 == 0


@needs_openssl
def test_what_ends_soon_is_made_anew_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    papers = papers_in(tmp_path)
    made = [path.read_bytes() for path in papers]
    monkeypatch.setattr(module, "RENEWED_SECONDS", 400 * 86_400)
    again = [path.read_bytes() for path in papers_in(tmp_path)]
    assert all(old != new for old, new in zip(made, again, strict=True))


def test_without_openssl_it_is_said_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoPapers, match="needs the program openssl"):
        papers_in(tmp_path / "certificates")
