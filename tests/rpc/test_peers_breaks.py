"""Every way in which a stream ends is one exception; the end of one's own task is not."""

from __future__ import annotations

import asyncio

import grpc.aio
import pytest

from raftsql.rpc.breaks import StreamBroken, stream_breaks

GONE = grpc.aio.AioRpcError(
    grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), details="gone"
)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (GONE, "UNAVAILABLE: gone"),
        (asyncio.CancelledError(), "the other side cancelled"),
        (TimeoutError(), "does not answer"),
        (asyncio.InvalidStateError(), "had ended already"),
    ],
)
async def test_a_break_is_said_in_words(error: BaseException, said: str) -> None:
    with pytest.raises(StreamBroken, match=said), stream_breaks():
        raise error


async def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), stream_breaks():
        raise KeyError


async def test_the_end_of_ones_own_task_stays_that() -> None:
    ends: list[BaseException] = []

    async def work() -> None:
        try:
            with stream_breaks():
                await asyncio.get_running_loop().create_future()
        except BaseException as error:
            ends.append(error)
            raise

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(ends[0], asyncio.CancelledError)
    assert task.cancelled()


async def test_a_time_limit_inside_counts_as_silence() -> None:
    with pytest.raises(StreamBroken, match="does not answer"), stream_breaks():
        async with asyncio.timeout(0):
            await asyncio.get_running_loop().create_future()
