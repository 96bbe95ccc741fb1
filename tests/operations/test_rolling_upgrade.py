"""Two releases in one cluster: nodes are upgraded one by one under load, and nobody notices.

The second release is this one under another number; and once with another SQLite, as far as a
fingerprint can tell.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import raftsql as driver
from tests.operations.load import Load
from tests.operations.nodes import FAST
from tests.operations.page import ROOT, Operator, block, environment
from tests.server.processes import Cluster, Node, until

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(180)]

NEXT = "9.9.9"
ROLLING, UPGRADE = "Rolling restart and upgrade", "Upgrade"
PAGES_FINGERPRINT = "raftsql 1, SQLite 3.54.1 0123456789abcdef"


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def next_release(folder: Path, *, another_sqlite: bool) -> Path:
    """The code of this one with another number, and perhaps another fingerprint."""
    for name in ("raftsql", "driver", "shell", "proto"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    init = folder / "raftsql" / "__init__.py"
    changed(init, f'__version__ = "{driver.__version__}"', f'__version__ = "{NEXT}"')
    if another_sqlite:
        database = folder / "raftsql" / "database" / "environment.py"
        changed(
            database, "        numbers.probe(),\n", '        numbers.probe(),\n        "next",\n'
        )
    return folder


class Machine(Node):
    """A node with a file of settings, a release that is installed, and an operator before it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.release = ROOT
        self.config = folder.with_suffix(".toml")

    def settle(self, addresses: list[str]) -> None:
        self.config.write_text(f"join = {addresses}\nbootstrap_expect = {len(addresses)}\n")
        self.flags = ["--config", str(self.config), *FAST]

    def start(self) -> Machine:
        assert self.process is None, "it runs already"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                cwd=self.release, env=environment(self.release),
            )  # fmt: skip
        return self

    def operator(self, **places: str) -> Operator:
        """Who sits before this machine, as it is now; `fingerprint` is whom to let in."""
        number = len(list(self.folder.parent.glob("operator*")))
        return Operator(
            self.folder.parent / f"operator{number}",
            {
                "/etc/raftsql/node.toml": str(self.config),
                "10.0.0.1:4001": self.address,
                PAGES_FINGERPRINT: places.get("fingerprint", "nobody's"),
            },
            self._systemctl,
            self.release,
        )

    def _systemctl(self, verb: str) -> None:
        if verb == "reload":
            assert self.process is not None
            heard = self.says().count("the settings were read again")
            os.kill(self.process.pid, signal.SIGHUP)
            until(lambda: self.says().count("the settings were read again") > heard, "the news")
        else:
            assert verb == "restart"
            assert self.stop() == 0
            self.start()

    def versions(self) -> list[str]:
        return [member["version"] for member in self.status().get("members", [])]


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[list[Machine]]:
    cluster = Cluster(tmp_path)
    made = [Machine(tmp_path / f"node{number}") for number in (1, 2, 3)]
    cluster.nodes += made
    try:
        for machine in made:
            machine.settle([one.address for one in made])
            machine.start()
        until(lambda: sum(m["voter"] for m in made[0].status().get("members", [])) == 3, "votes")
        yield made
    finally:
        cluster.end()


def wait_until(done: object, what: str) -> None:
    until(done, what)  # type: ignore[arg-type]


def wait_until_known(machines: list[Machine], versions: list[str]) -> None:
    """Every node knows what every node runs."""
    for machine in machines:
        until(lambda it=machine: sorted(map(str, it.versions())) == versions, "the news")  # type: ignore[misc]


def leader_last(machines: list[Machine]) -> list[Machine]:
    until(lambda: any(machine.leads() for machine in machines), "a leader")
    return sorted(machines, key=lambda machine: machine.leads())


def url(machines: list[Machine]) -> str:
    return f"raftsql://{','.join(machine.address for machine in machines)}/"


def upgraded(machine: Machine, release: Path) -> None:
    """As the page says: the restart, and the wait until the node says that it is ready."""
    machine.release = release
    members, restart, look = block(ROLLING, "raftsql members")
    operator = machine.operator()
    operator.follows([members, restart])
    until(lambda: '"ready": true' in operator.types(look).stdout, "it to be ready")


def fingerprint_of(release: Path, folder: Path) -> str:
    operator = Operator(folder, {}, lambda _: None, release)
    (said,) = operator.follows(block(UPGRADE, "raftsql version")[:1])
    name, _, found = said.stdout.splitlines()[1].partition(": ")
    assert name == "fingerprint"
    return found


def test_two_releases_work_together_and_no_request_fails(
    machines: list[Machine], tmp_path: Path
) -> None:
    release = next_release(tmp_path / "next", another_sqlite=False)
    with Load(url(machines)) as load:
        load.goes_on(wait_until)
        for count, machine in enumerate(leader_last(machines), 1):
            upgraded(machine, release)
            load.goes_on(wait_until)
            wait_until_known(machines, [driver.__version__] * (3 - count) + [NEXT] * count)
            shown = machine.operator().follows(block(UPGRADE, "raftsql backup")[1:])[0].stdout
            assert shown.count(NEXT) == count
            assert shown.count(driver.__version__) == 3 - count
    with driver.connect(url(machines)) as connection:
        load.is_all_there(connection)


def test_a_release_with_another_sqlite_is_passed_through_as_the_page_says(
    machines: list[Machine], tmp_path: Path
) -> None:
    release = next_release(tmp_path / "next", another_sqlite=True)
    old = machines[0].status()["fingerprint"]
    new = fingerprint_of(release, tmp_path / "look")
    assert old != new
    allow, forget = block(UPGRADE, "echo"), block(UPGRADE, "sed")
    with Load(url(machines)) as load:
        load.goes_on(wait_until)
        for machine in machines:
            machine.operator(fingerprint=new).follows(allow)
        for machine in leader_last(machines):
            machine.operator(fingerprint=old).follows([forget[0], allow[0]])
            upgraded(machine, release)
            load.goes_on(wait_until)
        for machine in machines:
            machine.operator().follows(forget[:2])
            assert "allow_fingerprint" not in machine.config.read_text()
        (compared,) = machines[0].operator().follows(forget[2:])
        assert "all nodes are equal" in compared.stdout
    with driver.connect(url(machines)) as connection:
        load.is_all_there(connection)
    assert {machine.status()["fingerprint"] for machine in machines} == {new}


def test_a_release_with_another_sqlite_that_nobody_was_told_of_is_kept_out(
    machines: list[Machine], tmp_path: Path
) -> None:
    release = next_release(tmp_path / "next", another_sqlite=True)
    machine = leader_last(machines)[0]
    machine.stop()
    machine.release = release
    machine.start()
    until(lambda: "Install the same versions" in machine.says(), "the refusal")
    assert NEXT in "".join(one.says() for one in machines)
    assert not machine.status()["ready"]
