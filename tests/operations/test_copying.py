from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from raftsql.cluster.copying import copied
from raftsql.cluster.guests import SentAway
from raftsql.database import snapshot
from tests.operations.nodes import rows
from tests.operations.solo import Solo


async def test_a_copy_is_of_the_moment_it_was_begun(tmp_path: Path) -> None:
    async with Solo(tmp_path / "data") as solo:
        await solo.sql("CREATE TABLE t(a)")
        target = tmp_path / "copy"
        meta = await asyncio.to_thread(copied, solo.runner, target)
        assert meta.last.index == solo.runner.node.log.applied
        assert snapshot.verify(target) == meta
        assert rows(target, "SELECT count(*) FROM t") == [(0,)]


async def test_no_copy_is_begun_while_the_database_is_replaced(tmp_path: Path) -> None:
    async with Solo(tmp_path / "data") as solo:
        target = tmp_path / "copy"
        solo.runner.marking.guests.close()
        with pytest.raises(SentAway):
            await asyncio.to_thread(copied, solo.runner, target)
        solo.runner.marking.guests.open()
    assert not target.exists()
