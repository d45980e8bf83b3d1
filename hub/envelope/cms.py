# SPDX-License-Identifier: Apache-2.0
"""CMS SignedData in DER: the few structures a CAdES-B-B signature needs.

Reading uses `cryptography.hazmat.asn1`, a strict DER decoder in Rust. Writing puts the same structures
together from the values they stand for, so that a signature can be rewritten and compared.

Source: RFC 5652 sections 3, 5 and 11; RFC 5035 (signing-certificate-v2); ETSI EN 319 122-1 clause 6.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

from cryptography import x509  # noqa: TC002 - read at run time by the decoder
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ObjectIdentifier

if TYPE_CHECKING:
    from datetime import datetime

    from hub.trust import SignatureAlgorithm

DATA = ObjectIdentifier("1.2.840.113549.1.7.1")
SIGNED_DATA = ObjectIdentifier("1.2.840.113549.1.7.2")
CONTENT_TYPE = ObjectIdentifier("1.2.840.113549.1.9.3")
MESSAGE_DIGEST = ObjectIdentifier("1.2.840.113549.1.9.4")
SIGNING_TIME = ObjectIdentifier("1.2.840.113549.1.9.5")
SIGNING_CERTIFICATE_V2 = ObjectIdentifier("1.2.840.113549.1.9.16.2.47")

DIGESTS = {
    ObjectIdentifier("2.16.840.1.101.3.4.2.1"): "sha256",
    ObjectIdentifier("2.16.840.1.101.3.4.2.2"): "sha384",
    ObjectIdentifier("2.16.840.1.101.3.4.2.3"): "sha512",
}
"""Digests a certificate may be bound with, by their `hashlib` names (RFC 5754 section 2)."""

_LAST_UTCTIME_YEAR = 2049


@asn1.sequence
class AlgorithmIdentifier:
    """RFC 5652 section 10.1, of a digest: no parameters, or NULL."""

    algorithm: ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class Attribute:
    """RFC 5652 section 5.3."""

    type: ObjectIdentifier
    values: asn1.SetOf[asn1.TLV]


@asn1.sequence
class IssuerAndSerialNumber:
    """RFC 5652 section 10.2.4."""

    issuer: asn1.TLV
    serial_number: int


@asn1.sequence
class SignerInfo:
    """RFC 5652 section 5.3."""

    version: int
    sid: IssuerAndSerialNumber
    digest_algorithm: asn1.TLV
    signed_attributes: Annotated[asn1.SetOf[Attribute], asn1.Implicit(0)]
    signature_algorithm: asn1.TLV
    signature: bytes
    unsigned_attributes: Annotated[asn1.SetOf[Attribute] | None, asn1.Implicit(1)]


@asn1.sequence
class EncapsulatedContentInfo:
    """RFC 5652 section 5.2, detached: the content is not inside."""

    content_type: ObjectIdentifier


@asn1.sequence
class SignedData:
    """RFC 5652 section 5.1."""

    version: int
    digest_algorithms: asn1.SetOf[asn1.TLV]
    content_info: EncapsulatedContentInfo
    certificates: Annotated[asn1.SetOf[x509.Certificate], asn1.Implicit(0)]
    signer_infos: asn1.SetOf[SignerInfo]


@asn1.sequence
class ContentInfo:
    """RFC 5652 section 3."""

    content_type: ObjectIdentifier
    content: Annotated[SignedData, asn1.Explicit(0)]


@asn1.sequence
class IssuerSerial:
    """RFC 5035 section 5."""

    issuer: list[asn1.TLV]
    serial_number: int


@asn1.sequence
class EssCertificateId:
    """ESSCertIDv2; an absent hash algorithm means SHA-256 (RFC 5035 section 4)."""

    hash_algorithm: AlgorithmIdentifier | None
    certificate_hash: bytes
    issuer_serial: IssuerSerial | None


@asn1.sequence
class SigningCertificateV2:
    """RFC 5035 section 3, without policies."""

    certificates: list[EssCertificateId]


@dataclass(frozen=True, slots=True)
class SignerIdentity:
    """What every signature of one signer repeats, encoded once.

    Attributes:
        certificate_attribute: the signing-certificate-v2 attribute.
        before_signer_infos: SignedData from its version through its certificates.
        before_signed_attributes: SignerInfo from its version through its digest algorithm.
        signature_algorithm: the AlgorithmIdentifier of the signature.
    """

    certificate_attribute: bytes
    before_signer_infos: bytes
    before_signed_attributes: bytes
    signature_algorithm: bytes


@lru_cache(maxsize=4096)
def _header(tag: int, length: int) -> bytes:
    """Write an element's tag and length."""
    if length < 0x80:
        return bytes((tag, length))
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size, "big")


def tlv(tag: int, *parts: bytes) -> bytes:
    """Write one DER element with a single-byte tag."""
    return b"".join((_header(tag, sum(map(len, parts))), *parts))


def der_of(element: asn1.TLV) -> bytes:
    """Write an element that was read, again; its tag is a single byte."""
    return tlv(element.tag_bytes[0], bytes(element.data))


def set_of(*elements: bytes, tag: int = 0x31) -> bytes:
    """Write a SET OF in DER: elements in ascending order of their encodings."""
    return tlv(tag, *sorted(elements))


def oid(identifier: ObjectIdentifier) -> bytes:
    """Write an OBJECT IDENTIFIER."""
    return asn1.encode_der(identifier)


_VERSION_1 = asn1.encode_der(1)
_CONTENT_TYPE_ATTRIBUTE = tlv(0x30, oid(CONTENT_TYPE), set_of(oid(DATA)))
_DETACHED_DATA = tlv(0x30, oid(DATA))
_MESSAGE_DIGEST_OID = oid(MESSAGE_DIGEST)
_SIGNING_TIME_OID = oid(SIGNING_TIME)
_SIGNED_DATA_OID = oid(SIGNED_DATA)


