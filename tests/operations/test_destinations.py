from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from raftsql.server.destinations import (
    Destination,
    Folder,
    NoDestination,
    Objects,
    destination,
    one_file,
)
from tests.operations.nodes import Nodes, damage_table
from tests.operations.objects import object_store


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    pytest.importorskip("obstore")
    with object_store() as (address, objects):
        for name, value in {
            "AWS_ENDPOINT_URL": address,
            "AWS_ALLOW_HTTP": "true",
            "AWS_SKIP_SIGNATURE": "true",
            "AWS_REGION": "here",
        }.items():
            monkeypatch.setenv(name, value)
        yield objects


@pytest.fixture(params=["folder", "objects"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Destination:
    if request.param == "folder":
        return destination(str(tmp_path / "to" / "backups"))
    request.getfixturevalue("store")
    return destination("s3://bucket/some/path")


def test_what_is_put_is_there_and_comes_back(place: Destination, tmp_path: Path) -> None:
    assert place.stored() == []
    file, back = tmp_path / "file", tmp_path / "back"
    file.write_bytes(b"content")
    place.put(file, "one.db")
    assert [(each.name, each.size_bytes) for each in place.stored()] == [("one.db", 7)]
    place.get("one.db", back)
    assert back.read_bytes() == b"content"
    place.delete("one.db")
    assert place.stored() == []


def test_what_is_not_there_is_an_os_error(place: Destination, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        place.get("missing.db", tmp_path / "back")


def test_a_large_file_goes_in_parts(store: dict[str, bytes], tmp_path: Path) -> None:
    file, back = tmp_path / "file", tmp_path / "back"
    file.write_bytes(bytes(range(256)) * 100_000)
    place = destination("s3://bucket/path")
    place.put(file, "large.db")
    place.get("large.db", back)
    assert back.read_bytes() == file.read_bytes()
    assert list(store) == ["/bucket/path/large.db"]


def test_a_path_and_a_file_url_are_the_same_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    place, name = one_file(f"file://{tmp_path}/with%20space/x.db")
    place.put(file, name)
    assert isinstance(place, Folder)
    assert (tmp_path / "with space" / "x.db").read_bytes() == b"content"


@pytest.mark.parametrize("url", ["s3://bucket", "s3://", "s3://bucket/"])
def test_a_url_without_a_files_name_names_no_file(url: str) -> None:
    with pytest.raises(NoDestination):
        one_file(url)


def test_a_store_that_nobody_knows_is_refused() -> None:
    pytest.importorskip("obstore")
    with pytest.raises(NoDestination, match="can't be used"):
        Objects("gopher://hole/path")


def test_a_backup_goes_to_an_object_store_and_is_restored_from_there(
    store: dict[str, bytes], tmp_path: Path
) -> None:
    url = "s3://bucket/daily/b.db.gz"
    with Nodes(tmp_path / "nodes", 1) as nodes:
        connection = nodes.connect()
        connection.execute("CREATE TABLE t(a)")
        connection.execute("INSERT INTO t VALUES ('kept')")
        done = nodes.run("backup", url, "--gzip")
        assert done.code == 0, done.err
        assert list(store) == ["/bucket/daily/b.db.gz"]
        again = nodes.run("backup", url)
        assert again.code == 1
        assert "exists" in again.err
        connection.execute("DELETE FROM t")
        done = nodes.run("restore", url, "--yes")
        assert done.code == 0, done.err
        assert connection.execute("SELECT a FROM t").fetchall() == [("kept",)]
        gone = nodes.run("restore", "s3://bucket/daily/missing.db", "--yes")
        assert gone.code == 1
        assert connection.execute("SELECT a FROM t").fetchall() == [("kept",)]


def test_a_damaged_database_gives_no_backup(tmp_path: Path) -> None:
    with Nodes(tmp_path / "nodes", 1) as nodes:
        connection = nodes.connect()
        connection.execute("CREATE TABLE t(a)")
        connection.executemany("INSERT INTO t VALUES (?)", [("x" * 900,) for _ in range(100)])
        nodes.stop(1)
        damage_table(nodes.data(1), "t")
        nodes.start(1)
        nodes.leader()
        done = nodes.run("backup", tmp_path / "b.db")
        assert done.code == 1
        assert "database.db, offset " in done.err
        assert not (tmp_path / "b.db").exists()
