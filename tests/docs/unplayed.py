"""What no test runs of the pages' blocks, and why. A key begins as the block or the line does."""

from __future__ import annotations

from typing import Final

UNPLAYED: Final[dict[tuple[str, str], str]] = {
    ("*", "pip install"): "tests use what is installed",
    ("ARCHITECTURE.md", "raftsql/\n"): "a picture of the folders",
    ("docs/configuration.md", "kill -HUP <pid>"): "tests/server/test_reloading.py does it",
    ("docs/driver.md", "raftsql://[user"): "how a URL is written",
    ("docs/driver.md", "Warning\n"): "a picture of the classes",
    ("docs/operating.md", "raftsql serve: the"): "a line of the log; test_disk_full.py has it",
    (
        "docs/operating.md",
        "mv /etc/raftsql/new",
    ): "no TLS there; tests/security rotates certificates",
    ("docs/operating.md", "cat /etc/raftsql/new"): "as above",
    ("docs/operating.md", "kubectl "): "no Kubernetes here; tests/deploy reads the files",
    ("docs/operating.md", "backup_to = "): "lines of a settings file; test_schedule.py sets them",
    ("docs/operating.md", '"backup": {'): "a part of a status; test_operating_page.py has it",
    ("docs/reliability.md", "10000 seeds"): "what a run of ten minutes ended with",
    ("docs/scripts.md", "pytest tests/raft --rewrite"): "it would change the scripts",
    ("docs/scripts.md", "# A voter gives"): "a script; tests/raft plays it",
    ("docs/security.md", "raftsql user add NAME"): "how the commands are written; tests/security",
    ("docs/security.md", '{"time": '): "a line of the audit log; tests/security has it",
    ("docs/shell.md", "raftsql [URL]"): "how the command line is written",
    ("docs/shell.md", ".import "): "tests/shell/test_import.py loads files",
    ("docs/sqlalchemy.md", "raftsql://[user"): "how a URL is written",
    (
        "docs/tracing.md",
        "raftsql serve --tracing",
    ): "tests/server/test_tracing.py traces",
    ("docs/tracing.md", "INSERT t  "): "a picture of spans",
}

LOOKED_AT: Final[dict[str, str]] = {
    "make": "make says with -n that it would know how",
    "python -m": "the module's --help names every flag",
}
"""Commands of minutes or hours, by their beginning: what a test does instead."""
