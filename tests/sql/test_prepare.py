"""SQLite's own word can only make a verdict stricter."""

from __future__ import annotations

from raftsql.sql.plans import plan
from raftsql.sql.prepare import Prepared, confirm, examine
from raftsql.sql.verdict import Mode, Pinned, Pure, Refused

READ = plan("SELECT * FROM v")
WRITE = plan("INSERT INTO t SELECT * FROM v")


def test_what_sqlite_sees_nothing_in_keeps_its_verdict() -> None:
    assert confirm(READ, Prepared(True), Mode.PINNED) == Pure()
    assert confirm(WRITE, Prepared(False, frozenset({"abs"})), Mode.PINNED) == Pure()


def test_chance_hidden_in_a_view_is_pinned_and_refused_in_strict_mode() -> None:
    hidden = Prepared(False, frozenset({"random"}))
    verdict = confirm(WRITE, hidden, Mode.PINNED)
    assert isinstance(verdict, Pinned)
    assert verdict.calls[0].name == "RANDOM"
    assert isinstance(confirm(WRITE, hidden, Mode.STRICT), Refused)


def test_a_local_function_hidden_in_a_trigger_is_refused_in_a_write_only() -> None:
    hidden = frozenset({"total_changes"})
    assert isinstance(confirm(WRITE, Prepared(False, hidden), Mode.PINNED), Refused)
    assert confirm(READ, Prepared(True, hidden), Mode.PINNED) == Pure()


def test_a_function_nobody_vouched_for_is_refused() -> None:
    for decided, readonly in ((WRITE, False), (READ, True)):
        verdict = confirm(decided, Prepared(readonly, frozenset({"brand_new"})), Mode.PINNED)
        assert isinstance(verdict, Refused)


def test_a_read_that_would_write_is_refused() -> None:
    assert isinstance(confirm(READ, Prepared(False), Mode.PINNED), Refused)


def test_a_table_of_ours_is_refused_by_whatever_way_it_is_reached() -> None:
    reached = Prepared(True, tables=frozenset({"sqlite_raftsql_sessions"}))
    assert isinstance(confirm(READ, reached, Mode.PINNED), Refused)


def test_an_error_of_sqlite_is_a_refusal_at_its_place() -> None:
    broken = Prepared(False, error="no such table: v", error_position=14)
    verdict = confirm(READ, broken, Mode.PINNED)
    assert isinstance(verdict, Refused)
    assert (verdict.position, verdict.why) == (14, "no such table: v")


def test_what_was_refused_stays_refused() -> None:
    refused = plan("ATTACH 'x' AS y")
    assert confirm(refused, Prepared(True), Mode.PINNED) is refused.verdict


class Schema:
    """A prepare that has been asked."""

    def actions(self, text: str) -> Prepared:
        return Prepared(text.startswith("SELECT"), frozenset({"randomblob"}))


def test_a_text_is_judged_by_tokens_alone_or_with_a_schema() -> None:
    assert examine("INSERT INTO v VALUES (1)") == Pure()
    assert isinstance(examine("INSERT INTO v VALUES (1)", schema=Schema()), Pinned)
    strict = examine("INSERT INTO v VALUES (1)", mode=Mode.STRICT, schema=Schema())
    assert isinstance(strict, Refused)
    assert isinstance(examine("ATTACH 'x' AS y", schema=Schema()), Refused)
