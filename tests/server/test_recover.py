"""What `raftsql recover` is told and reads from a survivor; test_members.py does it all."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftsql.raft.membership import Member, Membership
from raftsql.raft.messages import Entry, EntryKind, HardState
from raftsql.server.recover import CannotRecover, _members, newest_membership
from tests.cluster.running import opened


@pytest.mark.parametrize("text", ["", "1", "1=", "=h:1", "x=h:1", "0=h:1", "1=h", "1=h:1,2"])
def test_members_that_can_not_be_read_are_refused(text: str) -> None:
    with pytest.raises(CannotRecover, match="is not N=HOST:PORT"):
        _members(text)


def test_members_are_numbers_and_addresses() -> None:
    assert _members("1=a:1, 3=b:2") == {1: "a:1", 3: "b:2"}


def test_the_newest_membership_counts_committed_or_not(tmp_path: Path) -> None:
    stores = opened(tmp_path / "d")
    newer = Membership({1: Member("n1:1", "d1"), 2: Member("n2:1", "d2")})
    entry = Entry(1, 2, EntryKind.MEMBERSHIP, newer.encode())
    stores.journal.save(HardState(1, 0), [entry])
    assert newest_membership(stores) == newer
    stores.readers.close()
    stores.machine.close()
    stores.journal.close()
    stores.datadir.close()
