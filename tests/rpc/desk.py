"""A client's stream over a staged replica: frames go in, and what the client gets is read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from raftsql.database.readers import Page, Rest
from raftsql.rpc.audit import Audit
from raftsql.rpc.client_stream import ClientStream
from raftsql.rpc.door import Door
from raftsql.rpc.gate import Caller, Gate
from raftsql.rpc.tally import Tally
from raftsql.sql.commands import Done, Failed, Opened, decode_answer
from raftsql.sql.plans import Plans
from raftsql_proto import frames
from raftsql_proto.frames import Run, Statement, Work, encode
from tests.cluster.stage import Stage


class Querying:
    """Pages, run at once."""

    def next_page(self, rest: Rest, read: Any) -> None:
        page = rest.next_page()
        assert isinstance(page, Page)
        read.reply.page(page, 0, 0)


class Runner:
    """As much of a runner as a stream asks for."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.replica = stage.replica
        self.node = stage.node
        self.querying = Querying()

    def now_ms(self) -> int:
        return self.stage.now

    def wake(self) -> None:
        pass


class Service:
    """As much of the client service as a stream asks for; what is passed on is only noted."""

    def __init__(self, stage: Stage) -> None:
        self.runner = Runner(stage)
        self.door = Door(Plans())
        self.tally = Tally()
        self.tracing = None
        self.gate = Gate(Audit())
        self.leader = ""
        self.passed_on: list[Any] = []

    def leader_address(self) -> str:
        return self.leader

    def welcome(self, caller: Caller | None) -> frames.Welcome:
        return frames.Welcome(frames.PROTOCOL, 1, "7", self.leader, {}, "0", "3")

    def forward(self, frame: Any, client: ClientStream) -> bool:
        if not self.leader:
            return False
        self.passed_on.append(frame)
        return True


class Desk:
    """One client at one node."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.service = Service(stage)
        self.stream = ClientStream(self.service)  # type: ignore[arg-type]
        self._id = 0

    def send(self, *batch: Any) -> list[Any]:
        """Send frames in one message; what comes back when all has settled."""
        self.stream.receive(frames.decode_client_frames(encode(list(batch))))
        self.stage.settle()
        return self.received()

    def received(self) -> list[Any]:
        """Everything that left for the client since this was last asked, as it reads it."""
        outbox = self.stream.outbox
        waiting, outbox._frames, outbox._sizes, outbox._bytes = outbox._frames, [], [], 0
        return frames.decode_server_frames(encode(waiting))

    def ask(self, frame: Any) -> Any:
        """Send one frame that has one answer."""
        (answer,) = self.send(frame)
        assert answer.id == frame.id
        return answer

    def next_id(self) -> int:
        """A number for a request."""
        self._id += 1
        return self._id

    def run(self, sql: str, *parameters: Any, **fields: Any) -> Run:
        """The frame of one statement."""
        body = encode(Statement(sql, list(parameters)))
        return Run(self.next_id(), Work.EXECUTE, body, **fields)

    def execute(self, sql: str, *parameters: Any, **fields: Any) -> Any:
        """Run one statement: Done, Failed, rows, or a refusal."""
        return understood(self.ask(self.run(sql, *parameters, **fields)))


def understood(frame: Any) -> Done | Failed | Opened | list[Any] | frames.Refused:
    """What an answer means to a client."""
    if isinstance(frame, frames.Result):
        return decode_answer(frame.answer)
    if isinstance(frame, frames.Page):
        return frames.decode_rows(frame.rows)
    assert isinstance(frame, frames.Refused), f"no answer: {frame}"
    return frame


def raw(*batch: list[Any]) -> bytes:
    """A message as a client of any language could pack it."""
    return msgspec.msgpack.encode(list(batch))


def staged_alone(folder: Path) -> Stage:
    """The only node of its cluster, with a table."""
    stage = Stage(folder, 1).lead()
    stage.wrote("CREATE TABLE t (x INTEGER PRIMARY KEY, y)")
    return stage
