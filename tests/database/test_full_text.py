"""Full-text tables: three machines fed the same log in other batches come to the same.

Full-text search gathers words in memory until a transaction ends, and merges what it wrote by its
own counting. What is found, how it is ranked, what last_insert_rowid() says afterwards and what the
checksum sums may not follow from where a node happened to end its transactions.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest

from raftsql.database import checksum
from raftsql.database.environment import Role, open_connection
from raftsql.database.machine import Machine
from raftsql.sql.commands import Done, Failed, decode_answer
from tests.database.conftest import Log
from tests.database.test_transaction import ON, Pair, pair

__all__ = ["pair"]

MODULES = {
    "fts5": "fts5(a, b)",
    "prefixes": "fts5(a, b, prefix = '2 3')",
    "contentless": "fts5(a, b, content = '')",
    "contentless, with deletes": "fts5(a, b, content = '', contentless_delete = 1)",
    "contentless, unindexed": "fts5(a, b UNINDEXED, content = '', contentless_unindexed = 1)",
    "external content": "fts5(a, b, content = 'source', content_rowid = 'id')",
    "without sizes": "fts5(a, b, columnsize = 0)",
    "columns only": "fts5(a, b, detail = column)",
    "no detail": "fts5(a, b, detail = none)",
    "trigrams": "fts5(a, b, tokenize = trigram)",
    "data in tokens": "fts5(a, b, tokendata = 1)",
    "locales": "fts5(a, b, locale = 1)",
    "fts4": "fts4(a, b)",
    "fts4, contentless": 'fts4(content="", a, b)',
    "fts4, descending": 'fts4(a, b, order=desc, prefix="2,3")',
    "fts3": "fts3(a, b)",
}
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
SETTINGS = ("'automerge', 2", "'crisismerge', 4", "'usermerge', 2", "'pgsz', 64")


def words(chance: Random) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(chance.randrange(1, 12)))


def upkeep(chance: Random, *, five: bool) -> str:
    if not five:
        return f"INSERT INTO ft(ft) VALUES ('{chance.choice(['optimize', 'merge=5,2'])}')"
    return chance.choice(
        [
            "INSERT INTO ft(ft) VALUES ('optimize')",
            "INSERT INTO ft(ft) VALUES ('flush')",
            "INSERT INTO ft(ft) VALUES ('rebuild')",
            "INSERT INTO ft(ft) VALUES ('integrity-check')",
            "INSERT INTO ft(ft, rank) VALUES ('merge', 5)",
            "INSERT INTO ft(ft, rank) VALUES ('merge', -5)",
        ]
    )


def history(module: str) -> Log:
    """A log that writes, searches and looks beneath a full-text table, and fails now and then."""
    log, chance, five = Log(), Random(module), module.startswith("fts5")
    vocabulary = "fts5vocab(ft, row)" if five else "fts4aux(ft)"
    log.script(
        "CREATE TABLE source(id INTEGER PRIMARY KEY, a, b)",
        "CREATE TABLE found(x, y)",
        f"CREATE VIRTUAL TABLE ft USING {module}",
        f"CREATE VIRTUAL TABLE terms USING {vocabulary}",
    )
    for setting in SETTINGS if five else ():
        log.sql(f"INSERT INTO ft(ft, rank) VALUES ({setting})")
    rank = "rank" if five else "hex(matchinfo(ft, 'pcx'))"
    for number in range(1, 140):
        old = chance.randrange(1, number + 1)
        match chance.randrange(16):
            case 0:
                log.sql("DELETE FROM ft WHERE rowid = ?", [old])
            case 1:
                log.sql(
                    "UPDATE ft SET a = ?, b = ? WHERE rowid = ?",
                    [words(chance), words(chance), old],
                )
            case 2:
                log.sql("REPLACE INTO ft(rowid, a, b) VALUES (?, ?, 'x')", [old, words(chance)])
            case 3:
                log.sql("INSERT INTO ft(rowid, a) VALUES (?, 'new'), (?, 'twice')", [number, old])
            case 4:
                log.sql(upkeep(chance, five=five))
            case 5 | 6:
                log.sql(
                    f"INSERT INTO found SELECT rowid, {rank} FROM ft WHERE ft MATCH ?",
                    [chance.choice(WORDS)],
                )
            case 7:
                log.sql("INSERT INTO found SELECT * FROM ft_docsize")
            case 8:
                log.script(
                    f"DELETE FROM ft WHERE rowid = {old}",
                    "INSERT INTO found VALUES (last_insert_rowid(), changes())",
                    "SELECT count(*) FROM terms",
                    "INSERT INTO found VALUES (last_insert_rowid(), changes())",
                )
            case 9:
                log.sql("INSERT INTO found SELECT term, last_insert_rowid() FROM terms LIMIT 9")
            case 10:
                row: list[Any] = [1000 + number, words(chance), words(chance)]
                log.many("INSERT INTO ft(rowid, a, b) VALUES (?, ?, ?)", [row, [None, *row[1:]]])
            case _:
                row = [number, words(chance), words(chance)]
                log.sql("INSERT INTO source VALUES (?, ?, ?)", row)
                log.sql("INSERT INTO ft(rowid, a, b) VALUES (?, ?, ?)", row)
    return log


def fed(path: Path, log: Log, size: int, *, restarts: bool) -> list[bytes | None]:
    machine, answers = Machine.open(path), []
    for count, start in enumerate(range(0, len(log.entries), size)):
        if restarts and count % 5 == 4:
            machine.close()
            machine = Machine.open(path)
        answers += machine.apply(log.entries[start : start + size])
    machine.close()
    return answers


def seen(path: Path, *, five: bool) -> list[Any]:
    """What a client finds: with rank, in the order it comes, and from an ordering by rank."""
    connection = open_connection(path, Role.READER)
    rank = "rank" if five else "hex(matchinfo(ft, 'pcx'))"
    queries = (
        f"SELECT rowid, {rank} FROM ft WHERE ft MATCH ?",
        f"SELECT rowid FROM ft WHERE ft MATCH ? ORDER BY {rank}, rowid DESC LIMIT 7",
    )
    results: list[Any] = []
    for searched in (*WORDS, "alpha OR beta", "alpha gamma", "al*", "new"):
        for query in queries:
            try:
                results.append(connection.execute(query, (searched,)).fetchall())
            except apsw.Error as error:
                results.append(str(error))
    results.append(connection.execute("SELECT * FROM found").fetchall())
    connection.close()
    return results


def summed(path: Path) -> checksum.Checksum:
    connection = open_connection(path, Role.SERVICE)
    try:
        connection.execute("BEGIN")
        return checksum.take(connection, cluster=True)
    finally:
        connection.close()


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_batches_and_restarts_change_nothing(tmp_path: Path, module: str) -> None:
    log, five = history(module), module.startswith("fts5")
    alone = tmp_path / "alone.db"
    answers = fed(alone, log, 1, restarts=False)
    decoded = [decode_answer(answer) for answer in answers if answer is not None]
    assert sum(isinstance(each, Done) for each in decoded) > len(decoded) / 2
    assert sum(isinstance(each, Failed) for each in decoded) > 0
    for size, restarts in ((7, True), (1000, False)):
        path = tmp_path / f"by {size}.db"
        assert fed(path, log, size, restarts=restarts) == answers
        assert seen(path, five=five) == seen(alone, five=five)
        assert not checksum.compare(summed(path), summed(alone))


def test_what_could_not_be_compiled_changes_nothing_for_the_next(bench: Any) -> None:
    """The guard once took what a full-text table asks for itself for the client's own asking."""
    bench.sql("CREATE VIRTUAL TABLE ft USING fts5(a)")
    check = "INSERT INTO ft(ft) VALUES ('integrity-check')"
    assert bench.sql(check) == bench.sql(check) == Done(1, 0)
    bench.sql("INSERT INTO ft VALUES ('some words')")
    assert isinstance(bench.sql("SELECT * FROM nowhere"), Failed)
    assert bench.sql(check) == Done(1, 0)


@pytest.mark.parametrize("read", ["SELECT count(*) FROM terms", "SELECT rowid FROM ft('alpha')"])
def test_a_search_inside_a_transaction_is_replayed_where_it_may_write(
    pair: Pair, read: str
) -> None:
    pair.both(
        pair.leader.log.script(
            "CREATE VIRTUAL TABLE ft USING fts5(a, content = '', contentless_delete = 1,"
            " tokendata = 1)",
            "CREATE VIRTUAL TABLE terms USING fts5vocab(ft, row)",
        )
    )
    transaction = pair.leader.machine.begin(ON)
    for number in range(5):
        pair.run(transaction, "INSERT INTO ft VALUES ('alpha beta')")
        pair.run(transaction, read)
        pair.run(transaction, f"DELETE FROM ft WHERE rowid = {number}")
        pair.run(transaction, "INSERT INTO u VALUES (last_insert_rowid())")
    pair.commit(transaction)
    assert not checksum.compare(summed(pair.leader.path), summed(pair.follower.path))
