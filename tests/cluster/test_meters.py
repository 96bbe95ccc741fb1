"""What a node counts while it works: durations in doubling buckets, and events."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftsql.cluster.meters import BUCKETS, Durations, Meters, TimedFiles
from raftsql.raft.ready import RoleChange, RoleName
from raftsql.storage.files import RealFiles


@given(st.lists(st.integers(0, 1 << 40)))
def test_every_duration_is_in_the_bucket_whose_bound_it_does_not_reach(took: list[int]) -> None:
    durations = Durations()
    for one in took:
        durations.add(one)
    assert durations.count == len(took)
    assert durations.total_us == sum(took)
    for bound, count in durations.cumulated():
        assert count == sum(one < bound * 1e6 for one in took)


def test_the_bounds_double_from_a_microsecond_to_a_minute() -> None:
    bounds = [bound for bound, _ in Durations().cumulated()]
    assert bounds[0] == 1e-6
    assert all(later == 2 * earlier for earlier, later in pairwise(bounds))
    assert len(bounds) == BUCKETS - 1
    assert bounds[-1] > 60


def test_an_election_is_counted_when_the_node_campaigns() -> None:
    meters = Meters()
    meters.role_changed(RoleChange(RoleName.CANDIDATE, 2, 0))
    meters.role_changed(RoleChange(RoleName.LEADER, 2, 1))
    meters.role_changed(RoleChange(RoleName.FOLLOWER, 3, 2))
    assert meters.elections == 1


def test_a_leader_is_counted_once_a_term() -> None:
    meters = Meters()
    for term, leader in ((1, 1), (1, 1), (2, 0), (2, 1), (3, 2)):
        meters.role_changed(RoleChange(RoleName.FOLLOWER, term, leader))
    assert meters.leader_changes == 3


def test_a_batch_is_timed_until_a_majority_has_its_last_entry() -> None:
    meters = Meters()
    meters.role_changed(RoleChange(RoleName.LEADER, 2, 1))
    meters.proposed(5)
    meters.proposed(9)
    meters.committed(4)
    assert meters.commit.count == 0
    meters.committed(8)
    assert meters.commit.count == 1
    meters.committed(9)
    assert meters.commit.count == 2


def test_what_was_under_way_when_the_lead_was_lost_is_not_timed() -> None:
    meters = Meters()
    meters.proposed(5)
    meters.role_changed(RoleChange(RoleName.FOLLOWER, 3, 2))
    meters.committed(5)
    assert meters.commit.count == 0


def test_timed_files_do_what_files_do_and_count_the_syncs(tmp_path: Path) -> None:
    sync = Durations()
    files = TimedFiles(RealFiles(), sync)
    files.make_folder(tmp_path / "a" / "b")
    path = tmp_path / "a" / "b" / "f"
    file = files.create(path)
    file.preallocate(10)
    file.write(2, b"xy")
    file.sync()
    file.sync()
    assert (file.size(), file.read(2, 2)) == (10, b"xy")
    file.truncate(4)
    file.close()
    files.rename(path, tmp_path / "g")
    files.sync_folder(tmp_path)
    again = files.open(tmp_path / "g")
    assert again.size() == 4
    again.sync()
    assert sync.count == 3
    assert files.names(tmp_path) == ["a", "g"]
    lock = files.lock(tmp_path / "lock")
    assert lock is not None
    lock.release()
    files.unlink(tmp_path / "g")
    assert not files.exists(tmp_path / "g")
    with pytest.raises(FileNotFoundError):
        files.open(tmp_path / "g")
