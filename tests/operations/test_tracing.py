"""One trace from a program's statement to the database of the node that applied it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

import raftsql
from raftsql_driver.aio import AsyncConnection
from raftsql_proto import client_pb2
from raftsql_proto.client_pb2_grpc import ClientStub
from tests.operations.spans import cluster, names, of_the_program, url


class Tree:
    """The spans of one trace."""

    def __init__(self, spans: tuple[ReadableSpan, ...]) -> None:
        self.spans = list(spans)

    def only(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def children(self, parent: ReadableSpan) -> list[ReadableSpan]:
        me = parent.get_span_context()
        assert me is not None
        return [s for s in self.spans if s.parent is not None and s.parent.span_id == me.span_id]

    def path(self, name: str) -> list[str]:
        """The names from the outermost span to this one."""
        by_id = {span.context.span_id: span for span in self.spans if span.context is not None}
        span: ReadableSpan | None = self.only(name)
        found: list[str] = []
        while span is not None:
            found.insert(0, span.name)
            span = by_id.get(span.parent.span_id) if span.parent is not None else None
        return found


def shown(span: ReadableSpan, name: str) -> Any:
    return dict(span.attributes or {}).get(name)


async def test_a_write_is_one_trace_from_the_driver_to_apply(tmp_path: Path) -> None:
    spans = of_the_program()
    async with cluster(tmp_path, spans) as hosts:
        connection = await AsyncConnection.connect(url(hosts[0]), autocommit=True)
        await connection.execute("CREATE TABLE t (x INTEGER PRIMARY KEY, y)")
        spans.clear()
        await connection.execute("INSERT INTO t VALUES (?, 'secret')", [7])
        await connection.close()
    tree = Tree(spans.get_finished_spans())
    assert tree.path("apply") == ["INSERT t", "raftsql write", "apply"]
    assert names(tree.children(tree.only("raftsql write"))) == ["queue", "replicate", "apply"]
    driver, server = tree.only("INSERT t"), tree.only("raftsql write")
    assert (driver.kind, server.kind) == (SpanKind.CLIENT, SpanKind.SERVER)
    assert shown(driver, "db.system.name") == "raftsql"
    assert shown(driver, "db.query.text") == "INSERT INTO t VALUES (?, ?)"
    assert shown(driver, "db.collection.name") == "t"
    assert shown(driver, "server.address") == "127.0.0.1"
    assert (shown(server, "raftsql.node"), shown(server, "raftsql.outcome")) == (1, "done")
    assert len({span.context.trace_id for span in tree.spans if span.context}) == 1
    parts = sorted(tree.children(server), key=lambda span: span.start_time or 0)
    assert parts[0].start_time == server.start_time
    assert parts[-1].end_time == server.end_time
    assert all(a.end_time == b.start_time for a, b in pairwise(parts))


async def test_what_a_follower_passes_on_is_a_span_at_both_nodes(tmp_path: Path) -> None:
    """Asked by a single call, whose metadata carry the trace as any gRPC client's may."""
    spans = of_the_program()
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    caller = [("traceparent", f"00-{trace_id}-00f067aa0ba902b7-01"), ("tracestate", "vendor=1")]
    async with cluster(tmp_path, spans) as hosts:
        asked = hosts[2]
        async with grpc.aio.insecure_channel(asked.settings.advertise) as channel:
            request = client_pb2.ExecuteRequest(sql="CREATE TABLE t (x)", timeout_ms=20_000)
            await ClientStub(channel).Execute(request, metadata=caller)
        assert asked.runner is not None
        follower = asked.runner.node.id
    tree = Tree(spans.get_finished_spans())
    assert tree.path("apply") == ["raftsql forwarded", "raftsql write", "apply"]
    assert {f"{span.context.trace_id:032x}" for span in tree.spans if span.context} == {trace_id}
    assert shown(tree.only("raftsql forwarded"), "raftsql.node") == follower != 1
    assert shown(tree.only("raftsql write"), "raftsql.node") == 1
    assert tree.only("raftsql write").context.trace_state == {"vendor": "1"}  # type: ignore[union-attr]


async def test_a_read_shows_its_read_index_and_its_query(tmp_path: Path) -> None:
    spans = of_the_program()
    async with cluster(tmp_path, spans) as hosts:
        connection = await AsyncConnection.connect(url(hosts[1]), autocommit=True)
        await (await connection.execute("SELECT 1")).fetchall()
        await connection.close()
    tree = Tree(spans.get_finished_spans())
    assert tree.path("query") == ["SELECT", "raftsql read", "query"]
    assert names(tree.children(tree.only("raftsql read"))) == ["read index", "wait", "query"]


