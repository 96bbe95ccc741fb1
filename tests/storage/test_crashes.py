"""A crash, or any fault, at every call of a history: the step in hand is done or not, no more."""

from __future__ import annotations

from itertools import count
from random import Random

import pytest

from raftsql.storage.errors import JournalPoisoned
from tests.simulator.faulty_files import Fault, MemoryFiles, PowerLoss
from tests.storage.histories import (
    Append,
    Compact,
    Model,
    Reopen,
    Reset,
    Step,
    Vote,
    do,
    held,
    opened,
)

SCRIPT: tuple[Step, ...] = (
    Append(count=3, payload_bytes=40),
    Append(count=30, payload_bytes=60),
    Vote(),
    Append(count=5, payload_bytes=700),
    Append(count=4, payload_bytes=30, replaced=6),
    Reopen(),
    Append(count=1, payload_bytes=9000),
    Compact(percent=60),
    Append(count=70, payload_bytes=50, new_term=True),
    Append(count=70, payload_bytes=50, replaced=90),
    Compact(percent=100),
    Append(count=8, payload_bytes=600),
    Reset(ahead=40),
    Append(count=12, payload_bytes=600),
    Reopen(),
    Reset(ahead=-4),
    Append(count=2, payload_bytes=3),
)
AFTERWARDS: tuple[Step, ...] = (
    Append(count=2, payload_bytes=500, replaced=1),
    Vote(),
    Append(count=9, payload_bytes=100),
)


def play(files: MemoryFiles, steps: tuple[Step, ...], model: Model) -> list[Model]:
    """Open and do the steps; [what is held], or [before, after] where a fault struck."""
    try:
        journal = opened(files)
    except (JournalPoisoned, PowerLoss):
        return [model]
    assert held(journal) == model
    for step in steps:
        try:
            after = do(journal, model, step)
            if isinstance(step, Reopen):
                journal = opened(files)
        except (JournalPoisoned, PowerLoss):
            return [model, model.after(step)]
        model = after
    return [model]


def recovered(files: MemoryFiles, allowed: list[Model]) -> Model:
    """Open after a fault: what is held must be one of the allowed."""
    files.forget_faults()
    found = held(opened(files))
    assert found in allowed
    return found


def calls_of_script() -> int:
    files = MemoryFiles()
    [model] = play(files, SCRIPT, Model())
    assert recovered(files, [model]) == model
    return files.calls


SAME_KERNEL, POWER_LOSS = "in the same kernel", "after a power loss"


@pytest.mark.parametrize(
    ("fault", "restart"),
    [(fault, POWER_LOSS) for fault in Fault]
    + [(fault, SAME_KERNEL) for fault in Fault if fault is not Fault.POWER],
)
def test_a_fault_at_any_call_loses_nothing_acknowledged(fault: Fault, restart: str) -> None:
    struck = 0
    for call in range(1, calls_of_script()):
        for seed in range(3 if restart == POWER_LOSS else 1):
            files, chance = MemoryFiles(), Random(call * 100 + seed)
            files.fail_at(call, fault)
            allowed = play(files, SCRIPT, Model())
            struck += len(allowed) == 2
            if restart == POWER_LOSS:
                files.crash(chance)
            model = recovered(files, allowed)
            # Life goes on from there, through another power loss.
            [model] = play(files, AFTERWARDS, model)
            files.crash(chance)
            recovered(files, [model])
    assert struck > 20


def test_a_power_loss_while_recovering_loses_nothing_acknowledged() -> None:
    for call in range(1, calls_of_script(), 3):
        for again in count(1):
            files, chance = MemoryFiles(), Random(call * 1000 + again)
            files.fail_at(call, Fault.LOST_SYNC if call % 2 else Fault.POWER)
            allowed = play(files, SCRIPT, Model())
            if call % 4:
                files.crash(chance)
            files.forget_faults()
            files.fail_at(again, (Fault.POWER, Fault.LOST_SYNC, Fault.SHORT_WRITE)[again % 3])
            try:
                model = held(opened(files))
            except (PowerLoss, JournalPoisoned):
                files.crash(chance)
                model = recovered(files, allowed)
                [model] = play(files, AFTERWARDS, model)
                files.crash(chance)
                recovered(files, [model])
                continue
            assert model in allowed
            break
