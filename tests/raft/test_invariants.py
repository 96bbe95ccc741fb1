"""The harness sees what is wrong: every invariant is broken once, on purpose.

And the disk and machine of a script lose in a crash what a real one would lose.
"""

from __future__ import annotations

import pytest

from raftsql.raft.messages import Entry, EntryKind, Envelope, HardState, Position, VoteReply
from raftsql.raft.ready import Save
from tests.raft.acting import leading
from tests.raft.disk import Disk
from tests.raft.harness import Cluster
from tests.raft.machine import Machine
from tests.raft.script import performed


def command(index: int, term: int) -> Entry:
    return Entry(term, index, EntryKind.COMMAND, b"")


def check(cluster: Cluster) -> None:
    cluster.invariants.check(cluster.replicas)


def test_a_healthy_cluster_breaks_nothing() -> None:
    cluster = leading(1, 2, 3)
    cluster.propose(1, "a")
    cluster.settle()
    check(cluster)


def test_two_leaders_of_one_term_are_seen() -> None:
    cluster = leading(1, 2, 3)
    cluster.invariants.leaders[2] = 3
    with pytest.raises(AssertionError, match="one leader a term: 3 and 1 lead 2"):
        check(cluster)


def test_a_second_vote_in_a_term_is_seen() -> None:
    cluster = Cluster(1)
    cluster.invariants.sent(Envelope(7, 1, 2, VoteReply(5, True, pre=False)))
    cluster.invariants.sent(Envelope(7, 1, 2, VoteReply(5, True, pre=False)))
    cluster.invariants.sent(Envelope(7, 1, 3, VoteReply(5, True, pre=True)))
    cluster.invariants.sent(Envelope(7, 1, 3, VoteReply(5, False, pre=False)))
    with pytest.raises(AssertionError, match="node 1 votes for 2 and 3 in 5"):
        cluster.invariants.sent(Envelope(7, 1, 3, VoteReply(5, True, pre=False)))


def test_a_committed_entry_that_changes_is_seen() -> None:
    cluster = leading(1, 2, 3)
    cluster.invariants.committed[2] = 1
    with pytest.raises(AssertionError, match="entry 2 was committed as 1 and as 2"):
        check(cluster)


def test_a_commit_index_or_term_that_goes_back_is_seen() -> None:
    cluster = leading(1, 2, 3)
    cluster.invariants.seen[1] = (2, 9)
    with pytest.raises(AssertionError, match="the commit index never goes back"):
        check(cluster)
    cluster.invariants.seen[1] = (9, 2)
    with pytest.raises(AssertionError, match="terms never go back"):
        check(cluster)


def test_stored_entries_that_are_not_durable_are_seen() -> None:
    cluster = leading(1, 2, 3)
    del cluster.replicas[1].disk.entries[-1]
    with pytest.raises(AssertionError, match="calls stored is not durable"):
        check(cluster)


def test_a_read_that_misses_a_commit_is_seen() -> None:
    cluster = leading(1, 2, 3)
    cluster.invariants.asked(1, 7)
    cluster.replicas[1].granted[7] = 1
    with pytest.raises(AssertionError, match="read 7 sees 1, but 2 was committed before it"):
        check(cluster)


def test_pointers_out_of_order_are_seen() -> None:
    cluster = leading(1, 2, 3)
    cluster[1].log.committed = 9
    with pytest.raises(AssertionError, match="pointers out of order"):
        check(cluster)


def test_an_entry_on_disk_before_its_term_is_seen() -> None:
    disk = Disk(HardState(1, 0), [])
    disk.write(Save(1, None, [command(1, 2)], None))
    with pytest.raises(AssertionError, match="no later than its entries"):
        disk.sync()


def test_a_gap_in_the_journal_is_seen() -> None:
    disk = Disk(HardState(1, 0), [])
    disk.write(Save(1, None, [command(2, 1)], None))
    with pytest.raises(AssertionError, match="leaves a gap"):
        disk.sync()


def test_a_crash_loses_the_writes_under_way_and_no_others() -> None:
    disk = Disk(HardState(1, 0), [command(1, 1)])
    disk.write(Save(1, HardState(2, 3), [command(2, 2)], None))
    disk.write(Save(2, None, [command(3, 2)], None))
    disk.sync()
    disk.crash()
    assert disk.state == HardState(2, 3)
    assert disk.last == 2


def test_a_journal_without_the_applied_entry_starts_anew_after_it() -> None:
    disk = Disk(HardState(2, 0), [command(1, 1), command(2, 1)])
    log = disk.log(Position(2, 2))
    assert (log.base, log.last) == (Position(2, 2), Position(2, 2))


def test_entries_are_applied_once_and_in_order() -> None:
    machine = Machine([command(1, 1)])
    with pytest.raises(AssertionError, match="once each"):
        machine.apply([command(1, 1)])


def test_a_script_with_an_unknown_command_fails() -> None:
    with pytest.raises(AssertionError, match="no command is called explode"):
        performed("> explode 1\n")


def test_a_scripts_old_output_is_replaced_and_its_comments_stay() -> None:
    text = "# Why.\n> node 1\nwas printed once\n\n> status 1\n"
    status = "n1 follower term=1 vote=0 leader=0 commit=0 applied=0 log=1@1\n"
    assert performed(text) == f"# Why.\n> node 1\n\n> status 1\n{status}"
