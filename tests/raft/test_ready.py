"""The contract's values say what people read: in logs, in errors, in status answers."""

from __future__ import annotations

from raftsql.raft.ready import Ready, Refused, RoleChange, RoleName, Why


def test_a_refusal_says_why_in_words() -> None:
    refused = Refused(Why.OVERLOADED, leader=3)
    assert str(refused) == "too much is waiting to be committed"
    assert (refused.why, refused.leader) == (Why.OVERLOADED, 3)


def test_roles_are_told_by_these_names() -> None:
    """The status answer promises them."""
    assert set(RoleName) == {"leader", "follower", "candidate", "learner", "removed"}


def test_every_ready_starts_empty() -> None:
    """No list is shared between two of them."""
    first, second = Ready(), Ready()
    first.reads_refused.append(1)
    assert second == Ready()


def test_a_change_of_role_is_a_plain_tuple() -> None:
    assert RoleChange(RoleName.LEADER, 3, 1) == ("leader", 3, 1)
