"""Any history of saves, compactions, resets, faults and crashes, against a simple model."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from raftsql.storage.errors import JournalPoisoned
from tests.simulator.faulty_files import Fault, MemoryFiles, PowerLoss
from tests.storage.histories import Append, Compact, Model, Reset, Step, Vote, do, held, opened

SEEDS = st.integers(0, 1 << 30)
STEPS = st.one_of(
    st.builds(
        Append,
        count=st.integers(1, 70),
        payload_bytes=st.one_of(st.integers(0, 80), st.integers(0, 3000)),
        replaced=st.one_of(st.just(0), st.integers(0, 120)),
        new_term=st.booleans(),
    ),
    st.just(Vote()),
    st.builds(Compact, percent=st.integers(1, 100)),
    st.builds(Reset, ahead=st.integers(-30, 30)),
)


class JournalMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.files = MemoryFiles()
        self.journal = opened(self.files)
        self.model = Model()

    @rule(step=STEPS)
    def a_step(self, step: Step) -> None:
        self.model = do(self.journal, self.model, step)

    @rule(step=STEPS, fault=st.sampled_from(Fault), call=st.integers(1, 8), seed=SEEDS)
    def a_step_with_a_fault(self, step: Step, fault: Fault, call: int, seed: int) -> None:
        before = self.model
        self.files.fail_at(call, fault)
        try:
            self.model = do(self.journal, before, step)
        except (JournalPoisoned, PowerLoss) as stopped:
            self.files.forget_faults()
            self._restart(
                [before, before.after(step)], crash=isinstance(stopped, PowerLoss), seed=seed
            )
        self.files.forget_faults()

    @rule(seed=SEEDS, crash=st.booleans(), clean=st.booleans())
    def a_restart(self, seed: int, crash: bool, clean: bool) -> None:
        if clean:
            self.journal.close()
        self._restart([self.model], crash=crash, seed=seed)

    @rule(seed=SEEDS, fault=st.sampled_from(Fault), call=st.integers(1, 20))
    def a_restart_with_a_fault(self, seed: int, fault: Fault, call: int) -> None:
        self.files.crash(Random(seed))
        self.files.fail_at(call, fault)
        try:
            self.journal = opened(self.files)
        except (JournalPoisoned, PowerLoss) as stopped:
            self.files.forget_faults()
            self._restart([self.model], crash=isinstance(stopped, PowerLoss), seed=seed)
        self.files.forget_faults()

    @invariant()
    def the_journal_holds_what_the_model_holds(self) -> None:
        assert held(self.journal) == self.model

    def _restart(self, allowed: list[Model], *, crash: bool, seed: int) -> None:
        if crash:
            self.files.crash(Random(seed))
        self.journal = opened(self.files)
        self.model = held(self.journal)
        assert self.model in allowed


JournalMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, print_blob=True
)
test_any_history_is_kept = JournalMachine.TestCase
