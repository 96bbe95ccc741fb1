"""Back up while in use, lose everything, restore: with real processes."""

from __future__ import annotations

import gzip
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import raftsql
from tests.operations.nodes import Nodes, rows

pytestmark = pytest.mark.timeout(100)


def load(connection: Any, count: int) -> None:
    connection.execute("CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price REAL)")
    connection.execute("CREATE TABLE log(at TEXT DEFAULT CURRENT_TIMESTAMP, n INTEGER)")
    connection.execute("CREATE INDEX by_name ON item(name)")
    connection.executemany(
        "INSERT INTO item(name, price) VALUES (?, ?)", [(f"item {n}", n / 3) for n in range(count)]
    )


class Writing:
    """Somebody who writes in pairs all the while: a state with half a pair never existed."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.acknowledged = 0
        self.begun = threading.Event()

    def _write(self) -> None:
        connection = self._nodes.connect()
        while not self._over.is_set():
            number = self.acknowledged + 1
            connection.executescript(
                f"INSERT INTO log(n) VALUES ({number}); INSERT INTO log(n) VALUES (-{number});"
            )
            self.acknowledged = number
            self.begun.set()
        connection.close()

    def __enter__(self) -> Writing:
        self._thread.start()
        assert self.begun.wait(15), "nothing could be written"
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(20)
        assert not self._thread.is_alive(), "the writer hangs"


@pytest.mark.parametrize("count", [1, 3])
def test_what_was_backed_up_under_load_is_there_after_losing_the_cluster(
    tmp_path: Path, count: int
) -> None:
    backup = tmp_path / "backup.db"
    with Nodes(tmp_path / "old", count) as nodes:
        load(nodes.connect(), 3000)
        with Writing(nodes) as writing:
            before = writing.acknowledged
            done = nodes.run("backup", backup)
            assert done.code == 0, done.err
        after = writing.acknowledged
    # Everything is lost but the backup, which is of one moment while it was taken.
    ((pairs, total),) = rows(backup, "SELECT count(*) / 2, sum(n) FROM log")
    assert before <= pairs <= after + 1
    assert total == 0
    with Nodes(tmp_path / "new", count) as nodes:
        done = nodes.run("restore", backup, "--yes")
        assert done.code == 0, done.err
        report = nodes.verify("--file", backup)
        assert report["equal"]
        assert report["complete"]
        assert report["file"]["equal"], report["file"]
        assert len(report["nodes"]) == count
        connection = nodes.connect()
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (3000,)
        connection.execute("INSERT INTO item(name) VALUES ('written after')")
        assert not nodes.verify("--file", backup)["file"]["equal"]


def test_a_backup_is_a_plain_file_without_a_trace_of_the_cluster(tmp_path: Path) -> None:
    backup, packed, text = tmp_path / "b.db", tmp_path / "b.db.gz", tmp_path / "b.sql"
    with Nodes(tmp_path / "old", 1) as nodes:
        connection = nodes.connect()
        load(connection, 500)
        connection.execute("CREATE TABLE odd(v); ")
        connection.execute("INSERT INTO odd VALUES (?), (?), (?)", (b"\x00\xff", 1e300, "it's"))
        assert nodes.run("backup", backup).code == 0
        assert nodes.run("backup", packed, "--gzip").code == 0
        assert nodes.run("backup", text, "--sql").code == 0
        streamed = subprocess.run(
            [sys.executable, "-m", "raftsql.server", "backup", "-", "--url", nodes.url],
            capture_output=True,
            timeout=30,
            check=True,
        ).stdout
        again = nodes.run("backup", backup)
        assert again.code == 1
        assert "exists" in again.err
        assert list(nodes.data(1).glob("backup-*")) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.db", "b.db.gz", "b.sql", "old"]
    assert rows(backup, "PRAGMA integrity_check") == [("ok",)]
    assert rows(backup, "SELECT name FROM sqlite_schema WHERE name LIKE '%raftsql%'") == []
    assert rows(backup, "SELECT count(*) FROM item") == [(500,)]
    assert streamed == backup.read_bytes()
    assert gzip.decompress(packed.read_bytes()) == backup.read_bytes()
    with closing(sqlite3.connect(tmp_path / "read.db")) as read:
        read.executescript(text.read_text())
        assert read.execute("SELECT v FROM odd").fetchall() == rows(backup, "SELECT v FROM odd")


def test_a_compressed_backup_is_restored_and_clients_keep_their_sessions(tmp_path: Path) -> None:
    backup = tmp_path / "b.db.gz"
    with Nodes(tmp_path / "nodes", 3) as nodes:
        connection = nodes.connect()
        load(connection, 200)
        assert nodes.run("backup", backup, "--gzip").code == 0
        connection.execute("DELETE FROM item")
        connection.execute("CREATE TABLE later(x)")
        done = nodes.run("restore", backup, "--yes", url=nodes.addresses[nodes.follower() - 1])
        assert done.code == 0, done.err
        # The same connection, whose session is older than the restore.
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (200,)
        connection.execute("INSERT INTO item(name) VALUES ('after')")
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (201,)
        report = nodes.verify()
        assert report["equal"]
        assert "later" not in report["tables"]


def test_a_transaction_that_read_the_old_database_is_told_so(tmp_path: Path) -> None:
    backup = tmp_path / "b.db"
    with Nodes(tmp_path / "nodes", 1) as nodes:
        load(nodes.connect(), 100)
        assert nodes.run("backup", backup).code == 0
        reading = nodes.connect()
        reading.execute("BEGIN")
        assert reading.execute("SELECT count(*) FROM item").fetchone() == (100,)
        assert nodes.run("restore", backup, "--yes").code == 0
        with pytest.raises(raftsql.OperationalError, match="replaced"):
            reading.execute("SELECT count(*) FROM item")
        reading.execute("ROLLBACK")
        assert reading.execute("SELECT count(*) FROM item").fetchone() == (100,)


def test_a_result_that_is_half_read_ends_with_an_error_and_not_with_other_rows(
    tmp_path: Path,
) -> None:
    backup = tmp_path / "b.db"
    with Nodes(tmp_path / "nodes", 1) as nodes:
        connection = nodes.connect()
        connection.execute("CREATE TABLE big(filling TEXT)")
        connection.executemany("INSERT INTO big VALUES (?)", [("x" * 1000,) for _ in range(8000)])
        assert nodes.run("backup", backup).code == 0
        cursor = nodes.connect().execute("SELECT rowid, filling FROM big")
        assert cursor.fetchone()[0] == 1
        assert nodes.run("restore", backup, "--yes").code == 0
        with pytest.raises(raftsql.OperationalError):
            cursor.fetchall()
        assert connection.execute("SELECT count(*) FROM big").fetchone() == (8000,)


def test_a_backup_that_was_edited_is_refused_until_that_is_said(tmp_path: Path) -> None:
    backup = tmp_path / "b.db"
    with Nodes(tmp_path / "nodes", 1) as nodes:
        connection = nodes.connect()
        load(connection, 500)
        assert nodes.run("backup", backup).code == 0
        with closing(sqlite3.connect(backup)) as edited:
            edited.execute("UPDATE item SET name = 'edited' WHERE id = 400")
            edited.commit()
        refused = nodes.run("restore", backup, "--yes")
        assert refused.code == 1
        assert "another program" in refused.err
        assert "--changed" in nodes.run("verify", "--file", backup).err
        done = nodes.run("restore", backup, "--yes", "--changed")
        assert done.code == 0, done.err
        rows_ = connection.execute("SELECT count(*), max(name) FROM item WHERE id = 400")
        assert rows_.fetchone() == (1, "edited")
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (500,)


def test_a_file_that_may_not_come_in_is_refused_with_all_its_problems(tmp_path: Path) -> None:
    hostile, broken, noise = tmp_path / "h.db", tmp_path / "c.db", tmp_path / "n.db"
    with closing(sqlite3.connect(hostile)) as made:
        made.execute("CREATE TABLE t(a)")
        made.execute("CREATE TRIGGER spy AFTER INSERT ON t BEGIN SELECT load_extension('x'); END")
        made.execute("CREATE VIEW version AS SELECT sqlite_version()")
        made.commit()
    with closing(sqlite3.connect(broken)) as made:
        made.execute("CREATE TABLE t(a)")
        made.executemany("INSERT INTO t VALUES (?)", [("x" * 500,) for _ in range(200)])
        made.commit()
    content = bytearray(broken.read_bytes())
    content[3 * 4096 : 3 * 4096 + 200] = b"\x55" * 200
    broken.write_bytes(content)
    noise.write_bytes(b"\x1f\x8b this is not what it says")
    with Nodes(tmp_path / "nodes", 3) as nodes:
        connection = nodes.connect()
        load(connection, 100)
        refused = nodes.run("restore", hostile, "--yes")
        assert refused.code == 1
        assert "trigger spy" in refused.err
        assert "view version" in refused.err
        assert nodes.run("restore", broken, "--yes").code == 1
        assert nodes.run("restore", noise, "--yes").code == 1
        unasked = nodes.run("restore", hostile)
        assert unasked.code == 1
        assert "--yes" in unasked.err
        open_file = nodes.run("restore", nodes.data(1) / "database.db", "--yes")
        assert open_file.code == 1
        assert "in use" in open_file.err
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (100,)
        assert nodes.verify()["equal"]
        for number in (1, 2, 3):
            assert not list(nodes.data(number).glob("restores/*.db")), "a refused file was kept"
