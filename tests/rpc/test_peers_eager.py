"""A coroutine runs up to its first wait inside the call, and its end is told once."""

from __future__ import annotations

import asyncio

from raftsql.rpc import eager


async def test_the_first_step_runs_inside_the_call() -> None:
    seen: list[object] = []
    gate = asyncio.get_running_loop().create_future()

    async def work() -> None:
        seen.append("begun")
        await gate
        seen.append("ended")

    eager.start(work(), seen.append)
    assert seen == ["begun"]
    gate.set_result(None)
    await asyncio.sleep(0)
    assert seen == ["begun", "ended", None]


async def test_work_that_never_waits_is_done_when_the_call_returns() -> None:
    ends: list[object] = []

    async def work() -> None:
        return

    eager.start(work(), ends.append)
    assert ends == [None]


async def test_every_wait_is_waited_for() -> None:
    ends: list[object] = []
    gates = [asyncio.get_running_loop().create_future() for _ in range(3)]

    async def work() -> None:
        for gate in gates:
            await gate

    eager.start(work(), ends.append)
    for gate in gates:
        assert ends == []
        gate.set_result(None)
        await asyncio.sleep(0)
    assert ends == [None]


async def test_an_error_before_or_after_a_wait_is_told_as_the_end() -> None:
    ends: list[BaseException | None] = []
    gate = asyncio.get_running_loop().create_future()

    async def fails_at_once() -> None:
        raise OSError("at once")

    async def fails_later() -> None:
        await gate

    eager.start(fails_at_once(), ends.append)
    eager.start(fails_later(), ends.append)
    gate.set_exception(OSError("later"))
    await asyncio.sleep(0)
    assert [str(end) for end in ends] == ["at once", "later"]


async def test_a_cancelled_wait_is_told_as_the_end() -> None:
    ends: list[BaseException | None] = []
    gate = asyncio.get_running_loop().create_future()

    async def work() -> None:
        await gate

    eager.start(work(), ends.append)
    gate.cancel()
    await asyncio.sleep(0)
    assert isinstance(ends[0], asyncio.CancelledError)
