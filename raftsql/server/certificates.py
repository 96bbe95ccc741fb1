"""What a node's settings say of TLS, as the network side takes it.

Clients come to one port, peers to another: gRPC either asks every caller of a port for a
certificate or none of them, and a program that has a password needs none (decision 0130).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from raftsql.rpc.channels import PLAIN, Roads
from raftsql.rpc.tls import BadCertificates, Certificates, TlsFiles
from raftsql.server.settings import ServeSettings


@dataclass(frozen=True, slots=True)
class Tls:
    """The certificates of a node; without any, one plain port serves everybody."""

    clients: Certificates | None = None
    roads: Roads = PLAIN

    def refresh(self) -> None:
        """Look at the files now, so that the log says at once what has come of a rotation."""
        for certificates in (self.clients, self.roads.certificates):
            if certificates is not None:
                certificates.refresh()

    def told(self) -> dict[str, str]:
        """For the status: until when the certificate shown to each side is valid."""
        shown = {"clients": self.clients, "peers": self.roads.certificates}
        ends = {to: each.valid_until() for to, each in shown.items() if each is not None}
        return {to: end.isoformat() for to, end in ends.items() if end is not None}


def tls_of(settings: ServeSettings) -> Tls:
    """Read the certificates that the settings name; BadCertificates if they can't be used."""
    if not settings.tls_cert:
        return Tls()
    authority = Path(settings.tls_peer_ca or settings.tls_ca)
    client_authority = Path(settings.tls_client_ca) if settings.tls_client_ca else None
    clients = Certificates(
        TlsFiles(Path(settings.tls_cert), Path(settings.tls_key), client_authority)
    )
    peers = TlsFiles(
        Path(settings.tls_peer_cert or settings.tls_cert),
        Path(settings.tls_peer_key or settings.tls_key),
        authority,
    )
    roads = Roads(Certificates(peers), settings.peer_port_offset)
    if client_authority is not None and client_authority.read_bytes() == authority.read_bytes():
        raise BadCertificates(
            "clients and peers have the same CA, so any client's certificate would open the port "
            "of the peers: give the nodes certificates of a CA of their own, with --tls-peer-ca"
        )
    return Tls(clients, roads)
