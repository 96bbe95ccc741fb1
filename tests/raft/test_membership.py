"""Memberships: every change on every small one, and how they follow each other along the log."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path

import pytest

from raftsql.raft.membership import (
    AddMember,
    Change,
    ChangeRefused,
    DemoteMember,
    History,
    Member,
    Membership,
    PromoteMember,
    RemoveMember,
    UpdateMember,
    changed,
    decode,
)
from raftsql.raft.messages import Entry, EntryKind

TABLE = Path(__file__).parent / "tables" / "membership.txt"


def memberships(count: int) -> Iterator[Membership]:
    """All memberships of so many nodes that have a voter: each votes, learns, is out or unknown."""
    for roles in product("vlx-", repeat=count):
        if "v" in roles:
            members = {
                node: Member(f"n{node}", f"d{node}", voter=role == "v")
                for node, role in enumerate(roles, 1)
                if role in "vl"
            }
            gone = tuple(node for node, role in enumerate(roles, 1) if role == "x")
            yield Membership(members, gone)


def changes(nodes: int) -> Iterator[Change]:
    """Every kind of change of every node."""
    for node in range(1, nodes + 1):
        yield AddMember(node, f"n{node}", f"d{node}")
        yield PromoteMember(node)
        yield DemoteMember(node)
        yield RemoveMember(node)
        yield UpdateMember(node, "elsewhere")


def shown(membership: Membership) -> str:
    voters = ",".join(map(str, membership.voters)) or "-"
    learners = ",".join(map(str, membership.learners)) or "-"
    removed = ",".join(map(str, sorted(membership.removed))) or "-"
    return f"voters {voters} learners {learners} removed {removed}"


def table() -> str:
    """What every change makes of every membership of two nodes, a third one being unknown."""
    lines = ["# before | change | after, or why not. Made by `pytest tests/raft --rewrite`."]
    for before in memberships(2):
        for change in changes(3):
            verb = type(change).__name__.removesuffix("Member").lower()
            try:
                after = shown(changed(before, change))
            except ChangeRefused as refused:
                after = f"refused: {refused}"
            lines.append(f"{shown(before)} | {verb} {change.node} | {after}")
    return "\n".join(lines) + "\n"


def test_every_change_does_what_the_table_says(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("rewrite", default=False):
        TABLE.write_text(table())
    assert table() == TABLE.read_text()


def quorums(membership: Membership) -> list[frozenset[int]]:
    voters = membership.voters
    return [
        frozenset(chosen)
        for size in range(len(voters) + 1)
        for chosen in combinations(voters, size)
        if 2 * size > len(voters)
    ]


def test_the_quorums_of_neighbours_always_meet() -> None:
    """This alone is why one change at a time is safe (thesis 4.1)."""
    tried = 0
    for before in memberships(4):
        for change in changes(5):
            try:
                after = changed(before, change)
            except ChangeRefused:
                continue
            tried += 1
            assert all(one & other for one in quorums(before) for other in quorums(after))
    assert tried > 1000


def test_a_change_never_leaves_the_cluster_without_a_voter() -> None:
    for before in memberships(3):
        for change in changes(4):
            try:
                assert changed(before, change).voters
            except ChangeRefused:
                continue


def test_an_id_is_a_member_or_removed_and_never_both() -> None:
    for before in memberships(3):
        for change in changes(4):
            try:
                after = changed(before, change)
            except ChangeRefused:
                continue
            assert not after.members.keys() & set(after.removed)
            assert set(before.removed) <= set(after.removed)


def test_equal_memberships_have_equal_bytes() -> None:
    one = Membership({1: Member("a", "x"), 2: Member("b", "y")}, (7, 4))
    other = Membership({2: Member("b", "y"), 1: Member("a", "x")}, (4, 7))
    assert one.encode() == other.encode()
    assert decode(one.encode()) == Membership(one.members, (4, 7))


def test_an_update_keeps_the_vote_and_the_identity() -> None:
    before = Membership({1: Member("a", "x", priority=3)})
    after = changed(before, UpdateMember(1, "b", priority=5))
    assert after.members[1] == Member("b", "x", voter=True, priority=5)


def test_a_demoted_member_is_not_promoted_by_itself() -> None:
    before = Membership({1: Member("a", "x"), 2: Member("b", "y")})
    assert changed(before, DemoteMember(2)).members[2].promote is False


@pytest.mark.parametrize("node", [0, -1])
def test_a_node_id_is_positive(node: int) -> None:
    with pytest.raises(ChangeRefused, match="positive"):
        changed(Membership({1: Member("a", "x")}), AddMember(node, "b", "y"))


def step(index: int, *voters: int) -> Entry:
    members = Membership({node: Member("a", f"d{node}") for node in voters})
    return Entry(1, index, EntryKind.MEMBERSHIP, members.encode())


def test_a_membership_is_in_force_from_its_entry_on() -> None:
    history = History(0, Membership())
    history.append([step(1, 1), Entry(1, 2, EntryKind.COMMAND, b""), step(3, 1, 2)])
    assert history.current.voters == [1, 2]
    assert history.index == 3
    assert [history.at(index).voters for index in range(5)] == [[], [1], [1], [1, 2], [1, 2]]


def test_a_truncated_membership_is_taken_back() -> None:
    history = History(0, Membership())
    history.append([step(1, 1), step(3, 1, 2), step(4, 1, 2, 3)])
    history.truncate(4)
    assert history.current.voters == [1, 2]
    history.truncate(2)
    assert history.current.voters == [1]


def test_a_settled_membership_can_not_be_taken_back() -> None:
    history = History(0, Membership())
    history.append([step(1, 1), step(3, 1, 2)])
    history.settle(3)
    with pytest.raises(AssertionError, match="can't be taken back"):
        history.truncate(2)


def test_settling_keeps_what_is_in_force_there_and_after() -> None:
    history = History(0, Membership())
    history.append([step(1, 1), step(3, 1, 2), step(6, 1, 2, 3)])
    history.settle(4)
    assert history.at(4).voters == [1, 2]
    assert history.current.voters == [1, 2, 3]


def test_a_snapshot_starts_the_history_anew() -> None:
    history = History(0, Membership())
    history.append([step(1, 1), step(3, 1, 2)])
    history.reset(9, decode(step(9, 5).payload))
    assert history.current.voters == [5]
    assert history.index == 9
