# SPDX-License-Identifier: Apache-2.0
"""The certificate of whoever is at the other end, and what the ASGI TLS extension says of a connection.

Source: ASGI TLS extension 0.2; RFC 8446 section 4.4.2; RFC 4514 (names).
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub.identifiers import MemberId

_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
_DER_ENCODING = 2  # ENCODING_DER of CPython's _ssl, whose chain objects have no public name before 3.13.


class PeerJudge(Protocol):
    """Decides whom a TLS certificate speaks for."""

    def known(self, chain: Sequence[x509.Certificate]) -> MemberId | None:
        """Return the member where that is remembered, or None; never waits."""
        ...

    def judge(self, chain: Sequence[x509.Certificate]) -> MemberId:
        """Return the member; may ask the network about revocation.

        Raises:
            TrustError: the certificate is not believed.
        """
        ...


def peer_chain(connection: ssl.SSLObject | ssl.SSLSocket) -> tuple[x509.Certificate, ...]:
    """Return what the other end sent: its certificate, then what came along; nothing where it sent none."""
    leaf = connection.getpeercert(binary_form=True)
    if leaf is None:
        return ()
    return tuple(map(x509.load_der_x509_certificate, _sent(connection) or [leaf]))


def _sent(connection: Any) -> list[bytes]:
    # From Python 3.13 on the method is public; before, it is there under the same name one object below.
    holder = (
        connection if hasattr(connection, "get_unverified_chain") else getattr(connection, "_sslobj", None)
    )
    with suppress(AttributeError, TypeError, ssl.SSLError):
        chain = holder.get_unverified_chain() or []  # type: ignore[union-attr]  # suppressed
        return [each if isinstance(each, bytes) else each.public_bytes(_DER_ENCODING) for each in chain]
    return []


def tls_extension(connection: ssl.SSLObject, chain: Sequence[x509.Certificate]) -> dict[str, object]:
    """Describe a connection as `scope["extensions"]["tls"]` does.

    The certificate was held to the approved authorities by the handshake; whether it is believed is asked of
    the trust list for every request (`hub.wire.clients`).

    Args:
        connection: after its handshake.
        chain: what the client sent.
    """
    name, cipher = connection.version(), connection.cipher()
    return {
        "server_cert": None,
        "client_cert_chain": tuple(each.public_bytes(Encoding.PEM).decode("ascii") for each in chain),
        "client_cert_name": chain[0].subject.rfc4514_string() if chain else None,
        "client_cert_error": None,
        "tls_version": _VERSIONS.get(name or ""),
        "cipher_suite": _suite(connection.context, cipher[0]) if cipher else None,
    }


def _suite(context: ssl.SSLContext, name: str) -> int | None:
    for row in context.get_ciphers():
        if row["name"] == name:
            return int(row["id"]) & 0xFFFF
    return None
