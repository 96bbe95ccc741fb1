"""What a report tells: the gap a fault made, a violation's story, and many runs in a table."""

from __future__ import annotations

from pathlib import Path

from tests.driver.exactly_once.ledger import Fate
from tests.faults.history import Operation, Violation
from tests.faults.lives import Event, Phase, What
from tests.faults.report import summary, text, write
from tests.faults.results import Gap, is_alone, load, result_of
from tests.faults.run import Outcome, Struck
from tests.faults.totals import Totals
from tests.faults.workloads.registers import Registers

EVENTS = (
    *(Event(-3.0, node, What.STARTED) for node in (1, 2, 3)),
    *(Event(-2.0, node, What.SERVES) for node in (1, 2, 3)),
    Event(-2.0, 1, What.VOTERS, "1,2,3"),
    Event(-1.0, 1, What.LEADS, "2"),
    Event(2.1, 1, What.ENDED),
    Event(3.0, 1, What.STARTED),
    Event(3.5, 1, What.SERVES),
    Event(4.0, 2, What.LEADS, "3"),
)
"""Three nodes whose leader is killed."""


def made(*writes: float) -> Outcome:
    """A run in which registers were written at these times."""
    registers = Registers(1)
    for at in writes:
        registers.history.operations.append(Operation(0, "write", 1, at, at - 0.01, at, Fate.DONE))
    return Outcome(1, "none", 10.0, [], events=list(EVENTS), workloads=[registers])


EVERY_SECOND = (1.0, 2.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)


def test_the_longest_time_without_a_write_is_told_of_the_fault_that_made_it() -> None:
    outcome = made(*EVERY_SECOND)
    outcome.struck = [Struck("kill", 2.1, 3.0, "node 1"), Struck("isolate", 7.5, 8.0, "")]
    result = result_of(outcome)
    assert [round(one.gap.seconds, 2) for one in result.faults] == [2.5, 1.0]
    assert "longest without a write 2.50 s (electing 1.90, led 0.60)" in summary(result)


def test_what_the_fault_itself_makes_inevitable_is_told_apart() -> None:
    outcome = made(1.0, 2.0, 6.0, 7.0, 8.0, 9.0, 10.0)
    outcome.struck = [Struck("kill all", 2.1, 3.0, "")]
    outcome.events += [Event(2.1, 2, What.ENDED), Event(3.0, 2, What.STARTED)]
    outcome.events += [Event(3.8, 2, What.SERVES), Event(4.5, 2, What.LEADS, "4")]
    outcome.events.sort(key=lambda event: event.at)
    (faced,) = result_of(outcome).faults
    assert faced.gap.seconds == 4.0
    assert round(faced.gap.share(Phase.DOWN), 2) == 0.9
    assert round(faced.gap.share(Phase.STARTING), 2) == 0.5, "two of three are a majority"
    assert round(faced.beyond, 2) == 2.6


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
    assert "node 3" in picture
    assert "Violations: 1" in picture
    assert (tmp_path / "seed-1-node2.log").read_text() == "what node 2 said"


def test_many_violations_are_cut_short() -> None:
    outcome = made(1.0)
    outcome.violations = [Violation(f"the {number}th") for number in range(50)]
    assert "and 30 more" in text(outcome)


def test_many_runs_are_tables_made_from_what_was_kept_of_each(tmp_path: Path) -> None:
    for seed, gap in enumerate((1.0, 2.0, 3.0)):
        outcome = made(1.0, 2.0, 2.0 + gap, 6.0, 7.0, 8.0, 9.0, 10.0)
        outcome.seed = seed
        outcome.struck = [Struck("kill", 2.1, 2.2, "")]
        write(outcome, tmp_path / f"{seed}")
    results = load(tmp_path)
    assert results[2].faults[0].gap == Gap(
        2.0, 5.0, {"down": 0.0, "cut off": 0.0, "starting": 0.0, "electing": 1.9, "led": 1.1}
    )
    told = str(Totals(results))
    assert "3 rounds, 0.5 minutes under load, 24 operations, 3 faults, 0 violations" in told
    assert "| 1 | 3 | none | 8 | 8 | 1 | 2.00 s (electing 1.90, led 0.10) | 2.00 s | 0 |" in told
    assert "| registers | 24 | 24 | 0 | 0 |" in told
    assert "| kill | 3 | 2.00 s, 3.00 s | 0.00, 0.00, 1.90, 1.10 | 2.00 s, 3.00 s |" in told