async def test_a_transaction_is_one_span_over_its_statements(tmp_path: Path) -> None:
    spans = of_the_program()
    async with cluster(tmp_path, spans, count=1) as hosts:
        connection = await AsyncConnection.connect(url(hosts[0]), autocommit=True)
        await connection.execute("CREATE TABLE t (x)")
        spans.clear()
        async with connection.transaction():
            await connection.execute("INSERT INTO t VALUES (1)")
            await (await connection.execute("SELECT x FROM t")).fetchall()
        await connection.close()
    tree = Tree(spans.get_finished_spans())
    whole = tree.only("transaction")
    assert names(tree.children(whole)) == ["INSERT t", "SELECT t", "COMMIT"]
    assert shown(whole, "raftsql.outcome") == "committed"
    assert tree.path("apply") == ["transaction", "COMMIT", "raftsql commit", "apply"]
    (server,) = tree.children(tree.only("INSERT t"))
    assert names(tree.children(server)) == ["wait", "query"]


async def test_a_statement_belongs_to_the_span_that_the_program_opened(tmp_path: Path) -> None:
    spans = of_the_program()
    tracer = trace.get_tracer("the program")
    async with cluster(tmp_path, None, count=1) as hosts:
        connection = await AsyncConnection.connect(url(hosts[0]), autocommit=True)
        with tracer.start_as_current_span("order"):
            await connection.execute("CREATE TABLE t (x)")
            async with connection.transaction():
                await connection.execute("INSERT INTO t VALUES (1)")
                with tracer.start_as_current_span("check"):
                    await connection.execute("UPDATE t SET x = 2")
        await connection.close()
    tree = Tree(spans.get_finished_spans())
    assert tree.path("CREATE t") == ["order", "CREATE t"]
    assert tree.path("INSERT t") == ["order", "transaction", "INSERT t"]
    assert tree.path("UPDATE t") == ["order", "check", "UPDATE t"]
    (link,) = tree.only("UPDATE t").links
    assert link.context.span_id == tree.only("transaction").context.span_id  # type: ignore[union-attr]


async def test_an_error_is_told_by_its_name_and_not_by_its_text(tmp_path: Path) -> None:
    spans = of_the_program()
    async with cluster(tmp_path, spans, count=1) as hosts:
        connection = await AsyncConnection.connect(url(hosts[0]), autocommit=True)
        await connection.execute("CREATE TABLE t (x INTEGER PRIMARY KEY)")
        await connection.execute("INSERT INTO t VALUES (?)", [7])
        spans.clear()
        with pytest.raises(raftsql.IntegrityError):
            await connection.execute("INSERT INTO t VALUES (?)", [7])
        await connection.close()
    tree = Tree(spans.get_finished_spans())
    driver, server = tree.only("INSERT t"), tree.only("raftsql write")
    assert driver.status.status_code is server.status.status_code is StatusCode.ERROR
    assert shown(driver, "error.type") == "SQLITE_CONSTRAINT_PRIMARYKEY"
    assert not driver.status.description
    assert not driver.events
    assert shown(server, "raftsql.outcome") == "failed"


async def test_a_slow_statement_in_the_log_names_its_program_and_its_trace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spans = of_the_program()
    async with cluster(tmp_path, spans, count=1) as hosts:
        own = {"autocommit": True, "application_name": "orders"}
        connection = await AsyncConnection.connect(url(hosts[0]), **own)
        hosts[0].clients.tally._slow_us = 0
        await connection.execute("CREATE TABLE slow (x)")
        await connection.close()
    (record,) = [r for r in caplog.records if r.getMessage() == "slow: CREATE TABLE slow (x)"]
    about = record.about  # type: ignore[attr-defined]
    assert about["client"] == "orders"
    assert about["peer"].startswith("ipv4:127.0.0.1:")
    driver = Tree(spans.get_finished_spans()).only("CREATE slow")
    assert about["trace_id"] == f"{driver.context.trace_id:032x}"  # type: ignore[union-attr]


async def test_a_node_records_nothing_for_a_client_that_does_not(tmp_path: Path) -> None:
    spans = of_the_program()
    async with cluster(tmp_path, spans, count=1) as hosts:
        off = url(hosts[0]).partition("?")[0]
        connection = await AsyncConnection.connect(off, autocommit=True)
        await connection.execute("CREATE TABLE t (x)")
        await connection.execute("SELECT x FROM t")
        await connection.close()
    assert spans.get_finished_spans() == ()
