"""A pool's queue and places, with no threads and no tasks: `raftsql_driver.stock`."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from raftsql_driver import errors
from raftsql_driver.stock import Stock


class Thing:
    """What a stock needs of a connection."""

    closed = False


@pytest.fixture
def stock() -> Any:
    stock: Any = Stock(
        "things",
        min_size=0,
        max_size=2,
        timeout=1.0,
        max_waiting=0,
        max_lifetime=60.0,
        max_idle=60.0,
    )
    stock.is_open = True
    return stock


def made(stock: Any) -> Thing:
    thing = Thing()
    assert stock.ask(threading.Event()).connection is None
    stock.made(thing)
    return thing


def test_there_is_a_place_as_long_as_there_is_room(stock: Any) -> None:
    one, two = (stock.ask(threading.Event()) for _ in range(2))
    assert one.served
    assert two.served
    assert not stock.ask(threading.Event()).served
    assert stock.size == 2


def test_those_who_wait_are_served_in_their_order(stock: Any) -> None:
    one, two = made(stock), made(stock)
    turns = [stock.ask(threading.Event()) for _ in range(3)]
    stock.came_back(two)
    stock.came_back(one)
    assert [turn.connection for turn in turns] == [two, one, None]
    assert [turn.bell.is_set() for turn in turns] == [True, True, False]
    assert not stock.idle


def test_a_place_that_becomes_free_is_for_who_waits(stock: Any) -> None:
    one, _ = made(stock), made(stock)
    turn = stock.ask(threading.Event())
    stock.discard(one)
    assert turn.served
    assert turn.connection is None
    assert stock.size == 2


def test_a_connection_that_could_not_be_made_leaves_its_place_to_the_next(stock: Any) -> None:
    for _ in range(2):
        stock.ask(threading.Event())
    turn = stock.ask(threading.Event())
    stock.made(None)
    assert turn.served
    assert turn.connection is None


def test_what_somebody_was_given_who_gave_up_is_passed_on(stock: Any) -> None:
    one, _ = made(stock), made(stock)
    first, second, third = (stock.ask(threading.Event()) for _ in range(3))
    stock.came_back(one)
    assert stock.gave_up(first) == []
    assert second.connection is one
    assert stock.gave_up(third) == []
    assert not stock.waiting


def test_a_worn_connection_goes_to_nobody(stock: Any) -> None:
    one, _ = made(stock), made(stock)
    turn = stock.ask(threading.Event())
    one.closed = True
    assert stock.came_back(one) == [one]
    assert turn.served
    assert turn.connection is None


def test_what_replaces_a_worn_connection_is_its_holders(stock: Any) -> None:
    one, _ = made(stock), made(stock)
    turn = stock.ask(threading.Event())
    assert stock.replaced(one)
    assert not turn.served
    stock.resize(0, 1)
    stock.made(None)
    assert not turn.served, "the pool has become smaller"


def test_a_closed_stock_tells_all_who_wait(stock: Any) -> None:
    one, _ = made(stock), made(stock)
    turn = stock.ask(threading.Event())
    assert stock.close() == []
    assert turn.bell.is_set()
    with pytest.raises(errors.PoolClosed):
        stock.must_be_served(turn)
    assert not stock.replaced(one)
