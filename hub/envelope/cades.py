# SPDX-License-Identifier: Apache-2.0
"""CAdES-B-B over the manifest: made and checked in DER, with one byte form on the wire.

Source: ETSI EN 319 122-1 clause 6.3 (baseline B-B); RFC 5652 section 5.6 (verification).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from hub.envelope import cms
from hub.envelope.model import SIGNATURE_NAME, Signature
from hub.errors import EnvelopeError
from hub.trust import algorithm_for, is_signature_valid, signature_digest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from hub.trust import SignatureAlgorithm, SigningKey

_T = TypeVar("_T")
_Values = dict[x509.ObjectIdentifier, asn1.TLV]


@dataclass(frozen=True, slots=True)
class _Signer:
    chain: tuple[x509.Certificate, ...]
    key: PublicKeyTypes
    algorithm: SignatureAlgorithm
    identity: cms.SignerIdentity


def sign_manifest(manifest: bytes, key: SigningKey, signed_at: datetime) -> bytes:
    """Sign a manifest and return `META-INF/signature.p7s`.

    Args:
        manifest: the bytes of `META-INF/ASiCManifest.xml`.
        key: whose certificates go along, the signer's first.
        signed_at: UTC; the signing-time attribute, cut to seconds.

    Raises:
        EnvelopeError: the key's algorithm is not allowed.
    """
    signer = _signer_of(key.certificate_chain)
    digest = hashlib.new(signer.algorithm.digest, manifest).digest()
    attributes = cms.write_signed_attributes(signer.identity, digest, signed_at)
    return cms.write_signed_data(signer.identity, attributes, _with_low_s(signer.key, key.sign(attributes)))


def verify_cades(signature: bytes, content: bytes) -> Signature:
    """Check a detached CAdES-B signature of any producer over `content`.

    Raises:
        EnvelopeError: `signature_malformed`, `certificate_binding_invalid`, `algorithm_not_allowed`,
            `digest_mismatch` or `signature_invalid`.

    Source: RFC 5652 section 5.6; RFC 5035 section 3.
    """
    signed_data, info, values = _decode(signature)
    signer = _bound_signer(signed_data, values)
    _check_named_signer(info, signer)
    digest_name = signature_digest(
        signer.key, info.signature_algorithm.algorithm, info.digest_algorithm.algorithm
    )
    if digest_name is None:
        raise EnvelopeError(
            "envelope.algorithm_not_allowed", info.signature_algorithm.algorithm.dotted_string
        )
    if _parse(values[cms.CONTENT_TYPE], x509.ObjectIdentifier, "content-type") != cms.DATA:
        raise EnvelopeError("envelope.signature_malformed", "content-type is not id-data")
    stated = _parse(values[cms.MESSAGE_DIGEST], bytes, "message-digest")
    if stated != hashlib.new(digest_name, content).digest():
        raise EnvelopeError("envelope.digest_mismatch", "the signature's message-digest is not the content's")
    signed_bytes = cms.set_of(*(asn1.encode_der(a) for a in info.signed_attributes.as_list()))
    if not is_signature_valid(signer.key, digest_name, info.signature, signed_bytes):
        raise EnvelopeError("envelope.signature_invalid", SIGNATURE_NAME)
    return Signature(signer.chain, _signing_time(values), signer.algorithm.name)


def verify_canonical_cades(signature: bytes, content: bytes) -> Signature:
    """Check a signature made by `sign_manifest`, refusing every encoding but that one.

    The signature is written again from what it must say and compared, so nothing in it escapes the check;
    ECDSA must have the lower of the two possible s values, so nobody can make a second valid form.

    Raises:
        EnvelopeError: as `verify_cades`, or `signature_not_canonical`.
    """
    signed_data, info, values = _decode(signature)
    signer = _bound_signer(signed_data, values)
    signed_at = _signing_time(values)
    digest = hashlib.new(signer.algorithm.digest, content).digest()
    attributes = cms.write_signed_attributes(signer.identity, digest, signed_at)
    rewritten = cms.write_signed_data(signer.identity, attributes, info.signature)
    if rewritten != signature:
        verify_cades(signature, content)  # Where more than the encoding is wrong, this says what.
        raise EnvelopeError("envelope.signature_not_canonical", SIGNATURE_NAME)
    if not is_signature_valid(signer.key, signer.algorithm.digest, info.signature, attributes):
        raise EnvelopeError("envelope.signature_invalid", SIGNATURE_NAME)
    if _with_low_s(signer.key, info.signature) != info.signature:
        raise EnvelopeError("envelope.signature_not_canonical", "ECDSA with the higher s")
    return Signature(signer.chain, signed_at, signer.algorithm.name)


def _decode(signature: bytes) -> tuple[cms.SignedData, cms.SignerInfo, _Values]:
    try:
        signed_data = asn1.decode_der(cms.ContentInfo, signature).content
    except ValueError as error:
        raise EnvelopeError("envelope.signature_malformed", "not DER of a CAdES signature") from error
    infos = signed_data.signer_infos.as_list()
    if len(infos) != 1:
        raise EnvelopeError("envelope.signature_malformed", f"{len(infos)} signers instead of one")
    return signed_data, infos[0], _single_values(infos[0])


def _single_values(info: cms.SignerInfo) -> _Values:
    values: _Values = {}
    for attribute in info.signed_attributes.as_list():
        elements = attribute.values.as_list()
        if attribute.type in values or len(elements) != 1:
            raise EnvelopeError(
                "envelope.signature_malformed", f"attribute {attribute.type.dotted_string} is not single"
            )
        values[attribute.type] = elements[0]
    for needed in (cms.CONTENT_TYPE, cms.MESSAGE_DIGEST, cms.SIGNING_TIME, cms.SIGNING_CERTIFICATE_V2):
        if needed not in values:
            raise EnvelopeError(
                "envelope.signature_malformed", f"attribute {needed.dotted_string} is missing"
            )
    return values


def _bound_signer(signed_data: cms.SignedData, values: _Values) -> _Signer:
    """Put the certificates in the order in which signing-certificate-v2 binds them, the signer's first."""
    sent = {
        hashlib.sha256(der).digest(): der
        for der in (c.public_bytes(Encoding.DER) for c in signed_data.certificates.as_list())
    }
    bound = _parse(
        values[cms.SIGNING_CERTIFICATE_V2], cms.SigningCertificateV2, "signing-certificate-v2"
    ).certificates
    chain: list[bytes] = []
    for entry in bound:
        if entry.hash_algorithm is not None:
            raise EnvelopeError(
                "envelope.certificate_binding_invalid", "bound with a digest other than SHA-256"
            )
        if entry.certificate_hash not in sent:
            raise EnvelopeError("envelope.certificate_binding_invalid", "a bound certificate was not sent")
        chain.append(sent.pop(entry.certificate_hash))
    if not chain:
        raise EnvelopeError("envelope.certificate_binding_invalid", "no certificate is bound")
    return _signer_of_der((*chain, *sent.values()))


