"""What the log says when a membership changes."""

from __future__ import annotations

from raftsql.raft.membership import Member, Membership
from raftsql.server.news import changes


def test_each_member_that_came_went_or_changed_is_a_sentence() -> None:
    before = Membership({1: Member("h:1", "a"), 2: Member("h:2", "b", voter=False)})
    after = Membership({2: Member("h:2", "b"), 3: Member("h:3", "c", voter=False, priority=2)})
    assert changes(before, after) == [
        "n3 is a member now: a learner at h:3, priority 2",
        "n2 is now a voter at h:2",
        "n1 is no member any more",
    ]


def test_nothing_is_said_of_what_stayed() -> None:
    same = Membership({1: Member("h:1", "a")})
    assert changes(same, Membership({1: Member("h:1", "a")})) == []
