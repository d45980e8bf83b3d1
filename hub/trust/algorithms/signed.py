# SPDX-License-Identifier: Apache-2.0
"""The algorithm and the signature of what authorities sign: certificates, CRLs and OCSP answers.

One door for all of them: `signature_problem` says why an algorithm is refused, `is_signed_by` checks the
signature. The AlgorithmIdentifier is compared octet for octet with those of the table.

Source: RFC 5280 sections 4.1.1 and 5.1.1; RFC 6960 section 4.2.1; ETSI TS 119 312.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from hub.trust.algorithms.keys import algorithms_for, is_signature_valid
from hub.trust.algorithms.table import (
    ALGORITHMS,
    DEFAULT_ALGORITHMS,
    SM2_SM3,
    Scheme,
    pss_parameters,
)
from hub.trust.bilingual import Bilingual
from hub.trust.sm2 import Sm2PublicKey, is_sm2_spki

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from hub.trust.algorithms.keys import PublicKey
    from hub.trust.algorithms.table import SignatureAlgorithm

SignedObject: TypeAlias = x509.Certificate | x509.CertificateRevocationList | ocsp.OCSPResponse

_RSA_PSS_KEY = x509.ObjectIdentifier("1.2.840.113549.1.1.10")
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)


@dataclass(frozen=True, slots=True)
class SignatureParts:
    """What an authority signed, in DER: the data, the AlgorithmIdentifier and the signature's octets."""

    data: bytes
    identifier: bytes
    signature: bytes


def public_key_of(certificate: x509.Certificate) -> PublicKey | None:
    """Return a certificate's public key, or None when no library here can read it.

    Raises:
        TrustError: `trust.sm2_unavailable` for an SM2 key on a machine that cannot check its signatures.
    """
    try:
        return certificate.public_key()
    except _UNREADABLE:
        return _sm2_key(public_key_info(certificate))


def algorithms_of(
    certificate: x509.Certificate, allowed: AbstractSet[SignatureAlgorithm] = DEFAULT_ALGORITHMS
) -> tuple[SignatureAlgorithm, ...]:
    """Return the allowed rows a certificate's key may sign with, the one it signs with by default first.

    A key certified for RSASSA-PSS signs nothing else, and only with the parameters certified with it.

    Raises:
        TrustError: `trust.sm2_unavailable` where SM2 is allowed and this machine cannot check it.

    Source: RFC 4055 section 1.2.
    """
    if SM2_SM3 not in allowed and is_sm2_spki(public_key_info(certificate)):
        return ()  # Where no policy names SM2, no stranger's certificate reaches libcrypto.
    key = public_key_of(certificate)
    rows = algorithms_for(key, allowed) if key is not None else ()
    if certificate.public_key_algorithm_oid != _RSA_PSS_KEY:
        return rows
    stated = _key_parameters(certificate)
    return tuple(row for row in rows if row.scheme is Scheme.PSS and _is_within(row, stated))


def key_problem(
    certificate: x509.Certificate, allowed: AbstractSet[SignatureAlgorithm] = DEFAULT_ALGORITHMS
) -> str | None:
    """Say why a certificate's key may not sign anything, or None when it may."""
    if algorithms_of(certificate, allowed):
        return None
    if is_sm2_spki(public_key_info(certificate)):
        return Bilingual("a key of SM2 is not allowed", "不允许使用SM2密钥")
    size = getattr(public_key_of(certificate), "key_size", None)
    kind = certificate.public_key_algorithm_oid
    return Bilingual(
        f"a key of {_oid_words(kind)}{f' with {size} bits' if size else ''} is not allowed",
        f"不允许使用{f'{size}位' if size else ''}{_oid_words(kind)}密钥",
    )


def signature_problem(
    signed: SignedObject,
    issuer: x509.Certificate | None = None,
    allowed: AbstractSet[SignatureAlgorithm] = DEFAULT_ALGORITHMS,
) -> str | None:
    """Say why the algorithm something is signed with is not allowed, or None when it is.

    Args:
        signed: a certificate, a CRL or a successful OCSP answer.
        issuer: whose key signed it, where that is known; the algorithm must then fit the key.
        allowed: the rows of a policy.
    """
    try:
        parts = signature_parts(signed)
    except ValueError as exc:
        problem: str = exc.args[0]
        return problem
    return _row_or_problem(parts.identifier, issuer, allowed)[1]


def is_signed_by(
    signed: SignedObject,
    issuer: x509.Certificate,
    allowed: AbstractSet[SignatureAlgorithm] = DEFAULT_ALGORITHMS,
) -> bool:
    """Tell whether an allowed signature under an issuer's key holds; says nothing about names or usages."""
    try:
        parts = signature_parts(signed)
    except ValueError:
        return False
    row, _ = _row_or_problem(parts.identifier, issuer, allowed)
    key = public_key_of(issuer)
    return row is not None and key is not None and is_signature_valid(key, row, parts.signature, parts.data)


def signature_parts(signed: SignedObject) -> SignatureParts:
    """Take apart what is signed.

    Raises:
        ValueError: the signature is not whole octets, or the algorithm inside what is signed is another than
            the one beside the signature (RFC 5280 section 4.1.1.2), or an OCSP answer carries no signature.
    """
    der = signed.public_bytes(Encoding.DER)
    if not isinstance(signed, x509.Certificate | x509.CertificateRevocationList):
        der = _basic_ocsp_response(der)
    start, _ = _content(der, 0)
    data_end = _content(der, start)[1]
    identifier_end = _content(der, data_end)[1]
    bits_start, bits_end = _content(der, identifier_end)
    if der[bits_start : bits_start + 1] != b"\x00":
        raise ValueError(_NOT_WHOLE)
    parts = SignatureParts(der[start:data_end], der[data_end:identifier_end], der[bits_start + 1 : bits_end])
    if isinstance(signed, x509.Certificate | x509.CertificateRevocationList):
        _check_inner_identifier(parts)
    return parts


