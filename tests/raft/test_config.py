"""Settings that would make a promise untrue are refused."""

from __future__ import annotations

import pytest

from raftsql.raft.config import Config


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"node": 0}, "a node id is positive"),
        ({"heartbeat_ms": 0}, "heartbeats must take some time"),
        ({"heartbeat_ms": 150}, "two heartbeats must fit into a lease"),
        ({"drift_ms": 300}, "the drift margin would eat the whole lease"),
        ({"drift_ms": -1}, "the drift margin would eat the whole lease"),
        ({"lease_ms": 800}, "no campaign may start within a lease"),
    ],
)
def test_a_setting_that_breaks_a_promise_is_refused(settings: dict[str, int], why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        Config(**{"node": 1, "cluster": 1, **settings})


def test_the_defaults_are_sound() -> None:
    config = Config(node=1, cluster=1)
    assert config.lease_ms - config.drift_ms > 2 * config.heartbeat_ms, "a lease can be renewed"
