from __future__ import annotations

import threading

import pytest

from raftsql.cluster.guests import Guests, SentAway


def test_a_guest_is_sent_away_before_the_door_is_closed() -> None:
    guests = Guests()
    inside, left = threading.Event(), []

    def stay() -> None:
        with guests.stay() as guest:
            inside.set()
            try:
                while True:
                    guest.check()
            except SentAway:
                left.append("left")

    thread = threading.Thread(target=stay)
    thread.start()
    assert inside.wait(5)
    guests.close()
    assert left == ["left"]
    thread.join(5)


def test_nobody_is_let_in_while_it_is_closed() -> None:
    guests = Guests()
    guests.close()
    with pytest.raises(SentAway), guests.stay():
        pass
    guests.open()
    with guests.stay() as guest:
        guest.check()


def test_who_never_leaves_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raftsql.cluster.guests.LEAVE_SECONDS", 0.01)
    guests = Guests()
    with guests.stay(), pytest.raises(TimeoutError, match="still being copied"):
        guests.close()
