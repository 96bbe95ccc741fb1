"""The many ways in which gRPC says that a stream is over, as one exception."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import grpc.aio


class StreamBroken(Exception):
    """The stream is over, and not because this side ended it."""


@contextmanager
def stream_breaks() -> Iterator[None]:
    """Raise StreamBroken for whatever ends a stream; a cancelled task stays cancelled.

    A stream that the other side cancels raises CancelledError in whoever uses it. Only the count
    of cancel requests tells that from the end of this very task.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise StreamBroken("the other side cancelled the stream") from error
    except grpc.aio.AioRpcError as error:
        raise StreamBroken(f"{error.code().name}: {error.details()}") from error
    except TimeoutError as error:
        raise StreamBroken("the other side does not answer") from error
    except asyncio.InvalidStateError as error:
        raise StreamBroken("the stream had ended already") from error
