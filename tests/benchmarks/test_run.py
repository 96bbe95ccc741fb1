"""Lines of a run: what fails or is not offered does not end it, and what was used is counted."""

import os
import subprocess
import sys

from benchmarks.histogram import Histogram
from benchmarks.machine import described
from benchmarks.peers.plain import PlainFile
from benchmarks.results import Measured, Report
from benchmarks.run import measured
from benchmarks.usage import cpu_seconds, family, own_cpu_seconds, resident_mb
from benchmarks.wire import Failed
from benchmarks.work import Work
from benchmarks.worker import packed, unpacked
from benchmarks.workloads import Load


class Broken:
    """A system that answers a kind of work with an error, and declines the others."""

    by = "broken"
    addresses = ("nowhere",)

    def run(self, work: Work, *, clients: int, seconds: float) -> Measured | None:
        if work.kind == "insert":
            raise Failed("no such table")
        return None

    def fill(self) -> None:
        raise AssertionError("not asked for")


def test_a_failed_line_is_noted_and_a_declined_one_left_out() -> None:
    report = Report(lambda text: None)
    with PlainFile() as servers:
        for work in (Work("insert"), Work("read")):
            assert measured(servers, Broken(), Load(work.kind, work), 1, 0.1, report) is None
    assert report.notes == ["broken: insert failed: no such table"]


def test_a_process_is_counted_with_its_children() -> None:
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        assert child.pid in family([os.getpid()])
        assert resident_mb(child.pid) > 0.0
    assert child.pid not in family([os.getpid()])
    assert (cpu_seconds(child.pid), resident_mb(child.pid)) == (0.0, 0.0)


def test_processor_time_grows_with_work() -> None:
    before = own_cpu_seconds()
    while own_cpu_seconds() == before:
        sum(range(1000))
    assert resident_mb() > 1.0


def test_what_a_worker_measured_survives_its_pipe() -> None:
    before = Measured(2, 1.5, Histogram([0.1, 0.2]), 0.25)
    after = unpacked(packed(before))
    assert after is not None
    assert (after.count, after.elapsed, after.client_cpu) == (2, 1.5, 0.25)
    assert after.latencies.quantile(1.0) == 0.2
    assert unpacked(packed(None)) is None


def test_the_machine_is_described_with_what_its_disk_takes() -> None:
    found = described()
    assert found["cores"] == os.cpu_count()
    assert int(str(found["sync_us"])) > 0
