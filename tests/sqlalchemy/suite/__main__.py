"""SQLAlchemy's dialect suite on a cluster of three nodes, or on plain SQLite to compare with.

python -m tests.sqlalchemy.suite [--aio | --pysqlite] [what else pytest takes]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.nodes import Nodes

HERE = Path(__file__).parent


def main(arguments: list[str]) -> int:
    """Run the suite, and end as pytest does."""
    driver = "raftsql"
    for flag in ("--aio", "--pysqlite"):
        if flag in arguments:
            arguments.remove(flag)
            driver = flag.removeprefix("--")
    if driver == "pysqlite":
        with tempfile.TemporaryDirectory() as folder:
            return _suite(f"sqlite:///{folder}/suite.db", arguments)
    with Nodes(3) as nodes:
        hosts = "&".join(f"host={address}" for address in nodes.addresses)
        scheme = "raftsql+aio" if driver == "aio" else "raftsql"
        return _suite(f"{scheme}://?{hosts}", arguments)


def _suite(url: str, arguments: list[str]) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(HERE / "setup.cfg"), str(HERE)]
    return subprocess.run([*command, "--dburi", url, *arguments], cwd=HERE).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
