# SPDX-License-Identifier: Apache-2.0
"""A department's private key, read from its file, and the certificates that speak for it.

Source: RFC 5208 and RFC 5958 (PKCS#8), RFC 8018 (its encryption).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Never

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from hub.errors import TrustError
from hub.trust import algorithms_of, describe, signing_function

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from hub.trust import SignatureAlgorithm, SigningKey

_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


def load_signing_key(key_path: Path, chain_path: Path, passphrase: bytes) -> SigningKey:
    """Read an encrypted private key and its certificate chain, and check that they fit.

    Args:
        key_path: encrypted PKCS#8 in PEM. A key that lies unencrypted is refused.
        chain_path: PEM certificates, the signer's first, then its issuers up to but without the root.
        passphrase: of the key.

    Raises:
        TrustError: `trust.key_unusable` when a file is missing or not of this form, the passphrase is wrong,
            the key has an algorithm that is not allowed, or key and certificates do not belong together.
    """
    key = _read_key(key_path, passphrase)
    chain = _read_chain(chain_path)
    public = key.public_key()
    if public != chain[0].public_key():
        raise TrustError("trust.key_unusable", f"the key is not that of {describe(chain[0])}")
    algorithm = next(iter(algorithms_of(chain[0])), None)
    if algorithm is None:
        raise TrustError("trust.key_unusable", "no allowed signature algorithm fits the key")
    for certificate, issuer in pairwise(chain):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature) as exc:
            detail = f"in the chain, {describe(certificate)} was not issued by {describe(issuer)}"
            raise TrustError("trust.key_unusable", detail) from exc
    return _FileKey(key, chain, algorithm)


class _FileKey:
    """A key held in this process; it shows itself nowhere, neither printed, logged nor pickled."""

    __slots__ = ("_algorithm", "_chain", "_sign")

    def __init__(
        self, key: PrivateKeyTypes, chain: tuple[x509.Certificate, ...], algorithm: SignatureAlgorithm
    ) -> None:
        self._sign = signing_function(key, algorithm)
        self._chain = chain
        self._algorithm = algorithm

    @property
    def certificate_chain(self) -> tuple[x509.Certificate, ...]:
        """The signer's certificate first, then its issuers up to but without the root."""
        return self._chain

    @property
    def algorithm(self) -> SignatureAlgorithm:
        """The row of `hub.trust.algorithms` the key signs with."""
        return self._algorithm

    def sign(self, data: bytes) -> bytes:
        """Sign `data` with the key's algorithm; ECDSA comes as DER."""
        return self._sign(data)

    def snapshot(self) -> SigningKey:
        """Return this key; it never changes."""
        return self

    def __repr__(self) -> str:
        return f"<signing key of {describe(self._chain[0])}>"

    def __reduce__(self) -> Never:
        raise TypeError("a private key is not pickled")


def _read_key(path: Path, passphrase: bytes) -> PrivateKeyTypes:
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise TrustError("trust.key_unusable", f"the key file {path.name} cannot be read") from exc
    if _ENCRYPTED not in content:
        raise TrustError("trust.key_unusable", f"{path.name} is not an encrypted PKCS#8 key in PEM")
    try:
        return serialization.load_pem_private_key(content, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        detail = f"{path.name} cannot be decrypted: the passphrase is wrong or the file is damaged"
        raise TrustError("trust.key_unusable", detail) from exc


def _read_chain(path: Path) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except OSError as exc:
        raise TrustError("trust.key_unusable", f"the chain file {path.name} cannot be read") from exc
    except ValueError as exc:
        raise TrustError("trust.key_unusable", f"{path.name} holds no readable PEM certificates") from exc
