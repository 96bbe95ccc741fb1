"""Runs a flow against a script of answers: no network, no clock but this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from raftsql_driver.flows import Ask, Lost, Pause, Send, State, Wait
from raftsql_driver.routes import Routes
from raftsql_proto import frames as f


class Clock:
    """Time as the test wants it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Script:
    """Answers flows in order, and remembers what they asked."""

    def __init__(self, *nodes: str, leader: str = "") -> None:
        self.clock = Clock()
        self.state = State(Routes(nodes or ("a:1", "b:2", "c:3")), self.clock)
        self.state.routes.leader = leader
        self.asked: list[Ask] = []
        self.sent: list[Send] = []
        self.paused: list[float] = []

    @property
    def nodes(self) -> list[str]:
        return [ask.node for ask in self.asked]

    @property
    def frames(self) -> list[Any]:
        return [ask.frame for ask in self.asked]

    def with_session(self, number: int = 7) -> Script:
        self.state.session.number = number
        self.state.session.heard_at = self.clock.now
        return self

    def play(self, flow: Any, *answers: Any) -> Any:
        """Run the flow to its end; an answer may be a function of the Ask, or an exception."""
        left, outcome = list(answers), None
        try:
            while True:
                if isinstance(outcome, BaseException):
                    step = flow.throw(outcome)
                else:
                    step = flow.send(outcome)
                outcome = None
                if isinstance(step, Pause):
                    self.paused.append(step.seconds)
                    self.clock.now += step.seconds
                elif isinstance(step, Send):
                    self.sent.append(step)
                    outcome = object()
                else:
                    assert isinstance(step, Ask | Wait), step
                    outcome = self._answer(step, left)
        except StopIteration as end:
            assert not left, f"the flow ended before it saw {left}"
            return end.value
        finally:
            flow.close()

    def _answer(self, step: Any, left: list[Any]) -> Any:
        if isinstance(step, Ask):
            # Frames are used again for another try: keep what this one said.
            frame = msgspec.structs.replace(step.frame)
            self.asked.append(Ask(step.node, frame, step.deadline, step.serial))
            step.serial = step.serial or 5
        assert left, f"the flow asks for more than the script knows: {step}"
        answer = left.pop(0)
        if isinstance(answer, Callable):
            answer = answer(step)
        return answer


def run(sql: str = "INSERT INTO t VALUES(1)", level: int = 0) -> f.Run:
    return f.Run(0, f.Work.EXECUTE, f.encode(f.Statement(sql)), level=level)


def result(answer: Any, index: int = 9) -> f.Result:
    return f.Result(0, msgspec.Raw(f.encode(answer)), index)


def done(changes: int = 1) -> f.Result:
    return result(f.Done(changes, 3))


def refusal(refusal: f.Refusal, code: int = 0, message: str = "no") -> f.Result:
    return result(f.Failed(refusal, code, message))


def opened(number: int = 7) -> f.Result:
    return result(f.Opened(number))


def page(*rows: list[Any], cursor: int = 0) -> f.Page:
    columns = [f.Column("x", "INTEGER")]
    return f.Page(0, columns, msgspec.Raw(f.encode(list(rows))), cursor, 12)


def refused(why: f.Why, leader: str = "", retry_after_ms: int = 0) -> f.Refused:
    return f.Refused(0, why, f"because {why.name}", leader, retry_after_ms=retry_after_ms)


LOST = Lost("the stream broke", sent=True)
UNSENT = Lost("not reachable", sent=False)
LATE = Lost("no answer in time", sent=True, late=True)
