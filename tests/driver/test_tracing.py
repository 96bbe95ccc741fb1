"""The spans of a connection, against a cluster that fails when it is told to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from raftsql_driver.errors import OutcomeUnknown
from raftsql_driver.sync import Connection, connect
from raftsql_proto import frames as f
from tests.driver.fake import FakeServer
from tests.operations.spans import names, of_the_program


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return of_the_program()


@pytest.fixture
def traced(server: FakeServer, spans: InMemorySpanExporter) -> Iterator[Connection]:
    connection = connect(server.url, timeout=10, autocommit=True, tracing="on")
    connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
    spans.clear()
    yield connection
    connection.close()


def only(spans: InMemorySpanExporter) -> ReadableSpan:
    (found,) = spans.get_finished_spans()
    return found


def shown(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_write_that_is_sent_again_is_one_span(
    server: FakeServer, traced: Connection, spans: InMemorySpanExporter
) -> None:
    server.faults.refuse.append(f.Refused(0, f.Why.OVERLOADED, "later"))
    traced.execute("INSERT INTO t VALUES (1, 'x')")
    span = only(spans)
    (event,) = span.events
    assert (event.name, dict(event.attributes or {})["raftsql.reason"]) == ("retry", "overloaded")
    assert shown(span)["raftsql.retries"] == 1
    assert "error.type" not in shown(span)


def test_an_outcome_that_nobody_knows_is_named(
    server: FakeServer, traced: Connection, spans: InMemorySpanExporter
) -> None:
    server.faults.drop_answers = -1
    with pytest.raises(OutcomeUnknown):
        traced.execute("INSERT INTO t VALUES (1, 'x')", timeout=0.3)
    assert shown(only(spans))["error.type"] == "OutcomeUnknown"


def test_rows_of_one_statement_are_a_batch(traced: Connection, spans: InMemorySpanExporter) -> None:
    traced.executemany("INSERT INTO t VALUES (?, ?)", [(n, "secret") for n in range(1200)])
    found = shown(only(spans))
    assert found["db.operation.batch.size"] == 1200
    assert found["db.operation.name"] == "BATCH INSERT"
    assert found["db.query.text"] == "INSERT INTO t VALUES (?, ?)"


def test_a_script_is_one_span(traced: Connection, spans: InMemorySpanExporter) -> None:
    traced.executescript("INSERT INTO t VALUES (1, 'a'); DELETE FROM t WHERE a = 1;")
    span = only(spans)
    assert span.name == "INSERT t; DELETE t"
    told = "INSERT INTO t VALUES (?, ?); DELETE FROM t WHERE a = ?"
    assert shown(span)["db.query.text"] == told
    assert shown(span)["db.operation.batch.size"] == 2


def test_how_much_of_a_statement_is_shown_is_for_the_program_to_say(
    server: FakeServer, traced: Connection, spans: InMemorySpanExporter
) -> None:
    texts = {}
    for mode in ("names", "on", "text"):
        with connect(server.url, autocommit=True, tracing=mode) as connection:
            connection.execute("SELECT a FROM t WHERE b = 'secret' AND a = ?", ["parameter"])
        texts[mode] = shown(only(spans)).get("db.query.text")
        assert "parameter" not in only(spans).to_json()
        spans.clear()
        connection.close()
    assert texts == {
        "names": None,
        "on": "SELECT a FROM t WHERE b = ? AND a = ?",
        "text": "SELECT a FROM t WHERE b = 'secret' AND a = ?",
    }


def test_a_transaction_of_plain_commits_is_told_with_its_end(
    server: FakeServer, traced: Connection, spans: InMemorySpanExporter
) -> None:
    with connect(server.url, tracing="on") as connection:
        connection.execute("INSERT INTO t VALUES (1, 'x')")
        connection.rollback()
    assert names(list(spans.get_finished_spans())) == ["transaction", "INSERT t", "ROLLBACK"]
    whole = next(s for s in spans.get_finished_spans() if s.name == "transaction")
    assert shown(whole)["raftsql.outcome"] == "rolled back"
    connection.close()


def test_what_asks_no_node_is_no_span(traced: Connection, spans: InMemorySpanExporter) -> None:
    traced.execute("PRAGMA foreign_keys")
    traced.execute("BEGIN")
    traced.execute("COMMIT")
    assert spans.get_finished_spans() == ()


def test_sqlalchemy_takes_the_option_in_its_url(
    server: FakeServer, traced: Connection, spans: InMemorySpanExporter
) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine(server.url + "?tracing=on")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT a FROM t")).all()
    engine.dispose()
    assert "SELECT t" in names(list(spans.get_finished_spans()))


def _program(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False
    )


def test_without_the_extra_the_option_says_what_to_install() -> None:
    done = _program(
        "import sys; sys.modules['opentelemetry'] = None\n"
        "import raftsql\n"
        "raftsql.connect('raftsql://127.0.0.1:9/?tracing=on')"
    )
    assert "pip install 'raftsql[opentelemetry]'" in done.stderr
    assert "InterfaceError" in done.stderr


def test_nobody_who_did_not_ask_loads_the_library() -> None:
    done = _program(
        "import sys, raftsql, raftsql.server.serve, raftsql_driver.sync, raftsql_driver.aio\n"
        "import raftsql.server.web, raftsql_driver.stream, raftsql_shell.app\n"
        "try: raftsql.connect('raftsql://127.0.0.1:9/', connect_timeout=0.2)\n"
        "except raftsql.OperationalError: pass\n"
        "assert 'raftsql.rpc.client_stream' in sys.modules\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    assert done.stdout.strip() == "[]", done.stderr
