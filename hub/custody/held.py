# SPDX-License-Identifier: Apache-2.0
"""A private key in the hands of whoever keeps it, and the certificates that speak for it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Never, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hub.errors import TrustError
from hub.trust import ANY_ALGORITHM, algorithms_of, describe, is_signed_by, public_key_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hub.trust import PublicKey, SignatureAlgorithm, SigningKey


class KeyHolder(Protocol):
    """Keeps one private key and signs with it; the key itself cannot be had from it."""

    @property
    def public_key(self) -> PublicKey:
        """The public key that belongs to it."""
        ...

    def signer(self, algorithm: SignatureAlgorithm) -> Callable[[bytes], bytes]:
        """Return what signs data with a row of the table; ECDSA comes as DER.

        Raises:
            TrustError: `trust.key_unusable` when the row does not fit the key or its holder.
        """
        ...


class HeldKey:
    """A holder's key and its certificates: a `SigningKey`. It shows itself nowhere and is not pickled."""

    __slots__ = ("_algorithm", "_chain", "sign")

    def __init__(
        self, holder: KeyHolder, chain: tuple[x509.Certificate, ...], algorithm: SignatureAlgorithm
    ) -> None:
        self._chain = chain
        self._algorithm = algorithm
        self.sign = holder.signer(algorithm)

    @property
    def certificate_chain(self) -> tuple[x509.Certificate, ...]:
        """The signer's certificate first, then its issuers up to but without the root."""
        return self._chain

    @property
    def algorithm(self) -> SignatureAlgorithm:
        """The row of the table the key signs with."""
        return self._algorithm

    def snapshot(self) -> SigningKey:
        """Return this key; it never changes."""
        return self

    def __repr__(self) -> str:
        return f"<signing key of {describe(self._chain[0])}>"

    def __reduce__(self) -> Never:
        raise TypeError("a private key is not pickled")


def certify(holder: KeyHolder, chain: tuple[x509.Certificate, ...]) -> SigningKey:
    """Put a key and its certificates together, and check that they fit.

    Args:
        holder: keeps the key.
        chain: the certificate of the key, then its issuers up to but without the root.

    Raises:
        TrustError: `trust.key_unusable` when the first certificate is another key's, the key has an algorithm
            that is not allowed, or a certificate was not issued by the next.
    """
    if not is_same_key(holder.public_key, chain[0]):
        raise TrustError("trust.key_unusable", f"the key is not that of {describe(chain[0])}")
    # Whoever configures a key decides that it signs; whether that is believed is the other side's policy.
    algorithm = next(iter(algorithms_of(chain[0], ANY_ALGORITHM)), None)
    if algorithm is None:
        raise TrustError("trust.key_unusable", "no allowed signature algorithm fits the key")
    for certificate, issuer in pairwise(chain):
        is_named = certificate.issuer.public_bytes() == issuer.subject.public_bytes()
        if not is_named or not is_signed_by(certificate, issuer, ANY_ALGORITHM):
            detail = f"in the chain, {describe(certificate)} was not issued by {describe(issuer)}"
            raise TrustError("trust.key_unusable", detail)
    return HeldKey(holder, chain, algorithm)


def is_same_key(public: PublicKey, certificate: x509.Certificate) -> bool:
    """Tell whether a certificate is of this public key; a key no library can read is not."""
    certified = public_key_of(certificate)
    return certified is not None and public_bytes(certified) == public_bytes(public)


def public_bytes(key: PublicKey) -> bytes:
    """Return a public key as SubjectPublicKeyInfo in DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def read_chain(path: Path) -> tuple[x509.Certificate, ...]:
    """Read the PEM certificates of a file, in its order.

    Raises:
        TrustError: `trust.key_unusable` when it is missing or holds none.
    """
    try:
        return tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except OSError as exc:
        raise TrustError("trust.key_unusable", f"the chain file {path.name} cannot be read") from exc
    except ValueError as exc:
        raise TrustError("trust.key_unusable", f"{path.name} holds no readable PEM certificates") from exc
