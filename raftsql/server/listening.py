"""The ports of a node, and what is served at each.

One port serves everybody. With TLS there are two, since gRPC asks every caller of a port for a
certificate or none of them: clients may have passwords, peers have certificates (decision 0130).
"""

from __future__ import annotations

import logging
from typing import Final

import grpc.aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from raftsql.rpc import channels, peer_service
from raftsql.rpc.wards import Ward
from raftsql.server.certificates import Tls
from raftsql.server.host import Host
from raftsql_proto import admin_pb2, client_pb2, users_pb2
from raftsql_proto.admin_pb2_grpc import add_AdminServicer_to_server
from raftsql_proto.client_pb2_grpc import add_ClientServicer_to_server
from raftsql_proto.users_pb2_grpc import add_UsersServicer_to_server

log = logging.getLogger("raftsql.server")

SERVICES: Final = ("raftsql.v1.Client", "raftsql.v1.Peers", "raftsql.v1.Admin", "raftsql.v1.Users")


def servers(host: Host, vitals: health.aio.HealthServicer, tls: Tls) -> list[grpc.aio.Server]:
    """What listens, bound and not yet started."""
    settings = host.settings
    outer = _server(host, vitals)
    credentials = None if tls.clients is None else tls.clients.to_serve()
    channels.listen(outer, settings.listen, credentials)
    if tls.roads.certificates is None:
        peer_service.add_to(outer, host.peers)
        return [outer]
    inner = _server(host, vitals)
    peer_service.add_to(inner, host.peers)
    place = tls.roads.place(settings.listen)
    channels.listen(inner, place, tls.roads.certificates.to_serve())
    log.info("peers are served on %s", place)
    return [outer, inner]


def _server(host: Host, vitals: health.aio.HealthServicer) -> grpc.aio.Server:
    server = channels.server(ward=Ward(host.gate))
    add_ClientServicer_to_server(host.clients, server)
    add_AdminServicer_to_server(host.admin, server)
    add_UsersServicer_to_server(host.users, server)
    health_pb2_grpc.add_HealthServicer_to_server(vitals, server)
    # Naming the modules that define the services is what registers them for reflection.
    assert client_pb2.DESCRIPTOR
    assert admin_pb2.DESCRIPTOR
    assert users_pb2.DESCRIPTOR
    reflection.enable_server_reflection(
        (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )
    return server
