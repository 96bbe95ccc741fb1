"""URLs and options, and what is said about those that are wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftsql_driver.address import LEVELS, level, parse
from raftsql_driver.errors import ProgrammingError


@pytest.fixture(autouse=True)
def _no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAFTSQL_URL", raising=False)


@pytest.mark.parametrize(
    ("url", "nodes"),
    [
        ("", ("127.0.0.1:4001",)),
        ("raftsql://", ("127.0.0.1:4001",)),
        ("raftsql://db", ("db:4001",)),
        ("raftsql://db:5/", ("db:5",)),
        ("RAFTSQL://db:5", ("db:5",)),
        ("db:5", ("db:5",)),
        ("a:1,b:2", ("a:1", "b:2")),
        ("raftsql://a:1,b,c:3/", ("a:1", "b:4001", "c:3")),
        ("raftsql://[::1]:5,[fe80::1]/", ("[::1]:5", "[fe80::1]:4001")),
        ("raftsql:///?host=a:1&host=b:2", ("a:1", "b:2")),
        ("raftsql://a:1/?host=b:2,c:3", ("a:1", "b:2", "c:3")),
        ("raftsql://a:1,a:1/", ("a:1",)),
        ("raftsql://me:secret@a:1,b:2/?timeout=5", ("a:1", "b:2")),
    ],
)
def test_hosts_are_read_in_every_form(url: str, nodes: tuple[str, ...]) -> None:
    assert parse(url).nodes == nodes


def test_user_and_password_may_be_escaped() -> None:
    address = parse("raftsql://m%40x:p%3A%2Fw@a:1/")
    assert (address.user, address.password) == ("m@x", "p:/w")


def test_a_password_is_in_no_representation() -> None:
    address = parse("raftsql://me:secret@a:1/")
    assert "secret" not in repr(address) + str(address)
    assert str(address) == "raftsql://me@a:1/"


def test_options_come_from_the_url_and_keywords_win() -> None:
    address = parse(
        "raftsql://a:1/?consistency=stale&timeout=2.5&autocommit=true&max_staleness=3",
        {"consistency": "session", "timeout": None},
    )
    assert (address.consistency, address.timeout) == ("session", 2.5)
    assert (address.autocommit, address.max_staleness) == (True, 3.0)


def test_hosts_may_be_a_keyword_and_win_too() -> None:
    assert parse(None, {"host": "a:1,b"}).nodes == ("a:1", "b:4001")
    assert parse("raftsql://c:3/?host=d:4", {"host": "a:1"}).nodes == ("a:1",)
    with pytest.raises(ProgrammingError, match="not a list"):
        parse(None, {"host": ["a:1"]})


def test_no_isolation_level_means_autocommit_as_in_sqlite3() -> None:
    assert parse("raftsql://a:1/?isolation_level=IMMEDIATE", {"isolation_level": None}).autocommit
    assert not parse(None, {"isolation_level": None, "autocommit": False}).autocommit


@pytest.mark.parametrize(
    ("option", "words"),
    [("port", "behind the host"), ("dbname", "just one"), ("database", "just one")],
)
def test_who_comes_from_another_driver_is_told_what_is_written_here(
    option: str, words: str
) -> None:
    with pytest.raises(ProgrammingError, match=words):
        parse(None, {option: 5})


def test_the_environment_names_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAFTSQL_URL", "raftsql://db:7/?timeout=3")
    assert (parse(None).nodes, parse(None).timeout) == (("db:7",), 3.0)
    assert parse("other:8").nodes == ("other:8",)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://a:1/", "write raftsql://"),
        ("raftql://a:1/", "write raftsql://"),
        ("raftsql://a:x/", "host:port"),
        ("raftsql://a:0/", "1 to 65535"),
        ("raftsql://a:70000/", "1 to 65535"),
        ("raftsql://a b:1/", "host:port"),
        ("raftsql://::1:5/", "brackets"),
        ("raftsql://a:1,/", "host:port"),
        ("raftsql://a:1/shop", "just one"),
        ("raftsql://a:1/?timeot=5", "did you mean timeout"),
        ("raftsql://a:1/?zzz=5", "no option 'zzz'"),
        ("raftsql://a:1/?timeout=soon", "timeout='soon': expected seconds, more than 0"),
        ("raftsql://a:1/?timeout=0", "more than 0"),
        ("raftsql://a:1/?timeout=-1", "seconds"),
        ("raftsql://a:1/?timeout=nan", "seconds"),
        ("raftsql://a:1/?consistency=eventual", "linearizable"),
        ("raftsql://a:1/?autocommit=perhaps", "true or false"),
        ("raftsql://a:1/?isolation_level=dirty", "IMMEDIATE"),
        ("raftsql://a:1/?sslmode=prefer", "in the clear"),
        ("raftsql://a:1/?sslmode=maybe", "verify-full"),
        ("raftsql://a:1/?sslcert=x", "sslkey"),
        ("raftsql://a:1/?sslmode=disable&sslrootcert=x", "leave one"),
        ("raftsql://:secret@a:1/", "no user"),
    ],
)
def test_a_mistake_is_named_with_what_to_write_instead(url: str, words: str) -> None:
    with pytest.raises(ProgrammingError) as caught:
        parse(url)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_url_is_text() -> None:
    with pytest.raises(ProgrammingError, match="not an int"):
        parse(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "tls"),
    [
        ("", False),
        ("sslmode=disable", False),
        ("sslmode=require", True),
        ("sslmode=verify-full", True),
        ("sslrootcert=ca.pem", True),
        ("sslcert=c.pem&sslkey=k.pem", True),
    ],
)
def test_encryption_is_on_when_asked_for_or_when_a_certificate_is_named(
    query: str, tls: bool
) -> None:
    assert parse(f"raftsql://a:1/?{query}").tls is tls


def test_only_equal_logins_share_streams() -> None:
    keys = {parse(f"raftsql://{login}a:1/").key for login in ("", "me:x@", "me:y@", "you:x@")}
    assert len(keys) == 4
    assert parse("a:1").key == parse("raftsql://a:1/?timeout=5").key


def test_levels_have_their_numbers_of_the_wire() -> None:
    assert [level(name) for name in LEVELS] == [0, 1, 2, 3]
    with pytest.raises(ProgrammingError, match="linearizable, lease, session, stale"):
        level("strong")


@given(st.text())
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        address: Any = parse(text)
    except ProgrammingError:
        return
    assert all(":" in node for node in address.nodes)
