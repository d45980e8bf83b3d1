# SPDX-License-Identifier: Apache-2.0
"""Detached SM2 signatures in the national form of CMS, which has object identifiers of its own.

Envelopes do not use it: they are CAdES whatever their algorithm. It is for what other systems in China sign
and want signed, such as electronic licences. What is written here has no signed attributes, the form every
verifier knows; what is read may have them.

Source: GB/T 35275-2017 (GM/T 0010-2012) clauses 6 to 8; GM/T 0006-2012 (object identifiers).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ObjectIdentifier

from hub.envelope import cms
from hub.errors import EnvelopeError
from hub.trust import SM2_SM3, algorithms_of, is_signature_valid, public_key_of

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from hub.trust import SignatureAlgorithm, SigningKey

NATIONAL_DATA = ObjectIdentifier("1.2.156.10197.6.1.4.2.1")
NATIONAL_SIGNED_DATA = ObjectIdentifier("1.2.156.10197.6.1.4.2.2")
SM2_SIGNATURE = ObjectIdentifier("1.2.156.10197.1.301.1")

_NULL = b"\x05\x00"
_SM3 = cms.tlv(0x30, cms.oid(SM2_SM3.digest_oid))
_SM2 = cms.tlv(0x30, cms.oid(SM2_SIGNATURE))
# Writers differ in whether they state NULL; some name the signature as certificates do.
_DIGESTS_READ = frozenset({_SM3, cms.tlv(0x30, cms.oid(SM2_SM3.digest_oid), _NULL)})
_SIGNATURES_READ = frozenset(
    {
        _SM2,
        cms.tlv(0x30, cms.oid(SM2_SIGNATURE), _NULL),
        SM2_SM3.identifier,
        *SM2_SM3.read_as_well,
    }
)
_VERSION_1 = asn1.encode_der(1)


@asn1.sequence
class _SignerInfo:
    """GB/T 35275 clause 8.2."""

    version: int
    sid: cms.IssuerAndSerialNumber
    digest_algorithm: asn1.TLV
    signed_attributes: Annotated[asn1.SetOf[cms.Attribute] | None, asn1.Implicit(0)]
    signature_algorithm: asn1.TLV
    signature: bytes
    unsigned_attributes: Annotated[asn1.SetOf[cms.Attribute] | None, asn1.Implicit(1)]


@asn1.sequence
class _SignedData:
    """GB/T 35275 clause 8.1, detached."""

    version: int
    digest_algorithms: asn1.SetOf[asn1.TLV]
    content_info: cms.EncapsulatedContentInfo
    certificates: Annotated[asn1.SetOf[x509.Certificate], asn1.Implicit(0)]
    signer_infos: asn1.SetOf[_SignerInfo]


@asn1.sequence
class _ContentInfo:
    """GB/T 35275 clause 7."""

    content_type: ObjectIdentifier
    content: Annotated[_SignedData, asn1.Explicit(0)]


def sign_national(content: bytes, key: SigningKey) -> bytes:
    """Sign content and return a detached signature in DER.

    Args:
        content: what is signed; it does not go along.
        key: of SM2; its certificates go along.

    Raises:
        EnvelopeError: `envelope.algorithm_not_allowed` when the key is not of SM2.
    """
    key = key.snapshot()
    if key.algorithm is not SM2_SM3:
        raise EnvelopeError("envelope.algorithm_not_allowed", f"{key.algorithm.name} instead of SM2")
    leaf = key.certificate_chain[0]
    encoded = [certificate.public_bytes(Encoding.DER) for certificate in key.certificate_chain]
    signer = cms.tlv(0x30, leaf.issuer.public_bytes(), asn1.encode_der(leaf.serial_number))
    value = cms.tlv(0x04, key.sign(content))
    signed_data = cms.tlv(
        0x30,
        _VERSION_1,
        cms.set_of(_SM3),
        cms.tlv(0x30, cms.oid(NATIONAL_DATA)),
        cms.set_of(*encoded, tag=0xA0),
        cms.set_of(cms.tlv(0x30, _VERSION_1, signer, _SM3, _SM2, value)),
    )
    return cms.tlv(0x30, cms.oid(NATIONAL_SIGNED_DATA), cms.tlv(0xA0, signed_data))


def verify_national(
    signature: bytes, content: bytes, allowed: AbstractSet[SignatureAlgorithm]
) -> tuple[x509.Certificate, ...]:
    """Check a detached signature and return the certificates sent along, the signer's first.

    They are still to be believed or not, by `hub.trust.Validator`.

    Args:
        signature: in DER.
        content: what was signed.
        allowed: the rows of the table of algorithms that a policy allows; SM2 has to be among them.

    Raises:
        EnvelopeError: `envelope.signature_malformed`, `envelope.certificate_binding_invalid`,
            `envelope.algorithm_not_allowed`, `envelope.digest_mismatch` or `envelope.signature_invalid`.
        TrustError: `trust.sm2_unavailable`.
    """
    signed_data, info = _decode(signature)
    chain = _chain(signed_data, info)
    if (
        SM2_SM3 not in algorithms_of(chain[0], allowed)
        or cms.der_of(info.digest_algorithm) not in _DIGESTS_READ
        or cms.der_of(info.signature_algorithm) not in _SIGNATURES_READ
    ):
        raise EnvelopeError("envelope.algorithm_not_allowed", "not SM2 with SM3, or no policy names it")
    key = public_key_of(chain[0])
    if key is None or not is_signature_valid(key, SM2_SM3, info.signature, _signed_bytes(info, content)):
        raise EnvelopeError("envelope.signature_invalid", "the SM2 signature does not hold")
    return chain


def _decode(signature: bytes) -> tuple[_SignedData, _SignerInfo]:
    try:
        decoded = asn1.decode_der(_ContentInfo, signature)
    except (ValueError, x509.InvalidVersion) as error:
        raise EnvelopeError("envelope.signature_malformed", "not DER of a GB/T 35275 signature") from error
    infos = decoded.content.signer_infos.as_list()
    kinds = (decoded.content_type, decoded.content.content_info.content_type)
    if kinds != (NATIONAL_SIGNED_DATA, NATIONAL_DATA) or len(infos) != 1:
        raise EnvelopeError("envelope.signature_malformed", "not signed data of one signer by GB/T 35275")
    return decoded.content, infos[0]


def _chain(signed_data: _SignedData, info: _SignerInfo) -> tuple[x509.Certificate, ...]:
    """Put the certificate the signer is named by first."""
    issuer = cms.der_of(info.sid.issuer)
    sent = signed_data.certificates.as_list()
    try:
        signers = [
            each
            for each in sent
            if each.serial_number == info.sid.serial_number and each.issuer.public_bytes() == issuer
        ]
    except ValueError as error:
        raise EnvelopeError("envelope.signature_malformed", "a certificate's issuer is unreadable") from error
    if len(signers) != 1:
        raise EnvelopeError("envelope.certificate_binding_invalid", "the signer's certificate was not sent")
    return (signers[0], *(each for each in sent if each != signers[0]))


def _signed_bytes(info: _SignerInfo, content: bytes) -> bytes:
    """Return what the signature is over: the content, or the attributes that name its digest.

    Content that reads as a set of attributes is refused without them: it could be the attributes of another
    signature, made over other content.
    """
    if info.signed_attributes is None:
        if _reads_as_attributes(content):
            raise EnvelopeError("envelope.signature_malformed", "the content is a set of signed attributes")
        return content
    attributes = info.signed_attributes.as_list()
    values = {each.type: each.values.as_list() for each in attributes}
    digest = cms.tlv(0x04, hashlib.new(SM2_SM3.digest, content).digest())
    if len(values) != len(attributes) or _single(values, cms.CONTENT_TYPE) != cms.oid(NATIONAL_DATA):
        raise EnvelopeError("envelope.signature_malformed", "content-type is missing, doubled or another")
    if _single(values, cms.MESSAGE_DIGEST) != digest:
        raise EnvelopeError("envelope.digest_mismatch", "the signature's message-digest is not the content's")
    return cms.set_of(*(asn1.encode_der(each) for each in attributes))


def _single(values: dict[ObjectIdentifier, list[asn1.TLV]], wanted: ObjectIdentifier) -> bytes | None:
    found = values.get(wanted, [])
    return cms.der_of(found[0]) if len(found) == 1 else None


def _reads_as_attributes(content: bytes) -> bool:
    try:
        return bool(asn1.decode_der(_Attributes, cms.tlv(0x30, content)).attributes.as_list())
    except ValueError:
        return False


@asn1.sequence
class _Attributes:
    attributes: asn1.SetOf[cms.Attribute]
