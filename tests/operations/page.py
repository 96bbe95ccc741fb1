"""docs/operating.md, followed to the letter: its commands are run as they are printed there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "operating.md").read_text()
COMMAND_SECONDS = 60.0


def environment(release: Path = ROOT) -> dict[str, str]:
    """What a process needs so that it runs the code in this folder, and no settings of ours."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("RAFTSQL_")}
    rooms = [release / name for name in (".", "driver", "shell", "proto")]
    return {**plain, "PYTHONPATH": ":".join(str(room) for room in rooms)}


def section(title: str) -> str:
    """The text under a heading, up to the next one of its level."""
    match = re.search(rf"^(#+) {re.escape(title)}$", PAGE, re.MULTILINE)
    assert match is not None, f"the page has no section {title!r}"
    rest = PAGE[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def block(title: str, first: str) -> list[str]:
    """The commands of a section's block that begins with `first`, without their comments."""
    blocks = re.findall(r"(?:^    .*\n)+", section(title), re.MULTILINE)
    for found in blocks:
        lines = [line.partition(" # ")[0].strip() for line in found.splitlines()]
        lines = [line for line in lines if line and not line.startswith("#")]
        if lines and lines[0].startswith(first):
            return lines
    raise AssertionError(f"no block of {title!r} begins with {first!r}")


class Operator:
    """Types what the page says, in a shell, at this machine's places instead of the page's."""

    def __init__(
        self,
        folder: Path,
        places: Mapping[str, str],
        systemctl: Callable[[str], None],
        release: Path = ROOT,
        serve: Callable[[list[str]], None] | None = None,
    ) -> None:
        """`places` are the page's words and this cluster's; `systemctl` starts and stops nodes, and
        `serve` runs one with these arguments beside the shell."""
        self._places = dict(places)
        self._systemctl = systemctl
        self._serve = serve
        self._folder = folder
        programs = folder / "bin"
        programs.mkdir(parents=True)
        raftsql = programs / "raftsql"
        raftsql.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m raftsql.server "$@"\n')
        raftsql.chmod(0o755)
        self._environment = environment(release)
        self._environment["PATH"] = f"{programs}:{os.environ['PATH']}"

    def types(self, line: str) -> subprocess.CompletedProcess[str]:
        """One line of the page, whatever comes of it."""
        words = line.split()
        if words[0] == "systemctl":
            assert words[2:] == ["raftsql"]
            self._systemctl(words[1])
            return subprocess.CompletedProcess(words, 0, "", "")
        for there, here in self._places.items():
            line = line.replace(there, here)
        if line.startswith("raftsql serve ") and self._serve is not None:
            self._serve(line.split()[2:])
            return subprocess.CompletedProcess(words, 0, "", "")
        return subprocess.run(
            ["bash", "-c", line], env=self._environment, cwd=self._folder, text=True,
            capture_output=True, timeout=COMMAND_SECONDS, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def follows(self, lines: list[str]) -> list[subprocess.CompletedProcess[str]]:
        """All of them, each of which succeeds."""
        done = []
        for line in lines:
            one = self.types(line)
            assert one.returncode == 0, f"{line}: {one.stdout}{one.stderr}"
            done.append(one)
        return done
