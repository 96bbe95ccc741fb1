from __future__ import annotations

from pathlib import Path

import pytest

from raftsql.cluster import uploads as module
from raftsql.cluster.uploads import NoRoom, StoppedEarly, Uploads, WrongFile
from raftsql.database.disk import Disk
from raftsql.database.snapshot import new_digest
from raftsql.sql.commands import Restore


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "restores", Disk())


def named(content: bytes) -> Restore:
    digest = new_digest()
    digest.update(content)
    return Restore(digest.digest(), len(content))


def bring(uploads: Uploads, content: bytes) -> Restore:
    upload = uploads.begin("incoming")
    upload.write(content)
    return upload.finish()


def test_a_file_is_held_under_what_is_in_it(uploads: Uploads) -> None:
    assert uploads.held(named(b"content")) is None
    assert bring(uploads, b"content") == named(b"content")
    path = uploads.held(named(b"content"))
    assert path is not None
    assert path.read_bytes() == b"content"
    assert uploads.held(named(b"other")) is None


def test_a_file_is_not_held_before_it_is_whole(uploads: Uploads) -> None:
    upload = uploads.begin("incoming")
    upload.write(b"content")
    upload.pause()
    assert uploads.held(named(b"content")) is None


def test_receiving_goes_on_where_it_was_cut(uploads: Uploads) -> None:
    wanted = named(b"first second")
    upload = uploads.resume(wanted)
    upload.write(b"first ")
    upload.pause()
    upload = uploads.resume(wanted)
    assert upload.received_bytes == 6
    upload.write(b"second")
    assert upload.finish(wanted) == wanted
    assert uploads.held(wanted) is not None


def test_another_file_than_the_one_that_was_named_is_thrown_away(uploads: Uploads) -> None:
    wanted = named(b"right")
    upload = uploads.resume(wanted)
    upload.write(b"wrong")
    with pytest.raises(WrongFile):
        upload.finish(wanted)
    again = uploads.resume(wanted)
    assert again.received_bytes == 0
    again.abandon()


def test_work_on_a_file_ends_early_when_the_node_stops(uploads: Uploads) -> None:
    wanted = named(b"first second")
    upload = uploads.resume(wanted)
    upload.write(b"first ")
    upload.pause()
    uploads.stopped = True
    with pytest.raises(StoppedEarly):
        uploads.resume(wanted)
    uploads.stopped = False
    assert uploads.resume(wanted).finish().size_bytes == 6


def test_of_files_that_broke_off_only_the_wanted_one_stays(uploads: Uploads) -> None:
    old, new = named(b"old"), named(b"new")
    for each in (old, new):
        upload = uploads.resume(each)
        upload.write(b"x")
        upload.pause()
    again = uploads.resume(new)
    assert again.received_bytes == 1
    again.pause()
    again = uploads.resume(old)
    assert again.received_bytes == 0
    again.abandon()


def test_a_file_is_kept_until_the_log_has_passed_its_entry(uploads: Uploads) -> None:
    restore = bring(uploads, b"content")
    uploads.applied(restore, 50)
    uploads.drop(restore)
    uploads.tidy(49)
    assert uploads.held(restore) is not None
    uploads.tidy(50)
    assert uploads.held(restore) is None


def test_a_file_that_no_entry_names_is_dropped_but_stays_for_the_log(uploads: Uploads) -> None:
    restore = bring(uploads, b"content")
    uploads.tidy(1000)
    assert uploads.held(restore) is not None
    uploads.drop(restore)
    assert uploads.held(restore) is None


def test_only_the_newest_files_are_kept(uploads: Uploads) -> None:
    every = [bring(uploads, bytes([n])) for n in range(5)]
    held = [uploads.held(each) is not None for each in every]
    assert held == [False, False, True, True, True]


def test_a_full_disk_is_said_before_it_is_full(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SPARE_BYTES", 1 << 60)
    upload = uploads.begin("incoming")
    with pytest.raises(NoRoom, match="are needed"):
        upload.write(b"content")
    upload.abandon()
