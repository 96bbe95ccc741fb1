"""What users may do, on one node: by roles and grants, with passwords and tokens."""

from __future__ import annotations

import json
from typing import Any

import pytest

import raftsql
from raftsql.server.operate import NotDone
from raftsql_proto import users_pb2
from tests.security.secured import PASSWORDS, Secured

pytestmark = pytest.mark.e2e

NOT_ANNS = [
    "SELECT * FROM secrets",
    "SELECT 1 FROM secrets",
    "SELECT count(*) FROM secrets",
    "SELECT * FROM orders, secrets",
    "SELECT (SELECT what FROM secrets)",
    "WITH s AS (SELECT * FROM secrets) SELECT * FROM s",
    "SELECT * FROM orders WHERE what IN (SELECT what FROM secrets)",
    "EXPLAIN SELECT * FROM secrets",
    "SELECT * FROM seen",
    "SELECT * FROM sqlite_stat1",
    "SELECT * FROM dbstat",
    "INSERT INTO prices VALUES ('b', 1)",
    "INSERT INTO orders SELECT 2, what FROM secrets",
    "UPDATE orders SET what = (SELECT what FROM secrets)",
    "UPDATE orders SET what = s.what FROM secrets s",
    "DELETE FROM prices",
    "DELETE FROM secrets WHERE what = 'x'",
    "INSERT INTO traced VALUES (1)",
    "CREATE TABLE more(a)",
    "CREATE TRIGGER t AFTER INSERT ON orders BEGIN DELETE FROM secrets; END",
    "CREATE VIEW v AS SELECT * FROM secrets",
    "CREATE INDEX i ON orders(what)",
    "ALTER TABLE orders ADD COLUMN more",
    "DROP TABLE orders",
    "REINDEX",
    "ANALYZE",
    "VACUUM",
    "PRAGMA user_version = 7",
]


@pytest.fixture(scope="module")
def traps(secured: Secured) -> Secured:
    """A view and a trigger that lead to what a user may not touch."""
    with secured.connect("root") as root:
        root.executescript(
            "CREATE VIEW seen AS SELECT * FROM secrets; CREATE TABLE traced(a);"
            "CREATE TRIGGER trap AFTER INSERT ON traced BEGIN INSERT INTO secrets VALUES (new.a);"
            " END; CREATE INDEX by_price ON prices(price); ANALYZE"
        )
    secured.change("ann", grant=users_pb2.GrantRight(right="read", table="seen"))
    secured.change("ann", grant=users_pb2.GrantRight(right="write", table="traced"))
    return secured


def what_is(secured: Secured) -> Any:
    with secured.connect("root") as root:
        tables = ("orders", "prices", "secrets", "traced", "sqlite_schema")
        return [root.execute(f"SELECT * FROM {table}").fetchall() for table in tables]


@pytest.mark.parametrize("sql", NOT_ANNS)
def test_no_way_leads_to_what_was_not_granted(traps: Secured, sql: str) -> None:
    before = what_is(traps)
    with traps.connect("ann") as ann:
        with pytest.raises(raftsql.ProgrammingError, match="user ann may not"):
            ann.execute(sql)
        if not sql.startswith("VACUUM"):
            ann.execute("BEGIN IMMEDIATE")
            with pytest.raises(raftsql.DatabaseError, match=r"user ann may not|dbstat differs"):
                ann.execute(sql)
            ann.execute("ROLLBACK")
    assert what_is(traps) == before


def test_what_was_granted_works(traps: Secured) -> None:
    with traps.connect("ann") as ann:
        assert ann.execute("SELECT price FROM prices").fetchall() == [(7,)]
        assert ann.execute("WITH c AS (SELECT 1) SELECT count(*) FROM c").fetchall() == [(1,)]
        assert ann.execute("SELECT value FROM json_each('[5]')").fetchall() == [(5,)]
        ann.execute("INSERT INTO orders VALUES (9, 'nine')")
        ann.executemany("INSERT INTO orders VALUES (?, ?)", [(n, "x") for n in range(20, 60)])
        ann.execute("BEGIN")
        ann.execute("UPDATE orders SET what = 'ten' WHERE id = 9")
        ann.execute("COMMIT")
        assert ann.execute("SELECT what FROM orders WHERE id = 9").fetchall() == [("ten",)]
        ann.execute("DELETE FROM orders WHERE id > 1")


def test_a_text_that_another_user_ran_before_is_judged_anew(traps: Secured) -> None:
    text = "INSERT INTO secrets VALUES ('by root')"
    with traps.connect("root") as root, traps.connect("ann") as ann:
        for _ in range(4):
            root.execute(text)
            with pytest.raises(raftsql.ProgrammingError, match="ann may not write to secrets"):
                ann.execute(text)
        root.execute("DELETE FROM secrets WHERE what = 'by root'")