_NOT_WHOLE = Bilingual("the signature is not whole octets", "签名不是整字节")
_OTHER_INSIDE = Bilingual(
    "the algorithm signed is not the one beside the signature", "签名算法标识前后不一致"
)
_NO_SIGNATURE = Bilingual("the OCSP answer carries no signature", "OCSP应答未签名")


def _row_or_problem(
    identifier: bytes, issuer: x509.Certificate | None, allowed: AbstractSet[SignatureAlgorithm]
) -> tuple[SignatureAlgorithm | None, str | None]:
    fitting = algorithms_of(issuer, allowed) if issuer is not None else allowed
    for row in fitting:
        if identifier == row.identifier or identifier in row.read_as_well:
            return row, None
    known = next((row for row in ALGORITHMS if identifier in {row.identifier, *row.read_as_well}), None)
    if known is not None and known in allowed:
        return None, Bilingual(
            f"{known.name} does not fit the issuer's key", f"{known.name_zh}与签发者的密钥不符"
        )
    words = known.name if known else _identifier_words(identifier)
    return None, Bilingual(
        f"the algorithm {words} is not allowed", f"不允许使用签名算法{known.name_zh if known else words}"
    )


def _check_inner_identifier(parts: SignatureParts) -> None:
    """Compare with `signature` inside a TBSCertificate or TBSCertList, behind a version and serial number."""
    position, _ = _content(parts.data, 0)
    while parts.data[position] in {0xA0, 0x02}:
        position = _content(parts.data, position)[1]
    if parts.data[position : _content(parts.data, position)[1]] != parts.identifier:
        raise ValueError(_OTHER_INSIDE)


def _basic_ocsp_response(der: bytes) -> bytes:
    """Return the BasicOCSPResponse inside an OCSPResponse."""
    position, end = _content(der, 0)
    position = _content(der, position)[1]  # behind the status
    if position >= end:
        raise ValueError(_NO_SIGNATURE)
    position, _ = _content(der, position)  # [0]
    position, _ = _content(der, position)  # ResponseBytes
    position = _content(der, position)[1]  # behind the type
    start, end = _content(der, position)
    return der[start:end]


def public_key_info(certificate: x509.Certificate) -> bytes:
    """Return a certificate's SubjectPublicKeyInfo in DER, as it was signed (RFC 5280 section 4.1)."""
    data = certificate.tbs_certificate_bytes
    position, _ = _content(data, 0)
    skipped = 6 if data[position] == 0xA0 else 5  # version, serial, signature, issuer, validity, subject
    for _ in range(skipped):
        position = _content(data, position)[1]
    return data[position : _content(data, position)[1]]


def public_key_bits(certificate: x509.Certificate) -> bytes:
    """Return the octets of subjectPublicKey, by whose digest answers name a key (RFC 6960 section 4.2.1)."""
    data = public_key_info(certificate)
    position, _ = _content(data, 0)
    start, end = _content(data, _content(data, position)[1])
    return data[start + 1 : end]


@lru_cache(maxsize=256)
def _sm2_key(spki: bytes) -> Sm2PublicKey | None:
    try:
        return Sm2PublicKey(spki)
    except ValueError:
        return None


def _key_parameters(certificate: x509.Certificate) -> bytes:
    """Return the parameters of the AlgorithmIdentifier of a certificate's key, in DER; empty where absent."""
    data = public_key_info(certificate)
    position, _ = _content(data, 0)
    position, end = _content(data, position)  # AlgorithmIdentifier
    return data[_content(data, position)[1] : end]


def _is_within(row: SignatureAlgorithm, parameters: bytes) -> bool:
    null = b"\x05\x00"
    forms = {pss_parameters(row.digest, a, b) for a in (null, b"") for b in (null, b"")}
    return not parameters or parameters in forms


def _content(data: bytes, offset: int) -> tuple[int, int]:
    """Return where the content of a DER element begins and ends; its form was checked when it was loaded."""
    length = data[offset + 1]
    start = offset + 2
    if length >= 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[offset + 2 : start], "big")
    return start, start + length


def _identifier_words(identifier: bytes) -> str:
    start, _ = _content(identifier, 0)
    oid = identifier[start : _content(identifier, start)[1]]
    return _oid_words(asn1.decode_der(x509.ObjectIdentifier, oid))


def _oid_words(oid: x509.ObjectIdentifier) -> str:
    name = _NAMES.get(oid.dotted_string)
    return f"{name} ({oid.dotted_string})" if name else oid.dotted_string


_NAMES = {
    "1.2.840.113549.1.1.1": "RSA",
    "1.2.840.113549.1.1.2": "MD2 with RSA",
    "1.2.840.113549.1.1.4": "MD5 with RSA",
    "1.2.840.113549.1.1.5": "SHA-1 with RSA",
    "1.3.14.3.2.29": "SHA-1 with RSA",
    "1.2.840.113549.1.1.10": "RSA-PSS with other parameters",
    "1.2.840.113549.1.1.14": "SHA-224 with RSA",
    "1.2.840.10040.4.1": "DSA",
    "1.2.840.10040.4.3": "SHA-1 with DSA",
    "2.16.840.1.101.3.4.3.2": "SHA-256 with DSA",
    "1.2.840.10045.2.1": "an elliptic curve",
    "1.2.840.10045.4.1": "SHA-1 with ECDSA",
    "1.2.840.10045.4.3.1": "SHA-224 with ECDSA",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
}
"""What is refused is named by more than its number."""
