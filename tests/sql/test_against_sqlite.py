"""Our judge against SQLite: whatever it asks clock or chance for, the verdict has named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raftsql.sql.functions import CHANCE_FUNCTIONS, FORBIDDEN_FUNCTIONS, LOCAL_FUNCTIONS
from raftsql.sql.plans import Plan, StatementKind, plan
from raftsql.sql.verdict import Pinned, Refused
from tests.sql import statements as s
from tests.sql.sqlite import Witness

RUN = [
    text
    for block in (
        s.PURE_READS,
        s.PINNED_READS,
        s.PURE_WRITES,
        s.PINNED_WRITES,
        s.PURE_DEFINITIONS,
        s.PINNED_DEFINITIONS,
    )
    for text in s.lines(block)
]


@pytest.fixture(scope="module")
def witness() -> Iterator[Witness]:
    found = Witness()
    yield found
    found.close()


def nothing_is_hidden(decided: Plan, witness: Witness) -> None:
    """Check that what SQLite has just asked for stands in the verdict."""
    if isinstance(decided.verdict, Refused):
        return
    named = (
        {c.name for c in decided.verdict.calls} if isinstance(decided.verdict, Pinned) else set()
    )
    assert witness.functions & CHANCE_FUNCTIONS <= named
    assert not witness.functions & set(FORBIDDEN_FUNCTIONS)
    if witness.draws or witness.clock.readings:
        assert named
    if decided.kind is not StatementKind.READ:
        assert not witness.functions & set(LOCAL_FUNCTIONS)


@pytest.mark.parametrize("text", RUN)
def test_a_statement_of_the_table_is_real_and_hides_nothing(text: str, witness: Witness) -> None:
    assert witness.run(text), "SQLite does not run it"
    nothing_is_hidden(plan(text), witness)


def choice_of(text: str) -> st.SearchStrategy[str]:
    """One of the words of a text."""
    return st.sampled_from(text.split())


NAMES = choice_of(
    """random randomblob date datetime strftime julianday unixepoch time timediff abs lower max
    total_changes sqlite_version load_extension json_array coalesce quote like replace if left
    last_insert_rowid changes sqlite_source_id hex"""
)
GAPS = st.sampled_from(["", "", "", " ", "/**/", "\n", "--x\n", "\t\f", "\ufeff", "/* ' */", " \v"])
QUOTES = st.sampled_from(["{}", "{}", "{}", '"{}"', "`{}`", "[{}]", "'{}'"])
LEAVES = choice_of(
    """1 2.5 'x' 'now' "now" 'subsec' '2024-01-01' '%s' NULL a b c ? x'00' CURRENT_TIMESTAMP
    current_date "current_time" 'it''s' '--' '/*' 0x1F 1_0 "random" [random] random '1' -1
    'NOW' ('now') 'no'||'w' ?1 :now (a) b||'' (select'now') CAST('now'AS/**/text)
    'now'COLLATE/**/nocase"""
)


@st.composite
def calls(draw: st.DrawFn, arguments: st.SearchStrategy[str]) -> str:
    name = draw(QUOTES).format(draw(NAMES))
    name = name.upper() if draw(st.booleans()) else name
    inside = ",".join(draw(st.lists(arguments, max_size=3)))
    return f"{name}{draw(GAPS)}({draw(GAPS)}{inside}{draw(GAPS)})"


EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: (
        calls(inner)
        | st.builds("{} {} {}".format, inner, st.sampled_from(["+", "||", "IN (1,", "->>"]), inner)
        | st.builds("(SELECT {} FROM t ORDER BY {} LIMIT 1)".format, inner, inner)
        | st.builds("CASE WHEN {} THEN {} END".format, inner, inner)
    ),
    max_leaves=6,
)
SHAPES = st.sampled_from(
    [
        "SELECT {0}",
        "SELECT a FROM t WHERE {0} ORDER BY {1}",
        "SELECT * FROM t JOIN u ON {0}, json_each({1})",
        "WITH r(x) AS (SELECT {0}), date(y) AS (SELECT {1}) SELECT * FROM r, date",
        "INSERT INTO t(b, c) VALUES ({0}, {1})",
        "INSERT INTO t(b) SELECT {0} FROM t GROUP BY {1}",
        "INSERT INTO u(b) VALUES (1) ON CONFLICT (b) DO UPDATE SET c = {0} RETURNING {1}",
        "WITH r AS (SELECT {0} AS x) UPDATE t SET b = (SELECT x FROM r) WHERE {1}",
        "DELETE FROM t WHERE a IN (SELECT {0} FROM t AS random ORDER BY {1})",
        "SELECT sum(a) FILTER (WHERE {0}) OVER (PARTITION BY {1}) FROM t",
    ]
)


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(shape=SHAPES, first=EXPRESSIONS, second=EXPRESSIONS)
def test_no_generated_statement_hides_a_call(
    shape: str, first: str, second: str, witness: Witness
) -> None:
    text = shape.format(first, second)
    decided = plan(text)
    if witness.run(text):
        nothing_is_hidden(decided, witness)
        if isinstance(decided.verdict, Refused):
            assert any(n in text.upper() for n in {*FORBIDDEN_FUNCTIONS, *LOCAL_FUNCTIONS})
