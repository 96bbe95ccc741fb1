"""Certificates: read from files, and read again when the files are others.

gRPC asks for the server's certificate at every handshake, so a new file serves the next client
without a restart; connections that are open stay as they are. A file that can't be used changes
nothing: the old certificate goes on, and the log says why.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc

from raftsql.rpc.expiry import valid_until, warning

log = logging.getLogger("raftsql.rpc")


class BadCertificates(OSError):
    """The files can't be used; which, and why."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where one side's certificate is, and the authority whose certificates it takes of others."""

    certificate: Path
    key: Path
    authority: Path | None = None
    """Of the other side: None asks no certificate of clients, and trusts the system's as one."""


_Stamp = tuple[tuple[int, int, int], ...]


class Certificates:
    """One side's certificate and authority, as the files say now."""

    def __init__(self, files: TlsFiles) -> None:
        """Read them; BadCertificates if they are not what they should be."""
        self._files = files
        self._stamp = self._stamped()
        self._content = self._read()
        self._served = self._stamp
        """What the server was last told of. Apart from `_stamp`, since whoever calls a peer, or
        reads the settings again, may be the first to see that the files are others."""
        self._refused: _Stamp | None = None
        """Files that were looked at and could not be used."""

    def to_serve(self) -> grpc.ServerCredentials:
        """For a server; whoever calls must have a certificate where an authority is named."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(),
            self._again,
            require_client_authentication=self._files.authority is not None,
        )

    def to_call(self) -> grpc.ChannelCredentials:
        """For a connection to a peer, as the files say now."""
        self.refresh()
        key, certificate, authority = self._content
        return grpc.ssl_channel_credentials(authority, key, certificate)

    def valid_until(self) -> datetime | None:
        """When the certificate that is in use will not be believed any more."""
        return valid_until(self._content[1])

    def refresh(self) -> bool:
        """Read the files if they are others; whether they were, and are in use now."""
        try:
            stamp = self._stamped()
            if stamp in (self._stamp, self._refused):
                return False
            self._refused = stamp
            self._content = self._read()
        except BadCertificates as error:
            log.warning("the certificate is not replaced: %s", error)
            return False
        self._stamp = stamp
        log.info("the certificate in %s was replaced", self._files.certificate)
        return True

    def _again(self) -> Any:
        """Called by gRPC before a handshake, in a thread of its own. None: go on as before."""
        try:
            self.refresh()
            if self._served == self._stamp:
                return None
            self._served = self._stamp
            return self._configuration()
        except Exception:
            log.exception("certificates could not be looked at")
            return None

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        key, certificate, authority = self._content
        return grpc.ssl_server_certificate_configuration(
            [(key, certificate)], root_certificates=authority
        )

    def _stamped(self) -> _Stamp:
        found = (self._files.certificate, self._files.key, self._files.authority)
        return tuple(_stamp_of(path) for path in found if path is not None)

    def _read(self) -> tuple[bytes, bytes, bytes | None]:
        files = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # gRPC would take anything here, and fail at each handshake without saying why.
            context.load_cert_chain(files.certificate, files.key, password=lambda: b"")
        except (ssl.SSLError, ValueError) as error:
            raise BadCertificates(
                f"{files.certificate} and {files.key} are no certificate with its key: {error}"
            ) from error
        except OSError as error:
            raise BadCertificates(f"{files.certificate}, {files.key}: {error.strerror}") from error
        key, certificate = _content_of(files.key), _content_of(files.certificate)
        problem = warning(valid_until(certificate), datetime.now(UTC))
        if problem:
            log.warning("the certificate in %s %s", files.certificate, problem)
        return key, certificate, _authority(context, files.authority)


def _authority(context: ssl.SSLContext, path: Path | None) -> bytes | None:
    if path is None:
        return None
    content = _content_of(path)
    try:
        context.load_verify_locations(cadata=content.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise BadCertificates(f"{path} holds no authority's certificate: {error}") from error
    return content


def _content_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadCertificates(f"{path}: {error.strerror}") from error


def _stamp_of(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise BadCertificates(f"{path}: {error.strerror}") from error
    return (found.st_mtime_ns, found.st_ino, found.st_size)
