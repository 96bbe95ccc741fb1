"""`raftsql user`, and other commands, as an operator types them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import grpc
import pytest

from raftsql_driver.address import parse
from raftsql_driver.calls import channel
from raftsql_driver.errors import InterfaceError
from raftsql_proto.users_pb2 import ListRequest
from raftsql_proto.users_pb2_grpc import UsersStub
from tests.security.secured import PASSWORDS, Secured
from tests.server.processes import raftsql, until

pytestmark = pytest.mark.e2e


def typed(secured: Secured, *words: str, given: str = "", user: str = "root") -> tuple[int, str]:
    """A command and what was piped into it; its exit code and all it said."""
    done = subprocess.run(
        [sys.executable, "-m", "raftsql.server", "user", *words, "--url",
         secured.url(secured.port, user)],
        input=given, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_user_from_first_to_last(secured: Secured) -> None:
    assert typed(secured, "add", "joe", "--role", "read", given="joe's own word\n")[0] == 0
    assert typed(secured, "grant", "joe", "write", "--on", "orders")[0] == 0
    with secured.connect("joe", "joe's own word") as joe:
        joe.execute("UPDATE orders SET what = what")
    assert typed(secured, "passwd", "joe", given="joe's second word\n")[0] == 0
    assert typed(secured, "revoke", "joe", "--on", "orders")[0] == 0
    listed = json.loads(typed(secured, "list", "--json")[1])
    assert {"user": "joe", "role": "read", "tables": {}} in listed
    assert typed(secured, "remove", "joe")[0] == 0
    assert "joe" not in typed(secured, "list")[1]


@pytest.mark.parametrize(
    ("words", "given", "said"),
    [
        (("add", "root"), "a long enough word\n", "there is a user root already"),
        (("add", "jim"), "short\n", "8 characters at least"),
        (("add", "a b"), "a long enough word\n", "name"),
        (("remove", "nobody"), "", "no user nobody"),
        (("remove", "root"), "", "another admin"),
        (("grant", "ann", "admin", "--on", "orders"), "", "two rights"),
    ],
)
def test_what_can_not_be_done_is_told(
    secured: Secured, words: tuple[str, ...], given: str, said: str
) -> None:
    code, text = typed(secured, *words, given=given)
    assert code == 1
    assert said in text
    assert "Traceback" not in text


def test_who_is_no_admin_is_refused_everything_but_an_own_password(secured: Secured) -> None:
    assert typed(secured, "list", user="eva")[0] == 1
    assert typed(secured, "add", "jim", given="a long enough word\n", user="eva")[0] == 1
    assert typed(secured, "passwd", "ann", given="a long enough word\n", user="eva")[0] == 1
    given = PASSWORDS["eva"] + "\n"
    assert typed(secured, "passwd", "eva", given=given, user="eva") == (0, "")


def test_other_commands_speak_as_the_url_says(secured: Secured) -> None:
    url = secured.url(secured.port, "root")
    status = raftsql("status", "--json", "--url", url)
    assert json.loads(status.stdout)["role"] == "leader"
    assert raftsql("verify", "--url", url).returncode == 0
    refused = raftsql("members", "--url", secured.url(secured.port))
    assert refused.returncode == 1
    assert "give a user and a password" in refused.stderr
    wrong = raftsql("status", "--url", f"raftsql://127.0.0.1:{secured.port}/?sslrootcert=/nowhere")
    assert "/nowhere" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_the_shell_speaks_as_the_url_says(secured: Secured) -> None:
    url = secured.url(secured.port, "ann")
    done = raftsql(url, "-c", "SELECT price FROM prices", "-c", ".status", "--format", "csv")
    assert "7" in done.stdout
    assert done.returncode == 0, done.stderr
    refused = raftsql(url, "-c", "SELECT * FROM secrets")
    assert refused.returncode == 1
    assert "ann may not read secrets" in refused.stderr


def test_a_tool_logs_in_once_for_many_calls(secured: Secured) -> None:
    address = parse(secured.url(secured.port, "root"))
    before = secured.audit().read_text().count('"login"')
    with channel(address.nodes[0], address) as open_channel:
        for _ in range(5):
            UsersStub(open_channel).List(ListRequest(), timeout=20)
    assert secured.audit().read_text().count('"login"') == before + 1


def test_a_wrong_password_is_told_once_and_counted_once(secured: Secured) -> None:
    address = parse(secured.url(secured.port, "root", "not root's word"))
    before = secured.audit().read_text().count('"refused')
    with (
        channel(address.nodes[0], address) as open_channel,
        pytest.raises(grpc.RpcError, match="wrong"),
    ):
        UsersStub(open_channel).List(ListRequest(), timeout=20)
    assert secured.audit().read_text().count('"refused') == before + 1


def test_files_that_are_missing_are_named() -> None:
    with pytest.raises(InterfaceError, match="/nowhere"):
        channel("127.0.0.1:1", parse("raftsql://127.0.0.1:1/?sslrootcert=/nowhere"))


def test_the_audit_log_is_opened_again_on_sighup(secured: Secured) -> None:
    node, path = secured.nodes[0], secured.audit()
    moved = path.rename(path.with_suffix(".old"))
    assert node.process is not None
    node.process.send_signal(signal.SIGHUP)
    until(path.exists, "a new audit log")
    raftsql("status", "--url", secured.url(secured.port, "root"))
    last = json.loads(path.read_text().splitlines()[-1])
    assert (last["event"], last["user"], last["outcome"]) == ("login", "root", "done")
    assert "root" in moved.read_text()


def test_a_data_directory_is_its_owners_alone(secured: Secured) -> None:
    assert secured.nodes[0].folder.stat().st_mode & 0o077 == 0
