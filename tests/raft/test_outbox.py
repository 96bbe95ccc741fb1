"""What leaves and what waits: in order, and nothing that is out of date."""

from __future__ import annotations

from raftsql.raft.messages import AppendAccepted, Envelope, Message, VoteReply
from raftsql.raft.outbox import Outbox


def to(target: int, message: Message) -> Envelope:
    return Envelope(7, 1, target, message)


def vote(term: int) -> Message:
    return VoteReply(term, granted=True, pre=False)


def accepted(match: int, *, term: int = 1, probe: int = 0) -> Message:
    return AppendAccepted(term, match, probe)


def test_what_is_put_leaves_once_and_in_order() -> None:
    outbox = Outbox()
    first, second = to(2, vote(1)), to(3, vote(1))
    outbox.put(first)
    outbox.put(second)
    assert outbox.take() == [first, second]
    assert outbox.take() == []


def test_what_is_held_leaves_when_its_save_is_done() -> None:
    outbox = Outbox()
    early, late = to(2, accepted(4)), to(2, accepted(9))
    outbox.hold(2, late)
    outbox.hold(1, early)
    assert outbox.take() == []
    outbox.release(1, term=1)
    assert outbox.take() == [early]
    outbox.release(2, term=1)
    assert outbox.take() == [late]


def test_what_another_term_has_overtaken_is_never_said() -> None:
    outbox = Outbox()
    now = to(3, vote(2))
    outbox.hold(1, to(2, vote(1)))
    outbox.hold(1, now)
    outbox.release(1, term=2)
    assert outbox.take() == [now]


def test_the_newest_acknowledgement_for_a_save_stands_for_those_before_it() -> None:
    outbox = Outbox()
    outbox.hold(1, to(2, accepted(4, probe=1)))
    newest = to(2, accepted(9, probe=2))
    outbox.hold(1, newest)
    outbox.release(1, term=1)
    assert outbox.take() == [newest]


def test_acknowledgements_that_say_less_or_to_others_stand_for_nothing() -> None:
    outbox = Outbox()
    held = [to(2, accepted(9, probe=3)), to(2, accepted(4, probe=4)), to(3, accepted(9, probe=4))]
    for envelope in held:
        outbox.hold(1, envelope)
    outbox.release(1, term=1)
    assert outbox.take() == held


def test_acknowledgements_of_a_log_that_is_gone_are_dropped_and_votes_are_not() -> None:
    outbox = Outbox()
    kept = to(3, vote(1))
    outbox.hold(1, to(2, accepted(4)))
    outbox.hold(1, kept)
    outbox.drop_acknowledgements()
    outbox.release(1, term=1)
    assert outbox.take() == [kept]
