"""HTTPS for the console: the certificate that clients get, and what clients are asked for.

As at the clients' port the files are read again when they are others: the next handshake uses what
is new, and a pair that does not fit together changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Final

from raftsql.rpc.tls import Certificates, TlsFiles
from raftsql.server.settings import ServeSettings

log = logging.getLogger("raftsql.console")

LOOK_SECONDS: Final = 5.0
"""How often the files are looked at."""


class Encryption:
    """A context for TLS that follows its files."""

    def __init__(self, settings: ServeSettings) -> None:
        """Read them; BadCertificates if they can't be used."""
        authority = Path(settings.tls_client_ca) if settings.tls_client_ca else None
        self._files = TlsFiles(Path(settings.tls_cert), Path(settings.tls_key), authority)
        self._certificates = Certificates(self._files)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        if authority is not None:
            self.context.verify_mode = ssl.CERT_REQUIRED
        self._load()
        self._looking: asyncio.Task[None] | None = None

    def _load(self) -> None:
        self.context.load_cert_chain(self._files.certificate, self._files.key)
        if self._files.authority is not None:
            self.context.load_verify_locations(self._files.authority)

    def start(self) -> None:
        """Follow the files from now on."""
        self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.refresh()

    def refresh(self) -> None:
        """Take up what is new in the files, if it can be used."""
        if not self._certificates.refresh():
            return
        try:
            self._load()
        except (ssl.SSLError, OSError) as error:
            log.warning("the console's certificate is not replaced: %s", error)

    def close(self) -> None:
        """Follow them no more."""
        if self._looking is not None:
            self._looking.cancel()
