"""Read rounds on the leader and askings on a follower: no answer decides a later read."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from raftsql.raft.reads import Asking, LocalRead, ReadQueue, RemoteRead


def test_all_that_wait_share_a_round() -> None:
    queue = ReadQueue()
    queue.waiting += [LocalRead(1), RemoteRead(2, 9)]
    queue.begin(probe=5, read_index=30)
    queue.waiting.append(LocalRead(3))
    (round_,) = queue.confirmed(5)
    assert round_.readers == [LocalRead(1), RemoteRead(2, 9)]
    assert round_.read_index == 30
    assert queue.waiting == [LocalRead(3)]


def test_an_answer_to_an_older_probe_decides_no_round() -> None:
    queue = ReadQueue()
    queue.waiting.append(LocalRead(1))
    queue.begin(probe=5, read_index=30)
    assert queue.confirmed(4) == []
    assert queue.local() == [1]


def test_a_later_answer_decides_all_earlier_rounds() -> None:
    queue = ReadQueue()
    for probe in (5, 6, 9):
        queue.waiting.append(LocalRead(probe))
        queue.begin(probe=probe, read_index=probe)
    assert [round_.probe for round_ in queue.confirmed(8)] == [5, 6]
    assert queue.local() == [9]


def test_open_reads_of_own_clients_are_known_and_remote_ones_are_not_ours() -> None:
    queue = ReadQueue()
    queue.waiting += [LocalRead(1), RemoteRead(2, 9)]
    queue.begin(probe=5, read_index=30)
    queue.waiting += [LocalRead(3), RemoteRead(2, 10)]
    assert queue.local() == [1, 3]


@settings(deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(["read", "round", "answer"]), max_size=60), st.data())
def test_a_read_is_decided_once_and_by_a_later_probe(steps: list[str], data: st.DataObject) -> None:
    """The probe that decides a read was sent after the read was asked for."""
    queue, probe, asked_before, decided = ReadQueue(), 0, {}, set()
    for request, step in enumerate(steps):
        if step == "read":
            queue.waiting.append(LocalRead(request))
            asked_before[request] = probe
        elif step == "round" and queue.waiting:
            probe += 1
            queue.begin(probe=probe, read_index=0)
        elif step == "answer" and probe:
            answered = data.draw(st.integers(1, probe))
            for round_ in queue.confirmed(answered):
                for reader in round_.readers:
                    assert isinstance(reader, LocalRead)
                    assert reader.request not in decided
                    assert answered > asked_before[reader.request]
                    decided.add(reader.request)
    assert decided.isdisjoint(queue.local())
    assert decided | set(queue.local()) == set(asked_before)


class AskingMachine(RuleBasedStateMachine):
    """A follower's askings over a network that loses, repeats and reorders answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asking = Asking(first_round=70)
        self.clock = 0
        self.registered: dict[int, int] = {}
        self.begun: dict[int, int] = {}
        self.lease: dict[int, bool] = {}
        self.done: set[int] = set()

    @rule(lease=st.booleans())
    def read(self, lease: bool) -> None:
        self.clock += 1
        self.asking.wait(self.clock, lease=lease)
        self.registered[self.clock] = self.clock
        self.lease[self.clock] = lease

    @precondition(lambda self: self.asking.waiting or self.asking.asked)
    @rule()
    def ask(self) -> None:
        self.clock += 1
        again = bool(self.asking.asked)
        round_, lease = self.asking.begin(self.clock)
        assert round_ not in self.begun, "no number is used twice"
        assert not lease or (not again and all(self.lease[r] for r in self.asking.asked))
        self.begun[round_] = self.clock

    @precondition(lambda self: self.begun)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        round_ = data.draw(st.sampled_from(sorted(self.begun)))
        for request in self.asking.answered(round_):
            assert request not in self.done
            assert self.registered[request] < self.begun[round_], "asked for after it was asked"
            self.done.add(request)

    @rule()
    def give_up(self) -> None:
        self.done |= set(self.asking.give_up())

    @invariant()
    def every_read_is_open_or_decided(self) -> None:
        assert {*self.asking.asked, *self.asking.waiting} == set(self.registered) - self.done


TestAskings = AskingMachine.TestCase
TestAskings.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, derandomize=True
)
