"""What a cluster was when: the fault itself, processes that start, an election, or nothing but
a write that is late."""

from __future__ import annotations

from pathlib import Path

from tests.faults.lives import (
    HARNESS,
    Event,
    Lives,
    Phase,
    State,
    What,
    diary,
    shares,
    states,
    stretches,
)

THREE = [
    *(Event(-3.0, node, What.STARTED) for node in (1, 2, 3)),
    *(Event(-2.0, node, What.SERVES) for node in (1, 2, 3)),
    *(Event(-2.0, node, What.VOTERS, "1,2,3") for node in (1, 2, 3)),
    Event(-1.0, 1, What.LEADS, "2"),
]
"""Three nodes, the first of which leads."""


def phases(*events: Event) -> list[tuple[float, Phase]]:
    """Since when each phase was there."""
    return [(begin, phase) for begin, _, phase in stretches([*THREE, *events])]


def test_a_killed_leader_is_followed_by_an_election() -> None:
    killed, led = Event(1.0, 1, What.ENDED), Event(1.5, 2, What.LEADS, "3")
    expected = [(0.0, Phase.LED), (1.0, Phase.ELECTING), (1.5, Phase.LED)]
    assert phases(killed, led) == expected


def test_all_nodes_down_is_the_fault_and_their_start_is_told_apart() -> None:
    killed = [Event(1.0, node, What.ENDED) for node in (1, 2, 3)]
    started = [Event(3.0, node, What.STARTED) for node in (1, 2, 3)]
    served = [Event(4.0, 1, What.SERVES), Event(4.2, 2, What.SERVES)]
    led = Event(5.0, 2, What.LEADS, "3")
    expected = [
        (0.0, Phase.LED),
        (1.0, Phase.DOWN),
        (3.0, Phase.STARTING),
        (4.2, Phase.ELECTING),
        (5.0, Phase.LED),
    ]
    assert phases(*killed, *started, *served, led) == expected
    gap = shares(stretches([*THREE, *killed, *started, *served, led]), 0.9, 5.1)
    assert {phase: round(seconds, 6) for phase, seconds in gap.items()} == {
        Phase.DOWN: 2.0,
        Phase.CUT: 0.0,
        Phase.STARTING: 1.2,
        Phase.ELECTING: 0.8,
        Phase.LED: 0.2,
    }


def test_a_leader_that_is_cut_off_leads_nobody_and_a_bridge_can_still_lead() -> None:
    cut = Event(1.0, HARNESS, What.LINKS, "1>2 1>3 2>1 3>1")
    assert phases(cut)[-1] == (1.0, Phase.ELECTING)
    bridge = Event(1.0, HARNESS, What.LINKS, "2>3 3>2")
    assert phases(bridge) == [(0.0, Phase.LED)]
    nobody = Event(1.0, HARNESS, What.LINKS, "1>2 2>3 3>1")
    assert phases(nobody, Event(2.0, HARNESS, What.LINKS))[-2:] == [
        (1.0, Phase.CUT),
        (2.0, Phase.LED),
    ]


def test_a_leader_of_an_older_term_does_not_count() -> None:
    newer = Event(1.0, 2, What.LEADS, "3")
    asleep = Event(2.0, 2, What.PAUSED)
    assert phases(newer, asleep) == [(0.0, Phase.LED)], "it is not awake to be followed"
    alone = Event(2.0, HARNESS, What.LINKS, "2>1 2>3")
    assert phases(newer, alone)[-1] == (2.0, Phase.ELECTING)


def test_two_nodes_that_sleep_are_a_fault_and_a_newcomer_moves_the_majority() -> None:
    asleep = [Event(1.0, node, What.PAUSED) for node in (2, 3)]
    assert phases(*asleep, Event(2.0, 2, What.RESUMED))[1:] == [(1.0, Phase.DOWN), (2.0, Phase.LED)]
    joined = [Event(1.0, 4, What.STARTED), Event(1.1, 1, What.VOTERS, "1,2,3,4")]
    killed = Event(2.0, 3, What.ENDED)
    assert phases(*joined, killed)[-1][1] is Phase.STARTING, "three of four have to serve"


def test_a_node_was_gone_asleep_starting_or_served_from_when_to_when() -> None:
    events = [
        *THREE,
        Event(1.0, 1, What.ENDED),
        Event(2.0, 1, What.STARTED),
        Event(3.0, 1, What.SERVES),
        Event(4.0, 2, What.PAUSED),
        Event(5.0, 2, What.RESUMED),
    ]
    lived = states(events, 6.0)
    assert lived[1] == [
        (0.0, 1.0, State.LEADS),
        (1.0, 2.0, State.GONE),
        (2.0, 3.0, State.STARTING),
        (3.0, 6.0, State.FOLLOWS),
    ]
    assert [state for _, _, state in lived[2]] == [State.FOLLOWS, State.ASLEEP, State.FOLLOWS]
    assert lived[3] == [(0.0, 6.0, State.FOLLOWS)]


def test_what_a_node_notes_and_what_is_done_to_it_are_one_story(tmp_path: Path) -> None:
    lives, note = Lives(), diary(tmp_path / "life")
    lives.note(1, What.STARTED)
    note(What.SERVES, "")
    note(What.LEADS, "7")
    lives.note_links({(1, 2), (2, 1)})
    lives.read(1, tmp_path / "life")
    lives.read(2, tmp_path / "none")
    told = [(event.node, event.what, event.detail) for event in lives.ordered()]
    assert told == [
        (1, What.STARTED, ""),
        (1, What.SERVES, ""),
        (1, What.LEADS, "7"),
        (HARNESS, What.LINKS, "1>2 2>1"),
    ]
