"""What a report tells: the gap a fault made, a violation's story, and many runs in a table."""

from __future__ import annotations

from pathlib import Path

from tests.driver.exactly_once.ledger import Fate
from tests.faults.history import Operation, Violation
from tests.faults.report import Totals, is_alone, summary, text, windows, write
from tests.faults.run import Outcome, Struck
from tests.faults.workloads.registers import Registers


def made(*writes: float) -> Outcome:
    """A run in which registers were written at these times."""
    registers = Registers(1)
    for at in writes:
        registers.history.operations.append(Operation(0, "write", 1, at, at - 0.01, at, Fate.DONE))
    return Outcome(1, "none", 10.0, [], workloads=[registers])


EVERY_SECOND = (1.0, 2.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)


def test_the_longest_time_without_a_write_is_told_of_the_fault_that_made_it() -> None:
    outcome = made(*EVERY_SECOND)
    outcome.struck = [Struck("kill", 2.1, 3.0, "node 1"), Struck("isolate", 7.5, 8.0, "")]
    assert [round(gap, 2) for _, gap in windows(outcome)] == [2.5, 1.0]
    assert "longest without a write 2.50 s" in summary(outcome)


def test_a_fault_beside_another_one_is_not_alone() -> None:
    outcome = made(*EVERY_SECOND)
    kill, pause = Struck("kill", 2.0, 3.0, ""), Struck("pause", 2.5, 3.0, "")
    outcome.struck = [kill, pause, later := Struck("kill", 6.0, 7.0, "")]
    assert [is_alone(one, outcome) for one in (kill, pause, later)] == [False, False, True]


def test_a_violation_is_told_with_its_story_as_text_and_as_a_picture(tmp_path: Path) -> None:
    outcome = made(*EVERY_SECOND)
    outcome.struck = [Struck("kill", 2.1, 3.0, "node 1")]
    outcome.violations = [
        Violation("register 7 is not <linearizable>", outcome.workloads[0].history.operations[:2])
    ]
    outcome.logs = {2: "what node 2 said"}
    path = write(outcome, tmp_path)
    told = path.read_text()
    assert "register 7 is not <linearizable>" in told
    assert told.count("client 0: write") == 2
    picture = path.with_suffix(".html").read_text()
    assert "register 7 is not &lt;linearizable&gt;" in picture
    assert picture.count("<svg") == 2
    assert "kill, 2.10 to 3.00 s" in picture
    assert (tmp_path / "seed-1-node2.log").read_text() == "what node 2 said"


def test_many_violations_are_cut_short() -> None:
    outcome = made(1.0)
    outcome.violations = [Violation(f"the {number}th") for number in range(50)]
    assert "and 30 more" in text(outcome)


def test_many_runs_are_a_table() -> None:
    totals = Totals()
    for gap in (1.0, 2.0, 3.0):
        outcome = made(1.0, 2.0, 2.0 + gap, 6.0, 7.0, 8.0, 9.0, 10.0)
        outcome.struck = [Struck("kill", 2.1, 2.2, "")]
        totals.add(outcome)
    told = str(totals)
    assert "3 rounds, 0.5 minutes under load, 24 operations, 3 faults, 0 violations" in told
    assert "| registers | 24 | 24 | 0 | 0 |" in told
    assert "| kill | 3 | 2.00 s, 3.00 s | 3.00 s |" in told