def identify_signer(chain: tuple[x509.Certificate, ...], algorithm: SignatureAlgorithm) -> SignerIdentity:
    """Encode what all signatures of a signer share.

    Every certificate sent along is bound by its digest in signing-certificate-v2, the signer's first, so that
    none can be exchanged.
    """
    encoded = [certificate.public_bytes(Encoding.DER) for certificate in chain]
    hashes = [tlv(0x30, tlv(0x04, hashlib.sha256(certificate).digest())) for certificate in encoded]
    signing_certificate = tlv(0x30, tlv(0x30, *hashes))
    identifier = tlv(0x30, chain[0].issuer.public_bytes(), asn1.encode_der(chain[0].serial_number))
    digest_algorithm = tlv(0x30, oid(algorithm.digest_oid))
    return SignerIdentity(
        certificate_attribute=tlv(0x30, oid(SIGNING_CERTIFICATE_V2), set_of(signing_certificate)),
        before_signer_infos=_VERSION_1
        + set_of(digest_algorithm)
        + _DETACHED_DATA
        + set_of(*encoded, tag=0xA0),
        before_signed_attributes=_VERSION_1 + identifier + digest_algorithm,
        signature_algorithm=algorithm.identifier,
    )


def write_signed_attributes(signer: SignerIdentity, digest: bytes, signed_at: datetime) -> bytes:
    """Write the signed attributes as the SET OF that is signed (RFC 5652 section 5.4)."""
    return set_of(
        _CONTENT_TYPE_ATTRIBUTE,
        _message_digest_prefix(len(digest)) + digest,
        _signing_time_attribute(signed_at),
        signer.certificate_attribute,
    )


def write_signed_data(signer: SignerIdentity, signed_attributes: bytes, signature: bytes) -> bytes:
    """Write the whole ContentInfo of a detached signature.

    The lengths are added up from the inside out and everything is put together once: this runs twice for
    every message.
    """
    value = _header(0x04, len(signature)) + signature
    info_bytes = sum(
        map(len, (signer.before_signed_attributes, signed_attributes, signer.signature_algorithm, value))
    )
    info = _header(0x30, info_bytes)
    infos = _header(0x31, len(info) + info_bytes)
    data_bytes = len(signer.before_signer_infos) + len(infos) + len(info) + info_bytes
    data = _header(0x30, data_bytes)
    content = _header(0xA0, len(data) + data_bytes)
    return b"".join(
        (
            _header(0x30, len(_SIGNED_DATA_OID) + len(content) + len(data) + data_bytes),
            _SIGNED_DATA_OID,
            content,
            data,
            signer.before_signer_infos,
            infos,
            info,
            signer.before_signed_attributes,
            b"\xa0",
            signed_attributes[1:],
            signer.signature_algorithm,
            value,
        )
    )


# ContentInfo, its content type, [0] and SignedData, where each length takes three octets, as it does in every
# signature of 256 to 65535 bytes.
_BEFORE_SIGNED_DATA_CONTENT = 4 + len(_SIGNED_DATA_OID) + 4 + 4


def cut_before_signer_infos(signature: bytes) -> bytes:
    """Cut out what `SignerIdentity.before_signer_infos` is in a signature that was written here.

    Nothing is checked; of other bytes the result is meaningless.
    """
    position = _BEFORE_SIGNED_DATA_CONTENT + len(_VERSION_1)
    try:
        position += 2 + signature[position + 1]  # digest algorithms
        position += 2 + signature[position + 1]  # encapsulated content
    except IndexError:
        return b""
    end = position + 4 + int.from_bytes(signature[position + 2 : position + 4], "big")  # certificates
    return signature[_BEFORE_SIGNED_DATA_CONTENT:end]


def cut_signature_value(signer: SignerIdentity, signed_attributes: bytes, signature: bytes) -> bytes:
    """Cut out the signature value of a signature that was written here over these attributes.

    Nothing is checked; of other bytes the result is meaningless.
    """
    _, _, octets = signature.rpartition(signed_attributes[1:] + signer.signature_algorithm)
    return octets[_skip_header(octets, 0)[0] :]


def _skip_header(data: bytes, offset: int) -> tuple[int, int]:
    """Return where the content of an element begins and ends; past the end of `data` when it is cut off."""
    length_octets = data[offset + 1 : offset + 2]
    if not length_octets or length_octets[0] < 0x80:
        start = offset + 2
        return start, start + sum(length_octets)
    start = offset + 2 + (length_octets[0] & 0x7F)
    return start, start + int.from_bytes(data[offset + 2 : start], "big")


@lru_cache(maxsize=8)
def _message_digest_prefix(size: int) -> bytes:
    """Write the message-digest attribute up to the digest itself."""
    return tlv(0x30, _MESSAGE_DIGEST_OID, tlv(0x31, tlv(0x04, bytes(size))))[:-size]


@lru_cache(maxsize=256)
def _signing_time_attribute(instant: datetime) -> bytes:
    # Dates through 2049 are UTCTime, later ones GeneralizedTime (RFC 5652 section 11.3).
    if instant.year <= _LAST_UTCTIME_YEAR:
        time = tlv(0x17, instant.strftime("%y%m%d%H%M%SZ").encode("ascii"))
    else:
        time = tlv(0x18, instant.strftime("%Y%m%d%H%M%SZ").encode("ascii"))
    return tlv(0x30, _SIGNING_TIME_OID, tlv(0x31, time))
