"""One peer's progress: what may be sent, what is under way, and what an answer changes."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from raftsql.raft.config import Config
from raftsql.raft.progress import Probing, Progress, Replicating, Shipping

CONFIG = Config(node=1, cluster=1, inflight_messages_max=3, inflight_bytes_max=100)


class ProgressMachine(RuleBasedStateMachine):
    """Beside it: the peer's true log end, every append under way, and a window counted naively."""

    def __init__(self) -> None:
        super().__init__()
        self.progress = Progress(next_index=11, heard_at=0)
        self.peer = 5
        """The peer's log agrees with the leader's up to here."""
        self.last = 10
        self.flying: list[tuple[int, int]] = []
        """(prev, last) of appends under way."""
        self.answers: list[int] = []
        self.window: dict[int, int] = {}

    @rule(count=st.integers(0, 4))
    def propose(self, count: int) -> None:
        self.last += count

    @precondition(lambda self: self.progress.may_send(CONFIG))
    @rule(count=st.integers(0, 4), size=st.integers(0, 80))
    def send(self, count: int, size: int) -> None:
        it = self.progress
        prev = it.next_index - 1
        end = min(prev + count, self.last)
        self.flying.append((prev, end))
        streaming = isinstance(it.flow, Replicating)
        it.sent(end, size)
        if streaming and end > prev:
            self.window[end] = size
        if streaming:
            assert it.next_index == end + 1, "the next append follows this one"
        else:
            assert it.next_index == prev + 1, "a probe moves nothing"
            assert not it.may_send(CONFIG), "one probe at a time"

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def arrive(self, data: st.DataObject) -> None:
        prev, end = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        if prev <= self.peer:
            self.peer = max(self.peer, end)
            self.answers.append(end)

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), again=st.booleans())
    def answer(self, data: st.DataObject, again: bool) -> None:
        place = data.draw(st.integers(0, len(self.answers) - 1))
        match = self.answers[place] if again else self.answers.pop(place)
        before, was_shipping = self.progress.match, isinstance(self.progress.flow, Shipping)
        news = self.progress.accepted(match)
        assert news is (match > before)
        for end in [end for end in self.window if end <= match]:
            del self.window[end]
        if was_shipping and not news:
            assert isinstance(self.progress.flow, Shipping), "an old answer ends no shipping"
        else:
            assert isinstance(self.progress.flow, Replicating)

    @rule(back=st.integers(0, 20))
    def rejected(self, back: int) -> None:
        self.progress.probe_from(self.progress.next_index - back)
        self.window.clear()

    @rule(now=st.integers(0, 9))
    def ship(self, now: int) -> None:
        self.progress.ship(now)
        self.window.clear()

    @invariant()
    def what_is_sent_next_comes_after_what_is_there(self) -> None:
        assert self.progress.match < self.progress.next_index

    @invariant()
    def a_match_is_really_there(self) -> None:
        assert self.progress.match <= self.peer

    @invariant()
    def the_window_is_what_is_under_way(self) -> None:
        match self.progress.flow:
            case Replicating(inflight, size):
                assert size == sum(bytes_ for _, bytes_ in inflight)
                assert dict(inflight) == self.window
                assert len(inflight) <= CONFIG.inflight_messages_max
                full = len(inflight) == CONFIG.inflight_messages_max
                assert self.progress.may_send(CONFIG) is (
                    not full and size < CONFIG.inflight_bytes_max
                )
            case Probing(asked):
                assert self.progress.may_send(CONFIG) is not asked
            case Shipping():
                assert not self.progress.may_send(CONFIG)


TestProgressAgainstAPeer = ProgressMachine.TestCase
TestProgressAgainstAPeer.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, derandomize=True
)


def test_a_probe_never_asks_below_what_is_known() -> None:
    progress = Progress(next_index=10, heard_at=0, match=7)
    progress.probe_from(3)
    assert progress.next_index == 8


def test_an_answer_to_a_probe_starts_the_stream() -> None:
    progress = Progress(next_index=10, heard_at=0)
    progress.sent(12, 5)
    assert progress.accepted(12)
    assert isinstance(progress.flow, Replicating)
    assert progress.next_index == 13


def test_an_answer_below_the_snapshot_ends_its_shipping() -> None:
    """Accept an acknowledgement below the snapshot that is pending: the peer got on otherwise."""
    progress = Progress(next_index=10, heard_at=0, match=2)
    progress.ship(now=5)
    assert progress.accepted(4)
    assert isinstance(progress.flow, Replicating)
    assert progress.next_index == 5


def test_an_empty_append_takes_no_room() -> None:
    progress = Progress(next_index=10, heard_at=0, match=9, flow=Replicating())
    progress.sent(9, 0)
    assert progress.flow == Replicating()


def learner(match: int) -> Progress:
    return Progress(next_index=match + 1, heard_at=0, match=match, flow=Replicating())


def test_a_learner_keeps_up_when_its_round_was_quick() -> None:
    progress = learner(match=10)
    assert not progress.keeps_up(20, 0, CONFIG), "its first round begins"
    progress.heard_at = CONFIG.election_ms
    progress.accepted(19)
    assert not progress.keeps_up(99, CONFIG.election_ms, CONFIG), "it ends where the log did then"
    progress.accepted(20)
    assert progress.keeps_up(99, CONFIG.election_ms, CONFIG)


def test_a_learner_that_is_slow_has_another_round_but_not_for_ever() -> None:
    progress = learner(match=1)
    now = rounds = 0
    while not progress.keeps_up(progress.match + 5, now, CONFIG):
        now += CONFIG.election_ms + 1
        progress.heard_at = now
        progress.accepted(progress.match + 5)
        rounds += 1
    assert rounds == CONFIG.promote_rounds_max


def test_a_learner_that_is_silent_or_waits_for_a_snapshot_keeps_up_with_nothing() -> None:
    progress = learner(match=10)
    progress.keeps_up(10, 0, CONFIG)
    assert progress.keeps_up(10, 1, CONFIG)
    assert not progress.keeps_up(10, 2 * CONFIG.heartbeat_ms, CONFIG)
    progress.ship(now=1)
    assert not progress.keeps_up(10, 1, CONFIG)
