"""A node as the suite starts it: the real program, with a disk and a clock that can be spoiled.

`python -m tests.faults.node FOLDER [--plant NAME] -- serve …` puts its layers between the product
and the system, plants a bug if it is told to, and then runs the program's own `main` in this
process. The product knows nothing of it: what is here is put around it from outside.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.faults import clocks, disks
from tests.faults.knobs import Knobs
from tests.faults.lives import What, diary
from tests.faults.network import LINKS_VARIABLE

DIARY: Final = "life"
"""The file in which a node notes what becomes of it."""
FUEL_UNITS: Final = 1_000
"""Thousands of steps that one command may burn."""


def main(arguments: list[str]) -> int:
    """Prepare this process, and become a node."""
    split = arguments.index("--")
    own, serve = arguments[:split], arguments[split + 1 :]
    folder = Path(own[0])
    knobs = Knobs(folder / "knobs")
    clocks.install(knobs)
    disks.install(knobs, folder / "undo")
    give_little_fuel()
    keep_a_diary(diary(folder / DIARY))
    if LINKS_VARIABLE in os.environ:
        dial_through(json.loads(os.environ[LINKS_VARIABLE]))
    if own[1:2] == ["--plant"]:
        from tests.faults.planted import plant

        plant(own[2])
    from raftsql.server.cli import main as program

    return program(serve)


def give_little_fuel() -> None:
    """Let a runaway write end after milliseconds: its bound is another, and works the same."""
    from raftsql.cluster.requests import DEFAULT_FUEL, Write
    from raftsql.cluster.transactions import Step

    for request in (Write, Step):
        given = request.__init__.__defaults__ or ()
        assert DEFAULT_FUEL in given, "its fuel is a default of its making"
        request.__init__.__defaults__ = tuple(  # type: ignore[misc]
            FUEL_UNITS if default == DEFAULT_FUEL else default for default in given
        )


def keep_a_diary(note: Callable[[What, str], None]) -> None:
    """Note when it takes part, in which role, with whom, and when it gives up."""
    from raftsql.cluster.runner import Runner
    from raftsql.raft.ready import RoleName

    start, role_changed = Runner.start, Runner.role_changed
    applied, fail = Runner._applied, Runner.fail
    known: list[Any] = [None]

    def noted_start(self: Any, transport: Any) -> None:
        start(self, transport)
        note(What.SERVES, "")

    def noted_role_changed(self: Any, change: Any) -> None:
        leads = change.role is RoleName.LEADER
        note(What.LEADS if leads else What.FOLLOWS, str(change.term))
        role_changed(self, change)

    def noted_applied(self: Any, entries: Any, answers: Any) -> None:
        applied(self, entries, answers)
        if self.node.membership is not known[0]:
            known[0] = self.node.membership
            note(What.VOTERS, ",".join(map(str, sorted(known[0].voters))))

    def noted_fail(self: Any, error: BaseException) -> None:
        note(What.ENDED, "")
        fail(self, error)

    Runner.start = noted_start  # type: ignore[method-assign]
    Runner.role_changed = noted_role_changed  # type: ignore[method-assign]
    Runner._applied = noted_applied  # type: ignore[method-assign]
    Runner.fail = noted_fail  # type: ignore[method-assign]


def dial_through(doors: dict[str, str]) -> None:
    """Reach other nodes by these addresses instead of their own."""
    from raftsql.rpc.channels import Roads

    right = Roads.place

    def place(self: Any, address: str) -> str:
        there = right(self, address)
        return doors.get(there, there)

    Roads.place = place  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
