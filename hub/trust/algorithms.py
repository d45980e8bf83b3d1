# SPDX-License-Identifier: Apache-2.0
"""The signature algorithms that are allowed, one row each.

Source: RFC 5754 (ECDSA and RSA with SHA-2 in CMS), RFC 8419 (Ed25519 in CMS), ETSI TS 119 312.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

FEWEST_RSA_BITS = 2048


@dataclass(frozen=True)
class SignatureAlgorithm:
    """One allowed way to sign.

    Attributes:
        name: for people and reports.
        signature_oid: `signatureAlgorithm` of a CMS SignerInfo.
        digest_oid: `digestAlgorithm` of a CMS SignerInfo.
        digest: name of the digest for `hashlib`.
        has_null_parameters: whether the signature's AlgorithmIdentifier carries NULL (RFC 4055 section 5).
    """

    name: str
    signature_oid: x509.ObjectIdentifier
    digest_oid: x509.ObjectIdentifier
    digest: str
    has_null_parameters: bool = False


_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
_SHA384 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.2")
_SHA512 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.3")

ECDSA_P256 = SignatureAlgorithm(
    "ECDSA P-256 with SHA-256", x509.ObjectIdentifier("1.2.840.10045.4.3.2"), _SHA256, "sha256"
)
ECDSA_P384 = SignatureAlgorithm(
    "ECDSA P-384 with SHA-384", x509.ObjectIdentifier("1.2.840.10045.4.3.3"), _SHA384, "sha384"
)
ED25519 = SignatureAlgorithm("Ed25519", x509.ObjectIdentifier("1.3.101.112"), _SHA512, "sha512")
RSA_SHA256 = SignatureAlgorithm(
    "RSA PKCS#1 v1.5 with SHA-256",
    x509.ObjectIdentifier("1.2.840.113549.1.1.11"),
    _SHA256,
    "sha256",
    has_null_parameters=True,
)

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_ECDSA = {name: ec.ECDSA(digest) for name, digest in _HASHES.items()}


def algorithm_for(key: PublicKeyTypes) -> SignatureAlgorithm | None:
    """Return the row for a public key, or None when no allowed algorithm fits it."""
    match key:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            return ECDSA_P256
        case ec.EllipticCurvePublicKey(curve=ec.SECP384R1()):
            return ECDSA_P384
        case ed25519.Ed25519PublicKey():
            return ED25519
        case rsa.RSAPublicKey() if key.key_size >= FEWEST_RSA_BITS:
            return RSA_SHA256
        case _:
            return None


def signing_function(key: PrivateKeyTypes) -> Callable[[bytes], bytes]:
    """Return what signs with the algorithm of the key's row; ECDSA comes as DER.

    Raises:
        ValueError: no allowed algorithm fits the key.
    """
    algorithm = algorithm_for(key.public_key())
    match key:
        case ec.EllipticCurvePrivateKey() if algorithm:
            ecdsa = _ECDSA[algorithm.digest]
            return lambda data: key.sign(data, ecdsa)
        case ed25519.Ed25519PrivateKey():
            return key.sign
        case rsa.RSAPrivateKey() if algorithm:
            digest = _HASHES[algorithm.digest]
            return lambda data: key.sign(data, padding.PKCS1v15(), digest)
        case _:
            raise ValueError("no allowed signature algorithm fits this key")


def sign(key: PrivateKeyTypes, data: bytes) -> bytes:
    """Sign `data` with the algorithm of the key's row.

    Raises:
        ValueError: no allowed algorithm fits the key.
    """
    return signing_function(key)(data)


def is_signature_valid(key: PublicKeyTypes, digest: str, signature: bytes, data: bytes) -> bool:
    """Tell whether `signature` over `data` holds under `key`.

    Args:
        key: the signer's public key, one that `algorithm_for` knows.
        digest: the digest the signature states, by its `hashlib` name; Ed25519 ignores it.
        signature: as in CMS; ECDSA in DER.
        data: what was signed.
    """
    try:
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(signature, data, _ECDSA[digest])
            case ed25519.Ed25519PublicKey():
                key.verify(signature, data)
            case rsa.RSAPublicKey():
                key.verify(signature, data, padding.PKCS1v15(), _HASHES[digest])
            case _:
                return False
    except InvalidSignature:
        return False
    return True


_DIGESTS_BY_OID = {_SHA256: "sha256", _SHA384: "sha384", _SHA512: "sha512"}
_RSA_ENCRYPTION = x509.ObjectIdentifier("1.2.840.113549.1.1.1")
_ECDSA_BY_DIGEST = {
    "sha256": ECDSA_P256.signature_oid,
    "sha384": ECDSA_P384.signature_oid,
    "sha512": x509.ObjectIdentifier("1.2.840.10045.4.3.4"),
}
_RSA_BY_DIGEST = {
    "sha256": RSA_SHA256.signature_oid,
    "sha384": x509.ObjectIdentifier("1.2.840.113549.1.1.12"),
    "sha512": x509.ObjectIdentifier("1.2.840.113549.1.1.13"),
}


def signature_digest(
    key: PublicKeyTypes, signature_oid: x509.ObjectIdentifier, digest_oid: x509.ObjectIdentifier
) -> str | None:
    """Return the digest a stated pair of algorithms uses, or None when the pair does not fit the key.

    More pairs are read than are written: other producers sign with a P-384 key over SHA-256, or name RSA by
    rsaEncryption (RFC 5754 section 3.2 allows both).
    """
    digest = _DIGESTS_BY_OID.get(digest_oid)
    if digest is None:
        return None
    match key:
        case ec.EllipticCurvePublicKey():
            fits = signature_oid == _ECDSA_BY_DIGEST[digest]
        case ed25519.Ed25519PublicKey():
            fits = signature_oid == ED25519.signature_oid and digest == "sha512"
        case rsa.RSAPublicKey():
            fits = signature_oid in {_RSA_ENCRYPTION, _RSA_BY_DIGEST[digest]}
        case _:
            fits = False
    return digest if fits else None
