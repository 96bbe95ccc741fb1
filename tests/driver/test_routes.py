"""Which node is asked."""

from __future__ import annotations

from raftsql_driver.routes import AVOID_S, Routes


def routes() -> Routes:
    return Routes(["a:1", "b:2", "c:3"])


def test_the_first_node_is_home_until_it_fails() -> None:
    known = routes()
    assert known.writer() == "a:1"
    known.unreachable("a:1", now=0.0)
    assert known.writer() == "b:2"


def test_a_broken_leader_is_forgotten() -> None:
    known = routes()
    known.learned("c:3", [], now=0.0)
    assert known.writer() == "c:3"
    known.unreachable("c:3", now=0.0)
    assert known.writer() == "a:1"


def test_home_moves_past_nodes_that_just_failed() -> None:
    known = routes()
    known.unreachable("b:2", now=0.0)
    known.unreachable("a:1", now=0.1)
    assert known.home == "c:3"


def test_when_all_have_failed_they_are_asked_in_turn() -> None:
    known = routes()
    homes = []
    for _ in range(4):
        known.unreachable(known.home, now=0.0)
        homes.append(known.home)
    assert homes == ["b:2", "c:3", "a:1", "b:2"]


def test_a_rumour_about_a_node_that_just_failed_is_not_believed_for_a_moment() -> None:
    known = routes()
    known.unreachable("c:3", now=0.0)
    known.not_leader("a:1", "c:3", now=0.5)
    assert known.leader == ""
    known.not_leader("b:2", "c:3", now=0.5 + AVOID_S)
    assert known.leader == "c:3"


def test_a_node_that_was_reached_again_is_believed_in_at_once() -> None:
    known = routes()
    known.unreachable("c:3", now=0.0)
    known.reached("c:3")
    known.learned("c:3", [], now=0.1)
    assert known.writer() == "c:3"


def test_members_that_the_url_does_not_name_are_used_too() -> None:
    known = Routes(["a:1"])
    known.learned("", ["a:1", "d:4"], now=0.0)
    known.unreachable("a:1", now=0.0)
    assert known.home == "d:4"


def test_a_node_that_does_not_lead_stays_home_for_weak_reads_when_it_knows_who_does() -> None:
    known = routes()
    known.not_leader("a:1", "b:2", now=0.0)
    assert (known.writer(), known.reader(0), known.reader(3)) == ("b:2", "b:2", "a:1")


def test_a_lead_that_was_lost_without_a_successor_is_forgotten() -> None:
    known = routes()
    known.learned("b:2", [], now=0.0)
    known.not_leader("b:2", "", now=0.0)
    assert known.leader == ""


def test_who_knows_no_leader_is_not_believed_against_who_does() -> None:
    known = routes()
    known.learned("b:2", [], now=0.0)
    known.learned("", ["d:4"], now=0.0)
    known.stepped_down("c:3")
    assert known.writer() == "b:2"
    assert "d:4" in known.nodes
    known.stepped_down("b:2")
    assert known.writer() == "a:1"