def test_rights_taken_away_are_gone_at_once(traps: Secured) -> None:
    with traps.connect("ann") as ann:
        ann.execute("SELECT * FROM prices").fetchall()
        traps.change("ann", revoke=users_pb2.RevokeRight(table="prices"))
        with pytest.raises(raftsql.ProgrammingError):
            ann.execute("SELECT * FROM prices")
    traps.change("ann", grant=users_pb2.GrantRight(right="read", table="prices"))


def test_an_open_transaction_does_not_keep_its_user_in(traps: Secured) -> None:
    with traps.connect("ann", autocommit=False) as ann:
        ann.execute("INSERT INTO orders VALUES (77, 'held')")
        traps.change("ann", revoke=users_pb2.RevokeRight(table="orders"))
        with pytest.raises(raftsql.OperationalError, match="rights are being changed"):
            ann.execute("INSERT INTO orders VALUES (78, 'held')")
        ann.rollback()
    traps.change("ann", grant=users_pb2.GrantRight(right="write", table="orders"))
    with traps.connect("root") as root:
        assert root.execute("SELECT * FROM orders WHERE what = 'held'").fetchall() == []


def test_roles_hold_for_all_tables(secured: Secured) -> None:
    secured.change("rita", add=users_pb2.AddUser(password="rita's own word", role="read"))
    with secured.connect("rita", "rita's own word") as rita:
        assert rita.execute("SELECT what FROM secrets").fetchall() == [("hidden",)]
        with pytest.raises(raftsql.ProgrammingError):
            rita.execute("INSERT INTO secrets VALUES (1)")
        secured.change("rita", grant=users_pb2.GrantRight(right="write"))
        rita.execute("CREATE TABLE of_rita(a)")
        rita.execute("DROP TABLE of_rita")
    with pytest.raises(NotDone, match="admin"):
        secured.change("eva", "eva", grant=users_pb2.GrantRight(right="admin"))
    secured.change("rita", remove=True)


def test_a_new_password_ends_connections_made_with_the_old_one(secured: Secured) -> None:
    secured.change("tom", add=users_pb2.AddUser(password="tom's first word", role="read"))
    with secured.connect("tom", "tom's first word") as tom:
        tom.execute("SELECT 1")
        secured.change("tom", password="tom's second word")
        with pytest.raises(raftsql.AuthenticationFailed):
            tom.execute("SELECT 1")
    with pytest.raises(raftsql.AuthenticationFailed):
        secured.connect("tom", "tom's first word")
    with secured.connect("tom", "tom's second word") as tom:
        secured.change("tom", remove=True)
        with pytest.raises(raftsql.AuthenticationFailed):
            tom.execute("SELECT 1")


def test_guessing_is_slowed_down(secured: Secured) -> None:
    said = []
    for _ in range(8):
        with pytest.raises((raftsql.AuthenticationFailed, raftsql.Unavailable)) as refused:
            secured.connect("nobody-at-all", "a guess", connect_timeout=5)
        said.append(str(refused.value))
    assert "wrong" in said[0]
    assert any("too many wrong passwords" in text for text in said)


def test_no_secret_is_in_any_log(secured: Secured) -> None:
    with pytest.raises(raftsql.AuthenticationFailed):
        secured.connect("root", "almost root's own word")
    audit = secured.audit().read_text()
    everything = audit + secured.nodes[0].says() + json.dumps(secured.nodes[0].status())
    for word in [*PASSWORDS.values(), "almost root's own word", "rt1."]:
        assert word not in everything
    events = [json.loads(line) for line in audit.splitlines()]
    assert {"login", "user"} <= {event["event"] for event in events}
    assert any(e["event"] == "login" and e["outcome"].startswith("refused") for e in events)
    changes = [{k: e[k] for k in ("what", "whom", "right", "table") if k in e} for e in events]
    assert {"what": "add", "whom": "root", "right": "admin"} in changes
    assert {"what": "grant", "whom": "ann", "right": "write", "table": "orders"} in changes


def test_a_password_is_in_no_error_and_no_repr(secured: Secured) -> None:
    word = "a word to be kept"
    with pytest.raises(raftsql.AuthenticationFailed) as refused:
        secured.connect("root", word)
    connection = secured.connect("root")
    assert word not in str(refused.value) + repr(refused.value)
    assert PASSWORDS["root"] not in repr(connection) + str(vars(connection))
    connection.close()
