"""One secured node for the tests that leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.security.secured import Secured


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A node with certificates and users."""
    made = Secured(tmp_path_factory.mktemp("secured"))
    try:
        yield made.start().people()
    finally:
        made.stop()
