"""Rights and their changes, as pure functions of the state before."""

from __future__ import annotations

import pytest

from raftsql.sql import access
from raftsql.sql.access import (
    NOBODY_YET,
    READS,
    SHAPES,
    WRITES,
    Access,
    AddKey,
    AddUser,
    Change,
    ChangeRefused,
    Grant,
    RemoveUser,
    Revoke,
    Role,
    SetSecret,
    changed,
)

KNOWN = {name: name for name in ("orders", "secrets", "docs", "sqlite_sequence")}
KNOWN["docs_content"] = "docs"


def after(*changes: Change, start: Access = NOBODY_YET, by: int = 1) -> Access:
    """The state after changes, each by the same user, at indexes from 10 on."""
    for index, change in enumerate(changes, start=10):
        start = changed(start, change, by=by, index=index, clock_ms=0)
    return start


ROOT = AddUser("root", b"hash", Role.ADMIN)
ANN = AddUser("ann", b"hash")


def test_the_first_user_has_to_be_an_admin() -> None:
    with pytest.raises(ChangeRefused, match="admin"):
        after(ANN)


def test_without_users_everybody_may_do_everything() -> None:
    assert NOBODY_YET.rights(0) is None
    assert not NOBODY_YET.on


def test_with_users_nobody_in_particular_may_do_nothing() -> None:
    rights = after(ROOT).rights(0)
    assert rights is not None
    assert rights.problem({(READS, "orders")}, KNOWN)


def test_an_admin_and_a_writer_may_run_everything() -> None:
    state = after(ROOT, AddUser("writer", b"hash", Role.WRITE))
    assert state.rights(1) is None
    assert state.rights(2) is None


@pytest.mark.parametrize("use", [(WRITES, "orders"), (SHAPES, ""), (WRITES, "sqlite_sequence")])
def test_a_reader_of_everything_changes_nothing(use: access.Use) -> None:
    rights = after(ROOT, AddUser("ann", b"hash", Role.READ)).rights(2)
    assert rights is not None
    assert rights.problem({(READS, "secrets")}, KNOWN) is None
    assert "ann may not" in (rights.problem({use}, KNOWN) or "")


def test_a_grant_is_for_its_table_alone_whatever_its_letters() -> None:
    rights = after(ROOT, ANN, Grant("ann", Role.WRITE, "Orders")).rights(2)
    assert rights is not None
    assert rights.problem({(READS, "orders"), (WRITES, "orders")}, KNOWN) is None
    assert rights.problem({(READS, "orders"), (READS, "secrets")}, KNOWN)


def test_a_right_to_read_is_none_to_write() -> None:
    rights = after(ROOT, ANN, Grant("ann", Role.READ, "orders")).rights(2)
    assert rights is not None
    assert rights.problem({(WRITES, "orders")}, KNOWN)


def test_the_tables_beneath_a_full_text_table_follow_its_grant() -> None:
    rights = after(ROOT, ANN, Grant("ann", Role.READ, "docs")).rights(2)
    assert rights is not None
    assert rights.problem({(READS, "docs_content")}, KNOWN) is None
    assert rights.problem({(WRITES, "docs_content")}, KNOWN)


def test_names_within_a_statement_and_the_catalogue_need_no_grant() -> None:
    rights = after(ROOT, ANN).rights(2)
    assert rights is not None
    assert rights.problem({(READS, "a_cte"), (READS, "sqlite_schema")}, KNOWN) is None
    assert rights.problem({(READS, "sqlite_stat4")}, KNOWN)
    assert rights.problem({(READS, "dbstat")}, KNOWN)


def test_letters_beyond_ascii_are_never_folded_into_another_tables_name() -> None:
    assert access.folded("Été") == "Été"
    assert access.folded("TABLE") == "table"


def test_only_an_admin_changes_users() -> None:
    state = after(ROOT, ANN)
    with pytest.raises(ChangeRefused, match="only an admin"):
        after(Grant("ann", Role.ADMIN), start=state, by=2)
    with pytest.raises(ChangeRefused, match="only an admin"):
        after(AddUser("eve", b"hash", Role.ADMIN), start=state, by=0)


def test_everybody_changes_their_own_password() -> None:
    state = after(SetSecret("ann", b"new"), start=after(ROOT, ANN), by=2)
    assert state.users["ann"].secret == b"new"
    with pytest.raises(ChangeRefused):
        after(SetSecret("root", b"mine now"), start=state, by=2)


def test_a_new_password_ends_what_was_got_with_the_old_one() -> None:
    state = changed(after(ROOT, ANN), SetSecret("ann", b"new"), by=1, index=50, clock_ms=0)
    assert state.users["ann"].since == 50


@pytest.mark.parametrize("change", [RemoveUser("root"), Revoke("root"), Grant("root", Role.WRITE)])
def test_the_last_admin_stays(change: Change) -> None:
    with pytest.raises(ChangeRefused, match="another admin"):
        after(change, start=after(ROOT, ANN))


def test_a_removed_users_number_is_not_the_next_ones() -> None:
    state = after(ROOT, ANN, RemoveUser("ann"), AddUser("bob", b"hash"))
    assert state.users["bob"].number == 3
    rights = state.rights(2)
    assert rights is not None
    assert rights.problem({(READS, "orders")}, KNOWN)


def test_numbers_begin_anew_when_all_were_given() -> None:
    state = after(ROOT)
    for index in range(4_200):
        state = after(AddUser(f"u{index}", b""), RemoveUser(f"u{index}"), start=state)
    assert max(user.number for user in state.users.values()) <= access.NUMBER_MAX


@pytest.mark.parametrize("name", ["", "a b", "a:b", "é", "x" * 65, "..", "a\n"])
def test_names_that_could_mislead_are_refused(name: str) -> None:
    with pytest.raises(ChangeRefused, match="name"):
        after(AddUser(name, b"hash", Role.ADMIN))


def test_a_few_keys_are_kept_and_the_oldest_goes() -> None:
    state = after(*[AddKey(bytes([n])) for n in range(5)])
    assert [key.secret for key in state.keys] == [b"\x02", b"\x03", b"\x04"]


def test_neither_users_nor_keys_show_their_secrets() -> None:
    state = after(AddUser("root", b"s3cret", Role.ADMIN), AddKey(b"s3cret"))
    assert "s3cret" not in repr(state)
    assert "s3cret" not in repr(state.users["root"])


def test_what_is_kept_is_read_back() -> None:
    state = after(ROOT, ANN, Grant("ann", Role.READ, "orders"), AddKey(b"k"))
    assert access.decode_access(access.encode(state)) == state