def _check_named_signer(info: cms.SignerInfo, signer: _Signer) -> None:
    leaf, issuer = signer.chain[0], info.sid.issuer
    is_named = (
        info.sid.serial_number == leaf.serial_number
        and cms.tlv(issuer.tag_bytes[0], bytes(issuer.data)) == leaf.issuer.public_bytes()
    )
    if not is_named:
        raise EnvelopeError(
            "envelope.certificate_binding_invalid", "the signer named is not the certificate bound first"
        )


@lru_cache(maxsize=1024)
def _signer_of_der(chain: tuple[bytes, ...]) -> _Signer:
    return _signer_of(tuple(x509.load_der_x509_certificate(der) for der in chain))


@lru_cache(maxsize=1024)
def _signer_of(chain: tuple[x509.Certificate, ...]) -> _Signer:
    try:
        key = chain[0].public_key()
    except (ValueError, TypeError) as error:
        raise EnvelopeError("envelope.algorithm_not_allowed", "the certificate's key is unknown") from error
    algorithm = algorithm_for(key)
    if algorithm is None:
        raise EnvelopeError("envelope.algorithm_not_allowed", "the certificate's key is not allowed")
    return _Signer(chain, key, algorithm, cms.identify_signer(chain, algorithm))


def _with_low_s(key: PublicKeyTypes, signature: bytes) -> bytes:
    """Return an ECDSA signature with the lower of its two valid s values; others as they are.

    Source: SEC 1 version 2 section 4.1.4 (both s and n - s verify).
    """
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return signature
    r, s = decode_dss_signature(signature)
    order = key.curve.group_order
    return signature if s <= order // 2 else encode_dss_signature(r, order - s)


def _signing_time(values: _Values) -> datetime:
    value = values[cms.SIGNING_TIME]
    kind: type[asn1.UTCTime | asn1.GeneralizedTime] = (
        asn1.UTCTime if value.tag_bytes == b"\x17" else asn1.GeneralizedTime
    )
    instant = _parse(value, kind, "signing-time").as_datetime()
    return instant.replace(tzinfo=UTC)


def _parse(value: asn1.TLV, kind: type[_T], name: str) -> _T:
    try:
        parsed: _T = value.parse(kind)
    except ValueError as error:
        raise EnvelopeError("envelope.signature_malformed", name) from error
    return parsed
