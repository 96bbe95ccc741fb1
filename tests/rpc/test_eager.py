"""A coroutine that is begun inside the call: what it does before its first wait is done at once."""

from __future__ import annotations

import asyncio

import pytest

from raftsql.rpc.eager import start


class Ended:
    """Hears how a coroutine ended, and how often it was told."""

    def __init__(self) -> None:
        self.heard: list[BaseException | None] = []

    def __call__(self, error: BaseException | None) -> None:
        self.heard.append(error)


async def test_what_comes_before_the_first_wait_is_done_inside_the_call() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    steps, ended = [], Ended()

    async def work() -> None:
        steps.append("begun")
        await future
        steps.append("done")

    start(work(), ended)
    assert steps == ["begun"]
    assert ended.heard == []
    future.set_result(None)
    await asyncio.sleep(0)
    assert steps == ["begun", "done"]
    assert ended.heard == [None]


async def test_a_coroutine_that_never_waits_has_ended_when_the_call_returns() -> None:
    ended = Ended()

    async def work() -> None:
        pass

    start(work(), ended)
    assert ended.heard == [None]


@pytest.mark.parametrize("waits", [False, True])
async def test_what_goes_wrong_is_told_and_not_raised(waits: bool) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    problem, ended = OSError("gone"), Ended()

    async def work() -> None:
        if waits:
            await future
        raise problem

    start(work(), ended)
    if waits:
        future.set_result(None)
        await asyncio.sleep(0)
    assert ended.heard == [problem]


async def test_it_waits_as_often_as_it_likes_and_hears_what_became_of_each_wait() -> None:
    loop = asyncio.get_running_loop()
    first, second, third = (loop.create_future() for _ in range(3))
    seen: list[object] = []
    ended = Ended()

    async def work() -> None:
        seen.append(await first)
        try:
            await second
        except ValueError as error:
            seen.append(str(error))
        seen.append(await third)

    start(work(), ended)
    first.set_result(1)
    await asyncio.sleep(0)
    second.set_exception(ValueError("two"))
    await asyncio.sleep(0)
    assert ended.heard == []
    third.set_result(3)
    await asyncio.sleep(0)
    assert seen == [1, "two", 3]
    assert ended.heard == [None]


async def test_a_cancelled_wait_ends_it_with_that_word() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    ended = Ended()

    async def work() -> None:
        await future

    start(work(), ended)
    future.cancel()
    await asyncio.sleep(0)
    (error,) = ended.heard
    assert isinstance(error, asyncio.CancelledError)


async def test_a_coroutine_that_asks_for_the_next_round_is_a_mistake() -> None:
    ended = Ended()
    with pytest.raises(AssertionError, match="waits for a future"):
        start(asyncio.sleep(0), ended)
