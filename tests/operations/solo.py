"""A cluster of one in this process: real stores and a real runner, no network."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raftsql.cluster.marking import FileMissing, Substitute
from raftsql.cluster.opening import found_cluster, open_stores
from raftsql.cluster.requests import Read, Write
from raftsql.cluster.runner import Runner
from raftsql.database.disk import Disk
from raftsql.raft.config import Config
from raftsql.raft.membership import Member, Membership
from raftsql.raft.messages import Envelope, NodeId
from raftsql.raft.ready import RoleChange
from raftsql.rpc.proposing import Awaited
from raftsql.sql.commands import CommandKind, Restore, Statement, decode_answer, encode
from raftsql.storage.datadir import DataDir, Identity, is_data_dir
from raftsql.storage.files import RealFiles
from raftsql_proto.frames import decode_rows

WAIT_SECONDS = 20.0


class Solo:
    """It is also its own transport: `gives` says what `fetch_restore` does."""

    def __init__(self, folder: Path, *, disk: Disk | None = None) -> None:
        files = RealFiles()
        if is_data_dir(folder, files):
            datadir = DataDir.open(folder, files)
        else:
            datadir = DataDir.create(folder, files, Identity(1, 1, "solo"))
        stores = open_stores(datadir, files)
        if stores.journal.last.index == 0 and stores.machine.applied.index == 0:
            found_cluster(stores, Membership({1: Member("127.0.0.1:1", "solo")}))
        self.runner = Runner(Config(node=1, cluster=1), stores)
        if disk is not None:
            self.runner.marking.disk = disk
        self.gives: Path | Substitute | None = None
        self.asked = 0

    def send(self, messages: Sequence[Envelope]) -> None:
        pass

    def ship(self, peer: NodeId) -> None:
        pass

    def role_changed(self, change: RoleChange) -> None:
        pass

    def applied(self) -> None:
        pass

    async def fetch_restore(self, restore: Restore, index: int) -> Substitute | None:
        self.asked += 1
        if isinstance(self.gives, Path):
            self.bring_in(self.gives)
            return None
        if self.gives is None:
            raise FileMissing("nobody has it")
        return self.gives

    async def start(self) -> Solo:
        self.runner.start(self)
        while not self.runner.replica.leads:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        return self

    async def __aenter__(self) -> Solo:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.runner.close()

    def bring_in(self, path: Path) -> Restore:
        """Hold a file, as if a client had sent it."""
        upload = self.runner.marking.uploads.begin("test")
        upload.write(path.read_bytes())
        return upload.finish()

    async def propose(self, kind: CommandKind, body: bytes, **more: Any) -> tuple[int, Any]:
        reply = Awaited()
        self.runner.replica.write(Write(kind, body, reply, **more))
        self.runner.wake()
        index, answer = await asyncio.wait_for(reply.future, WAIT_SECONDS)
        return index, decode_answer(answer)

    async def sql(self, sql: str, **more: Any) -> Any:
        return (await self.propose(CommandKind.EXECUTE, encode(Statement(sql, None)), **more))[1]

    async def restore(self, restore: Restore, **more: Any) -> tuple[int, Any]:
        return await self.propose(CommandKind.RESTORE, encode(restore), **more)

    async def rows(self, sql: str) -> Any:
        reply = _Page()
        self.runner.replica.read(Read(sql, None, reply))
        self.runner.wake()
        return await asyncio.wait_for(reply.rows, WAIT_SECONDS)


class _Page(Awaited):
    def __init__(self) -> None:
        super().__init__()
        self.rows: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def page(self, page: Any, index: int, age_ms: int) -> None:
        self.rows.set_result(decode_rows(page.rows))

    def result(self, answer: bytes, index: int) -> None:
        self.rows.set_exception(AssertionError(decode_answer(answer)))

    def refused(self, why: Any, message: str) -> None:
        self.rows.set_exception(AssertionError(f"{why.name}: {message}"))
