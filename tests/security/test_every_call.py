"""Every call of every service, by nobody and by somebody who may nothing.

The calls are found in the services' own descriptions: one that is new is called here before anybody
has thought about it, and has to be refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from raftsql.server.operate import call
from raftsql_proto import admin_pb2, client_pb2, frames, peers_pb2, users_pb2
from raftsql_proto.admin_pb2_grpc import AdminStub
from raftsql_proto.client_pb2_grpc import ClientStub
from raftsql_proto.users_pb2_grpc import UsersStub
from tests.security.secured import OFFSET, PASSWORDS, Secured

pytestmark = pytest.mark.e2e

MODULES = (admin_pb2, client_pb2, peers_pb2, users_pb2, health_pb2, reflection_pb2)
METHODS = [
    method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
OPEN = {"grpc.health.v1.Health.Check", "grpc.health.v1.Health.Watch", "grpc.health.v1.Health.List"}
"""What probes ask, and gives nothing away."""
OF_PEERS = "raftsql.v1.Peers"
FOR_ANY_USER = {
    "raftsql.v1.Admin.Status",
    "raftsql.v1.Users.Login",
    "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo",
}
"""What a user without any right may ask. What Connect, Execute and Query do is SQL's to refuse."""
BY_SQL = {"raftsql.v1.Client.Connect", "raftsql.v1.Client.Execute", "raftsql.v1.Client.Query"}


def requests_of(method: MethodDescriptor) -> Any:
    """A request that would do something, where there is one."""
    kind = message_factory.GetMessageClass(method.input_type)
    match method.full_name:
        case "raftsql.v1.Client.Execute":
            return kind(sql="INSERT INTO secrets VALUES ('more')")
        case "raftsql.v1.Client.Query":
            return kind(sql="SELECT * FROM secrets")
        case "raftsql.v1.Client.Connect":
            return kind(batch=frames.encode([frames.Hello(frames.PROTOCOL)]))
        case "raftsql.v1.Users.Change":
            return kind(user="eva", grant=users_pb2.GrantRight(right="admin"))
        case "raftsql.v1.Users.Login":
            return kind(user="eva", password="a guess")
        case "raftsql.v1.Admin.RemoveMember":
            return kind(node=1)
        case "raftsql.v1.Admin.Restore":
            return kind(data=b"SQLite format 3\0", last=True)
        case _:
            return kind()


def ask(channel: grpc.Channel, method: MethodDescriptor, metadata: Any = ()) -> Any:
    """Make a call; its first answer."""
    service = method.containing_service.full_name
    streams = (method.client_streaming, method.server_streaming)
    make: Any = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }[streams]
    reply = message_factory.GetMessageClass(method.output_type)
    stub = make(
        f"/{service}/{method.name}",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=reply.FromString,
    )
    request = requests_of(method)
    if method.client_streaming:
        request = iter([request])
    answer = stub(request, metadata=metadata, timeout=20)
    return next(answer) if method.server_streaming else answer


def refused(channel: grpc.Channel, method: MethodDescriptor, metadata: Any = ()) -> Any:
    """How a call is refused."""
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel, method, metadata)
    error: Any = caught.value
    return error.code()


def state(secured: Secured) -> Any:
    """What a call could have changed."""
    with secured.connect("root") as root:
        rows = [root.execute(f"SELECT * FROM {t}").fetchall() for t in ("orders", "secrets")]
    place = secured.place(secured.port, "root")
    users = call(place, lambda stub: stub.List, users_pb2.ListRequest(), 20.0, UsersStub).json
    members = [m["node_id"] for m in secured.nodes[0].status()["members"]]
    return rows, users, members


@pytest.fixture
def unchanged(secured: Secured) -> Iterator[None]:
    """Whatever the test tries, nothing happens."""
    before = state(secured)
    yield
    assert state(secured) == before


def names(method: MethodDescriptor) -> str:
    return str(method.full_name)


