# SPDX-License-Identifier: Apache-2.0
"""Which certificates something can be encrypted to, and how.

Source: RFC 5753 section 7.1.4 (digest by curve), RFC 5280 section 4.2.1.3 (key usage), RFC 4055 section 4.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ObjectIdentifier

from hub.errors import EnvelopeError
from hub.trust import public_key_of

if TYPE_CHECKING:
    from hub.trust import PublicKey

_FEWEST_RSA_BITS = 2048


class EncryptionScheme(Enum):
    """How the key of an encrypted content is conveyed; the value is the scheme's name for people."""

    ECDH_P256 = "ECDH P-256, AES-256 key wrap"
    ECDH_P384 = "ECDH P-384, AES-256 key wrap"
    ECDH_P521 = "ECDH P-521, AES-256 key wrap"
    RSA_OAEP = "RSAES-OAEP with SHA-256"

    @property
    def is_rsa(self) -> bool:
        """Whether the key is encrypted by RSA; else it is agreed on."""
        return self is EncryptionScheme.RSA_OAEP

    @property
    def point_bytes(self) -> int:
        """Size of the sender's uncompressed public key; 0 for RSA."""
        return {point: size for size, point in _BY_POINT.items()}.get(self, 0)

    @property
    def digest(self) -> hashes.HashAlgorithm:
        """The digest of the key derivation."""
        return _AGREEMENTS[self][1]

    @property
    def oid(self) -> ObjectIdentifier:
        """The key agreement's identifier: dhSinglePass-stdDH with the digest's X9.63 derivation."""
        return _AGREEMENTS[self][2]

    @classmethod
    def of_point(cls, point: bytes) -> EncryptionScheme:
        """Return the scheme of an uncompressed public key of this size.

        Raises:
            KeyError: there is none.
        """
        return _BY_POINT[len(point)]


_AGREEMENTS: dict[EncryptionScheme, tuple[type[ec.EllipticCurve], hashes.HashAlgorithm, ObjectIdentifier]] = {
    EncryptionScheme.ECDH_P256: (ec.SECP256R1, hashes.SHA256(), ObjectIdentifier("1.3.132.1.11.1")),
    EncryptionScheme.ECDH_P384: (ec.SECP384R1, hashes.SHA384(), ObjectIdentifier("1.3.132.1.11.2")),
    EncryptionScheme.ECDH_P521: (ec.SECP521R1, hashes.SHA512(), ObjectIdentifier("1.3.132.1.11.3")),
}
_BY_POINT = {
    65: EncryptionScheme.ECDH_P256,
    97: EncryptionScheme.ECDH_P384,
    133: EncryptionScheme.ECDH_P521,
}


def scheme_of(certificate: x509.Certificate) -> EncryptionScheme | None:
    """Return how something is encrypted to a certificate; None where its key or key usage does not serve."""
    key, usage = public_key_of(certificate), _usage_of(certificate)
    if key is None or usage is None:
        return None
    scheme = _scheme_of_key(key)
    may = usage.key_encipherment if scheme is EncryptionScheme.RSA_OAEP else usage.key_agreement
    return scheme if may else None


def require_scheme(certificate: x509.Certificate) -> EncryptionScheme:
    """Return how something is encrypted to a certificate.

    Raises:
        EnvelopeError: `envelope.algorithm_not_allowed`.
    """
    scheme = scheme_of(certificate)
    if scheme is None:
        detail = "neither an EC key (P-256, P-384, P-521) for keyAgreement nor an RSA key for keyEncipherment"
        raise EnvelopeError("envelope.algorithm_not_allowed", detail)
    return scheme


def _scheme_of_key(key: PublicKey) -> EncryptionScheme | None:
    if isinstance(key, rsa.RSAPublicKey):
        return EncryptionScheme.RSA_OAEP if key.key_size >= _FEWEST_RSA_BITS else None
    if isinstance(key, ec.EllipticCurvePublicKey):
        return next((each for each, row in _AGREEMENTS.items() if isinstance(key.curve, row[0])), None)
    return None


def _usage_of(certificate: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return None
