"""The page's own files: read from beside this module, never from anywhere else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from starlette.responses import Response

from raftsql.server.console.guarding import Asked
from raftsql.server.console.problems import Problem

FOLDER: Final = Path(__file__).parent / "page"
KINDS: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*\.([a-z]+)")


async def index(_: Asked) -> Response:
    """The page."""
    return _file("index.html")


async def static(asked: Asked) -> Response:
    """What belongs to it."""
    return _file(str(asked.request.path_params["name"]))


def _file(name: str) -> Response:
    found = _NAME.fullmatch(name)
    kind = KINDS.get(found[1]) if found is not None else None
    if kind is None:
        raise Problem(404, "not_found", "there is no such file")
    try:
        content = (FOLDER / name).read_bytes()
    except OSError:
        raise Problem(404, "not_found", "there is no such file") from None
    return Response(content, headers={"cache-control": "no-cache", "content-type": kind})
