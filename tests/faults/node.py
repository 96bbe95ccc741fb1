"""A node as the suite starts it: the real program, with a disk and a clock that can be spoiled.

`python -m tests.faults.node FOLDER [--plant NAME] -- serve …` puts its layers between the product
and the system, plants a bug if it is told to, and then runs the program's own `main` in this
process. The product knows nothing of it: what is here is put around it from outside.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.faults import clocks, disks
from tests.faults.knobs import Knobs


def main(arguments: list[str]) -> int:
    """Prepare this process, and become a node."""
    split = arguments.index("--")
    own, serve = arguments[:split], arguments[split + 1 :]
    folder = Path(own[0])
    knobs = Knobs(folder / "knobs")
    clocks.install(knobs)
    disks.install(knobs, folder / "undo")
    if own[1:2] == ["--plant"]:
        from tests.faults.planted import plant

        plant(own[2])
    if own[1:2] == ["--links"]:
        raise SystemExit("the network's own flags belong into the environment")
    from raftsql.server.cli import main as program

    return program(serve)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
