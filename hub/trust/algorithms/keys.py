# SPDX-License-Identifier: Apache-2.0
"""Which rows of the table a key fits, and signing and verifying with one.

Every signature the hub itself checks, on envelopes, certificates, CRLs or OCSP answers, is checked by
`is_signature_valid`; the hostile vectors of Project Wycheproof run against that function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

from hub.trust.algorithms.table import (
    ALGORITHMS,
    DEFAULT_ALGORITHMS,
    FEWEST_RSA_BITS,
    LEAST_RSA_EXPONENT,
    MOST_RSA_BITS,
    KeyKind,
    Scheme,
)
from hub.trust.sm2 import Sm2PrivateKey, Sm2PublicKey

PublicKey: TypeAlias = PublicKeyTypes | Sm2PublicKey
PrivateKey: TypeAlias = PrivateKeyTypes | Sm2PrivateKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from hub.trust.algorithms.table import SignatureAlgorithm

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_ECDSA = {name: ec.ECDSA(digest) for name, digest in _HASHES.items()}
_PSS = {
    name: padding.PSS(padding.MGF1(digest), salt_length=digest.digest_size)
    for name, digest in _HASHES.items()
}
_PKCS1 = padding.PKCS1v15()
_ROWS: dict[KeyKind, tuple[SignatureAlgorithm, ...]] = {
    kind: tuple(row for row in ALGORITHMS if row.key is kind) for kind in KeyKind
}

_CURVES = {"secp256r1": KeyKind.P256, "secp384r1": KeyKind.P384, "secp521r1": KeyKind.P521}
_KINDS: tuple[tuple[type[PublicKey], KeyKind], ...] = (
    (rsa.RSAPublicKey, KeyKind.RSA),
    (ed25519.Ed25519PublicKey, KeyKind.ED25519),
    (mldsa.MLDSA44PublicKey, KeyKind.ML_DSA_44),
    (mldsa.MLDSA65PublicKey, KeyKind.ML_DSA_65),
    (mldsa.MLDSA87PublicKey, KeyKind.ML_DSA_87),
    (Sm2PublicKey, KeyKind.SM2),
)

_SMALL_ORDER_POINTS = frozenset(
    bytes.fromhex(each)
    for each in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)
"""The points of Ed25519 whose order divides 8, without the sign bit, in every way to write them.

Under such a key signatures hold that nobody made.
"""


def key_kind(key: PublicKey) -> KeyKind | None:
    """Return what kind of key this is, or None when no row is for it or it is too weak for one.

    Source: ETSI TS 119 312; FIPS 186-5 appendix A.1.1 (RSA); RFC 8032 section 8.8 (Ed25519).
    """
    kind = next((kind for of, kind in _KINDS if isinstance(key, of)), None)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _CURVES.get(key.curve.name)
    if isinstance(key, rsa.RSAPublicKey) and not _is_strong_rsa(key):
        return None
    if isinstance(key, ed25519.Ed25519PublicKey) and _has_small_order(key):
        return None
    return kind


def algorithms_for(
    key: PublicKey, allowed: AbstractSet[SignatureAlgorithm] = DEFAULT_ALGORITHMS
) -> tuple[SignatureAlgorithm, ...]:
    """Return the allowed rows that fit a public key, the one it signs with by default first."""
    kind = key_kind(key)
    return tuple(row for row in _ROWS[kind] if row in allowed) if kind else ()


def algorithm_for(
    key: PublicKey, allowed: AbstractSet[SignatureAlgorithm] = DEFAULT_ALGORITHMS
) -> SignatureAlgorithm | None:
    """Return the row a key signs with by default, or None when no allowed algorithm fits it."""
    return next(iter(algorithms_for(key, allowed)), None)


def signing_function(
    key: PrivateKey, algorithm: SignatureAlgorithm | None = None
) -> Callable[[bytes], bytes]:
    """Return what signs with a row, that of the key when none is chosen; ECDSA comes as DER.

    Raises:
        ValueError: no allowed algorithm fits the key, or the one chosen does not.
    """
    row = algorithm or algorithm_for(key.public_key())
    if row is None or row not in algorithms_for(key.public_key(), frozenset(ALGORITHMS)):
        raise ValueError("no allowed signature algorithm fits this key")
    match key:
        case ec.EllipticCurvePrivateKey():
            ecdsa = _ECDSA[row.digest]
            return lambda data: key.sign(data, ecdsa)
        case rsa.RSAPrivateKey():
            digest = _HASHES[row.digest]
            form = _PSS[row.digest] if row.scheme is Scheme.PSS else _PKCS1
            return lambda data: key.sign(data, form, digest)
        case ed25519.Ed25519PrivateKey():
            return key.sign
        case mldsa.MLDSA44PrivateKey() | mldsa.MLDSA65PrivateKey() | mldsa.MLDSA87PrivateKey():
            return key.sign
        case Sm2PrivateKey():
            return key.sign
        case _:
            raise ValueError("no allowed signature algorithm fits this key")


def sign(key: PrivateKey, data: bytes, algorithm: SignatureAlgorithm | None = None) -> bytes:
    """Sign `data` with a row, that of the key when none is chosen.

    Raises:
        ValueError: no allowed algorithm fits the key, or the one chosen does not.
    """
    return signing_function(key, algorithm)(data)


def is_signature_valid(key: PublicKey, algorithm: SignatureAlgorithm, signature: bytes, data: bytes) -> bool:
    """Tell whether `signature` over `data` holds under `key` by a row of the table.

    Args:
        key: the signer's public key, one of `key_kind` that the row is for.
        algorithm: the row the signature states.
        signature: as in CMS; ECDSA in DER.
        data: what was signed.
    """
    try:
        match algorithm.scheme, key:
            case Scheme.ECDSA, ec.EllipticCurvePublicKey():
                key.verify(signature, data, _ECDSA[algorithm.digest])
            case Scheme.EDDSA, ed25519.Ed25519PublicKey():
                key.verify(signature, data)
            case Scheme.PKCS1, rsa.RSAPublicKey():
                key.verify(signature, data, _PKCS1, _HASHES[algorithm.digest])
            case Scheme.PSS, rsa.RSAPublicKey():
                key.verify(signature, data, _PSS[algorithm.digest], _HASHES[algorithm.digest])
            case (
                Scheme.ML_DSA,
                mldsa.MLDSA44PublicKey() | mldsa.MLDSA65PublicKey() | mldsa.MLDSA87PublicKey(),
            ):
                key.verify(signature, data)
            case Scheme.SM2, Sm2PublicKey():
                return key.verify(signature, data)
            case _:
                return False
    except InvalidSignature:
        return False
    return True


def _is_strong_rsa(key: rsa.RSAPublicKey) -> bool:
    has_size = FEWEST_RSA_BITS <= key.key_size <= MOST_RSA_BITS
    return has_size and key.public_numbers().e >= LEAST_RSA_EXPONENT


def _has_small_order(key: ed25519.Ed25519PublicKey) -> bool:
    raw = key.public_bytes_raw()
    return raw[:-1] + bytes((raw[-1] & 0x7F,)) in _SMALL_ORDER_POINTS
