"""Backups packed as people pack files, and what is said where that can't be."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO

import pytest

from raftsql.server import compression


@pytest.mark.parametrize("method", compression.METHODS)
def test_what_is_packed_is_known_by_its_beginning_and_read_again(method: str) -> None:
    content = b"row " * 100_000
    out = BytesIO()
    with compression.packed(method, out) as file:
        file.write(content)
    assert len(out.getvalue()) < len(content) // 10
    assert out.getvalue().startswith(compression.PACKED)
    out.seek(0)
    again = compression.unpacked(out)
    assert again is not None
    with again as file:
        assert file.read() == content


def test_what_is_not_packed_is_left_alone() -> None:
    file = BytesIO(b"SQLite format 3\0")
    assert compression.unpacked(file) is None
    assert file.tell() == 0


@pytest.mark.parametrize("method", compression.METHODS)
def test_a_packed_file_that_was_cut_is_an_error_that_is_expected(method: str) -> None:
    out = BytesIO()
    with compression.packed(method, out) as file:
        file.write(bytes(range(256)) * 1000)
    again = compression.unpacked(BytesIO(out.getvalue()[:-8]))
    assert again is not None
    with pytest.raises(compression.errors()), again as file:
        file.read()


def test_without_the_package_zstd_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['backports.zstd'] = sys.modules['compression.zstd'] = None\n"
        "from raftsql.server.compression import packed\n"
        "packed('zstd', None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert "CannotPack: zstd needs a package: pip install 'raftsql[zstd]'" in done.stderr