def test_all_services_are_walked() -> None:
    found = {method.containing_service.full_name for method in METHODS}
    assert {"raftsql.v1.Admin", "raftsql.v1.Client", OF_PEERS, "raftsql.v1.Users"} <= found
    assert len(METHODS) >= 24


@pytest.mark.usefixtures("unchanged")
def test_nobody_may_call_anything(secured: Secured) -> None:
    with secured.channel() as channel:
        for method in METHODS:
            if method.full_name in OPEN:
                continue
            of_peers = method.containing_service.full_name == OF_PEERS
            expected = grpc.StatusCode.UNIMPLEMENTED if of_peers else None
            code = refused(channel, method)
            assert code == (expected or grpc.StatusCode.UNAUTHENTICATED), method.full_name


@pytest.mark.usefixtures("unchanged")
def test_who_has_no_rights_may_do_nothing(secured: Secured) -> None:
    place = secured.place(secured.port, "eva")
    login = users_pb2.LoginRequest(user="eva", password=PASSWORDS["eva"])
    token = call(place, lambda stub: stub.Login, login, 20.0, UsersStub).token
    metadata = [("authorization", f"Bearer {token}")]
    with secured.channel() as channel:
        for method in METHODS:
            name = method.full_name
            if name in OPEN | FOR_ANY_USER | {"raftsql.v1.Client.Connect"}:
                continue
            code = refused(channel, method, metadata)
            if method.containing_service.full_name == OF_PEERS:
                assert code == grpc.StatusCode.UNIMPLEMENTED, name
            elif name in BY_SQL:
                assert code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT)
            else:
                assert code == grpc.StatusCode.PERMISSION_DENIED, name


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("token", ["", "rt1.", "rt1.AAAA.AAAA", "Bearer", "x" * 4000])
def test_a_token_that_nobody_gave_is_worth_nothing(secured: Secured, token: str) -> None:
    with secured.channel() as channel:
        for method in METHODS:
            if method.full_name.startswith("raftsql.v1.Admin"):
                code = refused(channel, method, [("authorization", f"Bearer {token}")])
                assert code == grpc.StatusCode.UNAUTHENTICATED, method.full_name


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("who", ["nobody", "a client", "a stranger"])
def test_the_peers_port_is_for_certificates_of_peers(secured: Secured, who: str) -> None:
    certificate = {
        "nobody": lambda: None,
        "a client": lambda: secured.clients.sign("somebody"),
        "a stranger": lambda: secured.strangers.sign("stranger"),
    }[who]()
    with secured.channel(port=secured.port + OFFSET, certificate=certificate) as channel:
        for method in METHODS:
            assert refused(channel, method) == grpc.StatusCode.UNAVAILABLE, method.full_name


@pytest.mark.usefixtures("unchanged")
def test_a_peers_certificate_alone_opens_no_admins_call(secured: Secured) -> None:
    certificate = secured.peers.sign("peer-without-keys")
    with secured.channel(port=secured.port + OFFSET, certificate=certificate) as channel:
        for method in METHODS:
            service = method.containing_service.full_name
            if service.startswith("raftsql") and service != OF_PEERS:
                code = refused(channel, method)
                assert code == grpc.StatusCode.UNAUTHENTICATED, method.full_name


@pytest.mark.usefixtures("unchanged")
def test_callers_that_leave_at_once_do_no_harm(secured: Secured) -> None:
    """gRPC reads freed memory when it is asked about a call whose caller has left."""
    login = users_pb2.LoginRequest(user="someone", password="a guess at it")
    hello = frames.encode([frames.Hello(frames.PROTOCOL, token="someone:a guess")])
    pid = secured.nodes[0].status()["pid"]
    for _ in range(40):
        with secured.channel() as channel:
            users, client = UsersStub(channel), ClientStub(channel)
            calls = [
                users.Login.future(login),
                users.Change.future(users_pb2.ChangeRequest(user="eva", remove=True)),
                client.Connect(iter([client_pb2.Frames(batch=hello)])),
                AdminStub(channel).Backup(admin_pb2.BackupRequest()),
            ]
            for one in calls:
                one.cancel()
    assert secured.nodes[0].status()["pid"] == pid
