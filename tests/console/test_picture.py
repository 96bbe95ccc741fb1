"""One picture from what members said last: who leads, who is gone, what is wrong."""

from __future__ import annotations

from time import monotonic
from types import SimpleNamespace
from typing import Any

from raftsql.raft.membership import Member, Membership
from raftsql.raft.ready import RoleName
from raftsql.server.console.gathering import Known, quantile_ms, rates
from raftsql.server.console.picture import cluster


def own(**changes: Any) -> Any:
    """This node, number 1 of three, as it sees itself."""
    members = {
        node: Member(f"127.0.0.1:{node}", f"id{node}", voter=node != 3) for node in (1, 2, 3)
    }
    plain = {
        "node": 1, "term": 5, "leader": 2, "role": RoleName.FOLLOWER, "committed": 100,
        "applied": 98, "membership": Membership(members),
    }  # fmt: skip
    return SimpleNamespace(**(plain | changes))


def said(seconds_ago: float = 0.0, **picture: Any) -> Known:
    known = Known("somewhere")
    known.heard({"pid": 1, **picture}, 0.002)
    known.at = monotonic() - seconds_ago
    return known


def test_the_leader_is_whom_the_newest_term_names() -> None:
    known = {
        1: said(term=5, leader=2, role="follower"),
        2: said(term=5, leader=2, role="leader", commit_index=120, applied_index=120),
        3: said(term=6, leader=3, role="leader", commit_index=130, applied_index=110),
    }
    shown = cluster(own(), known)
    assert (shown["leader"], shown["term"]) == (3, 6)
    roles = [member["role"] for member in shown["members"]]
    assert roles == ["follower", "follower", "leader"], "who led before is not shown as leading"
    assert [member["lag"] for member in shown["members"]] == [32, 10, 20]


def test_who_does_not_answer_is_gone_and_named() -> None:
    known = {
        1: said(term=5, leader=2, role="follower", version="1"),
        2: said(
            10.0, term=5, leader=2, role="leader", applied_index=7, memory_bytes=9, version="2"
        ),
    }
    shown = cluster(own(leader=0, term=5), known)
    assert shown["leader"] is None
    gone = shown["members"][1]
    assert (gone["reachable"], gone["lag"], gone["latency_ms"]) == (False, None, None)
    assert (gone["role"], gone["memory_bytes"]) == ("follower", 9)
    assert shown["members"][2]["role"] == "learner"
    assert shown["alarms"] == [
        "no leader is known", "node 2 does not answer", "node 3 does not answer",
        "the nodes run different versions: 1, 2",
    ]  # fmt: skip


def test_what_members_complain_of_is_an_alarm() -> None:
    known = {
        1: said(term=5, leader=2, ready=True),
        2: said(
            term=5, leader=2, role="leader", verified={"equal": False},
            backup={"failure": "no room"},
        ),
        3: said(term=5, leader=2, ready=False, unready_because="it is 5 entries behind"),
    }  # fmt: skip
    assert cluster(own(), known)["alarms"] == [
        "the nodes do not hold the same: see `raftsql verify`",
        "the last scheduled backup failed: no room",
        "node 3 is not ready: it is 5 entries behind",
    ]
    known[3].picture["failure"] = "the disk is gone"
    assert "node 3 has stopped: the disk is gone" in cluster(own(), known)["alarms"]


def counted(writes: int, reads: int, buckets: list[int], pid: int = 1) -> dict[str, Any]:
    return {"pid": pid, "statements": {"writes": writes, "reads": reads, "write_buckets": buckets}}


def test_rates_are_differences_of_two_answers_of_all_nodes() -> None:
    found = []
    for _ in range(2):
        known = Known("x")
        known.heard(counted(100, 10, [0] * 28), 0.001)
        known.heard(counted(150, 30, [0] * 10 + [50] + [0] * 17), 0.001)
        known.before_at = known.at - 2.0
        found.append(known)
    shown = rates(found)
    assert (shown["writes"], shown["reads"]) == (50.0, 20.0)
    assert shown["write_p50_ms"] is not None
    assert 0.512 <= shown["write_p50_ms"] <= shown["write_p99_ms"] <= 1.024  # type: ignore[operator]


def test_a_node_that_was_restarted_meanwhile_does_not_count() -> None:
    known = Known("x")
    known.heard(counted(100, 10, [0] * 28), 0.001)
    known.heard(counted(5, 1, [0] * 28, pid=2), 0.001)
    assert rates([known]) == {
        "writes": None, "reads": None, "write_p50_ms": None, "write_p99_ms": None,
    }  # fmt: skip
    assert rates([Known("y")])["writes"] is None


def test_quantiles_lie_within_their_bucket() -> None:
    assert quantile_ms([0] * 28, 0.5) is None
    one = [0] * 28
    one[10] = 1
    assert quantile_ms(one, 0.99) == 1.019
    assert quantile_ms([4] + [0] * 27, 0.5) == 0.0 or quantile_ms([4] + [0] * 27, 0.5) is not None
