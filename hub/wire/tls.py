# SPDX-License-Identifier: Apache-2.0
"""TLS contexts: versions, suites, certificates of both sides.

The handshake holds the other side's certificate to the authorities given here. Whether it is believed, its
revocation and its member included, is decided after it, by a `PeerJudge`.

Source: RFC 8446 (TLS 1.3), RFC 9325 sections 3 and 4 (recommendations for TLS 1.2), RFC 9110 section 4.3.4.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from hub.errors import HubError
from hub.wire.peers import peer_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from cryptography import x509

    from hub.identifiers import MemberId
    from hub.wire.peers import PeerJudge

_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and authenticated encryption. TLS 1.3 has no others."""


class ClientCertificates(StrEnum):
    """Who has to show a certificate to a server."""

    REQUIRED = "required"
    FOR_MESSAGES = "for-messages"
    NONE = "none"


@dataclass(frozen=True)
class TlsMaterial:
    """A key and its certificates, in the files OpenSSL reads.

    Attributes:
        chain: PEM, its own certificate first, without the root.
        key: encrypted PKCS#8 in PEM.
        passphrase: of the key; asked for when the file is read, and not kept.
    """

    chain: Path
    key: Path
    passphrase: Callable[[], str]


class _Refused(ssl.SSLCertVerificationError):
    """The handshake held, but the certificate is not believed."""


class JudgedSocket(ssl.SSLSocket):
    """A client's connection that begins only when its server's certificate is believed."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 (of the standard library)
        """Agree on TLS and ask for the server's member, before a byte of the request is sent."""
        super().do_handshake(block)
        context = self.context
        if isinstance(context, JudgingContext):
            context.require(peer_chain(self))


class JudgingContext(ssl.SSLContext):
    """A client's context for blocking connections to one server, known by its member."""

    judge: PeerJudge
    member: MemberId

    def require(self, chain: tuple[x509.Certificate, ...]) -> None:
        """Refuse a server whose certificate is not believed or speaks for another member.

        Raises:
            ssl.SSLCertVerificationError: it is so; caused by the error that says why.
        """
        try:
            member = self.judge.known(chain) or self.judge.judge(chain)
        except HubError as exc:
            raise _Refused(1, f"the server's certificate: {exc}") from exc
        if member != self.member:
            raise _Refused(1, f"the server's certificate is of {member}, not of {self.member}")


def server_context(
    material: TlsMaterial, authorities: Iterable[x509.Certificate], clients: ClientCertificates
) -> ssl.SSLContext:
    """Return a server's context.

    Args:
        material: what the server shows.
        authorities: whose certificates clients may show; roots and those below them.
        clients: who has to show one.

    Raises:
        OSError: a file cannot be read or does not hold what it should (`ssl.SSLError` is one).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    _show(context, material)
    # A ticket would let a client come back without its certificate being looked at again.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.verify_mode = {
        ClientCertificates.REQUIRED: ssl.CERT_REQUIRED,
        ClientCertificates.FOR_MESSAGES: ssl.CERT_OPTIONAL,
        ClientCertificates.NONE: ssl.CERT_NONE,
    }[clients]
    _approve(context, authorities)
    return context


def client_context(
    authorities: Iterable[x509.Certificate], material: TlsMaterial | None = None
) -> ssl.SSLContext:
    """Return a client's context; it checks the server's name.

    Args:
        authorities: whose certificates servers may show.
        material: what the client shows; None shows nothing.

    Raises:
        OSError: as `server_context`.
    """
    return _as_client(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), authorities, material)


def judging_context(
    authorities: Iterable[x509.Certificate], material: TlsMaterial, judge: PeerJudge, member: MemberId
) -> ssl.SSLContext:
    """Return a client's context for blocking connections to the server of one member.

    Raises:
        OSError: as `server_context`.
    """
    context = JudgingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.judge, context.member = judge, member
    context.sslsocket_class = JudgedSocket
    return _as_client(context, authorities, material)


def _as_client(
    context: ssl.SSLContext, authorities: Iterable[x509.Certificate], material: TlsMaterial | None
) -> ssl.SSLContext:
    _harden(context)
    _approve(context, authorities)
    if material is not None:
        _show(context, material)
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SUITES)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE


def _show(context: ssl.SSLContext, material: TlsMaterial) -> None:
    context.load_cert_chain(material.chain, material.key, material.passphrase)


def _approve(context: ssl.SSLContext, authorities: Iterable[x509.Certificate]) -> None:
    pems = "".join(each.public_bytes(Encoding.PEM).decode("ascii") for each in authorities)
    if pems:
        # None is a trust in nobody: a certificate that has to be held to nobody is refused.
        context.load_verify_locations(cadata=pems)
