# SPDX-License-Identifier: Apache-2.0
"""What this slice needs from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from hub.trust.algorithms import SignatureAlgorithm
    from hub.trust.model import RevocationAnswer, TrustList


class SigningKey(Protocol):
    """A private key that signs without leaving its holder, and the certificates that speak for it."""

    @property
    def certificate_chain(self) -> tuple[x509.Certificate, ...]:
        """The signer's certificate first, then its issuers up to but without the root."""
        ...

    @property
    def algorithm(self) -> SignatureAlgorithm:
        """The row of `hub.trust.algorithms` the key signs with."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Sign `data` with the key's algorithm (`hub.trust.algorithms`); ECDSA comes as DER."""
        ...

    def snapshot(self) -> SigningKey:
        """Return one key that stays the same, for one signature: itself, unless it holds several.

        A ring of keys may switch to the next one at any time. Whoever needs the certificates and a signature
        that fit together takes a snapshot first and both from that, once for each signature:

            key = party.key.snapshot()
            attributes = write(key.certificate_chain)
            signature = key.sign(attributes)
        """
        ...


class TrustLists(Protocol):
    """The versions of the trust list; a single `TrustList` is one too."""

    def of(self, at: datetime) -> TrustList:
        """Return the version in force at an instant, the first one for an instant before all.

        Evidence is judged by the list of its day, so a list that changed later does not unmake it. While
        nothing changed the very same object is returned: what was found with one version is not given under
        another.

        Raises:
            TrustError: no version may be relied on at that instant; `trust.trust_list_outdated` and others.
        """
        ...

    def __hash__(self) -> int:
        """Let results be kept by the lists they were found with."""
        ...


class RevocationSource(Protocol):
    """Where an authority's answers about revocation come from.

    What is returned has been read, not verified: who signed it is checked by `hub.trust.validation`.
    """

    def ocsp_answers(
        self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
    ) -> tuple[RevocationAnswer, ...]:
        """Return the OCSP answers about a certificate that are current at an instant.

        None where the certificate names no responder.

        Raises:
            TrustError: `trust.revocation_unknown` when the responders it names cannot be asked.
        """
        ...

    def crl_answers(
        self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
    ) -> tuple[RevocationAnswer, ...]:
        """Return the CRLs about a certificate that are current at an instant.

        None where the certificate names no place for one.

        Raises:
            TrustError: `trust.revocation_unknown` when the places it names cannot be read.
        """
        ...
