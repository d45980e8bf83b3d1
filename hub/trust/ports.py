# SPDX-License-Identifier: Apache-2.0
"""What this slice needs from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cryptography import x509


class SigningKey(Protocol):
    """A private key that signs without leaving its holder, and the certificates that speak for it."""

    @property
    def certificate_chain(self) -> tuple[x509.Certificate, ...]:
        """The signer's certificate first, then its issuers up to but without the root."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Sign `data` with the key's algorithm (`hub.trust.algorithms`); ECDSA comes as DER."""
        ...
