# SPDX-License-Identifier: Apache-2.0
"""A process's TLS: its key and certificate, whom it lets in, and the renewed certificate once it is there.

The files are looked at every few seconds. What has changed and fits is used for every connection from then
on; connections that stand go on. What does not fit is logged once, and the old stays in use. A change of
the trust list's authorities is taken over in the same way.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from hub.custody.opening import open_key
from hub.errors import HubError, TrustError
from hub.trust import PeerTrust, Use, tls_authorities
from hub.wire import ClientCertificates, TlsMaterial, client_context, judging_context, server_context

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from cryptography import x509

    from hub.clock import Clock
    from hub.custody.secrets import Secret
    from hub.identifiers import MemberId
    from hub.trust import TrustLists, Validator

LOOK_SECONDS = 5.0
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TlsKey:
    """Where a TLS key is: files only, since OpenSSL reads them itself.

    Attributes:
        key: encrypted PKCS#8 in PEM.
        chain: PEM, its own certificate first, without the root.
        passphrase: of the key.
    """

    key: Path
    chain: Path
    passphrase: Secret

    def open(self) -> tuple[TlsMaterial, x509.Certificate]:
        """Check that key and certificates fit and are guarded as signing keys are.

        Raises:
            TrustError: `trust.key_unusable`, `trust.key_exposed`.
        """
        opened = open_key(self.key, self.chain, self.passphrase)
        return TlsMaterial(self.chain, self.key, self.passphrase.reveal), opened.certificate_chain[0]

    def state(self) -> tuple[object, ...]:
        """Return what changes when a file is replaced."""
        states = [path.stat() for path in (self.key, self.chain)]
        return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in states)


@dataclass(frozen=True)
class _Made:
    certificate: x509.Certificate
    server: ssl.SSLContext
    client: ssl.SSLContext
    judging: ssl.SSLContext | None


class Connections:
    """The TLS of one process; safe to use from several threads.

    Args:
        key: its key, used for both sides.
        trust_lists: the authorities.
        validator: judges certificates, by the same list.
        clock: says what is in force.
        clients: who has to show a certificate.
        asks: the member whose server `judging` connects to; None where nothing connects so.

    Raises:
        TrustError: the key cannot be used.
    """

    def __init__(  # noqa: PLR0913 (each by its name)
        self,
        key: TlsKey,
        *,
        trust_lists: TrustLists,
        validator: Validator,
        clock: Clock,
        clients: ClientCertificates = ClientCertificates.FOR_MESSAGES,
        asks: MemberId | None = None,
    ) -> None:
        self.clients = clients
        self.client_judge = PeerTrust(validator, Use.TLS_CLIENT, clock)
        self.server_judge = PeerTrust(validator, Use.TLS_SERVER, clock)
        self._key = key
        self._trust_lists = trust_lists
        self._clock = clock
        self._asks = asks
        self._stopped = threading.Event()
        self._seen = self._state()
        self._made = self._make()

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate in use."""
        return self._made.certificate

    def server(self) -> ssl.SSLContext:
        """Return the context for the next connection that somebody opens."""
        return self._made.server

    def client(self) -> ssl.SSLContext:
        """Return the context for the next connection opened; its server is still to be judged."""
        return self._made.client

    def judging(self) -> ssl.SSLContext:
        """Return the context for the next blocking connection to the server of the member that is asked."""
        if self._made.judging is None:
            raise TypeError("no member is asked")
        return self._made.judging

    def look(self) -> None:
        """Take over what has changed."""
        try:
            state = self._state()
            if state == self._seen:
                return
            self._seen = state
            self._made = self._make()
        except (HubError, OSError) as error:
            # Files are replaced one after the other, so key and chain may not fit for a moment.
            _logger.warning("tls.not_renewed", reason=str(error))
        else:
            ends = self._made.certificate.not_valid_after_utc.isoformat()
            _logger.info("tls.renewed", ends=ends)

    def run(self) -> None:
        """Look every few seconds until `stop`."""
        while not self._stopped.wait(LOOK_SECONDS):
            try:
                self.look()
            except Exception:
                # What is in use stays so; the next look may succeed.
                _logger.exception("tls.not_looked_after")

    def stop(self) -> None:
        """Let `run` end."""
        self._stopped.set()

    def _state(self) -> tuple[object, ...]:
        try:
            files = self._key.state()
        except OSError as exc:
            detail = f"the TLS key {self._key.key.name} or its chain {self._key.chain.name} cannot be read"
            raise TrustError("trust.key_unusable", detail) from exc
        return (files, self._authorities(Use.TLS_CLIENT), self._authorities(Use.TLS_SERVER))

    def _authorities(self, use: Use) -> tuple[x509.Certificate, ...]:
        now = self._clock.now()
        return tls_authorities(self._trust_lists.of(now), use, now)

    def _make(self) -> _Made:
        material, certificate = self._key.open()
        servers = self._authorities(Use.TLS_SERVER)
        try:
            return _Made(
                certificate,
                server_context(material, self._authorities(Use.TLS_CLIENT), self.clients),
                client_context(servers, material),
                judging_context(servers, material, self.server_judge, self._asks) if self._asks else None,
            )
        except OSError as exc:  # ssl.SSLError is one.
            detail = f"TLS cannot use the key {self._key.key.name} with {self._key.chain.name}"
            raise TrustError("trust.key_unusable", detail) from exc
