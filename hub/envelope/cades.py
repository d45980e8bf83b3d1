# SPDX-License-Identifier: Apache-2.0
"""CAdES-B-B over the manifest: made and checked in DER, with one byte form on the wire.

Source: ETSI EN 319 122-1 clause 6.3 (baseline B-B); RFC 5652 section 5.6 (verification).
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.serialization import Encoding

from hub.envelope import cms
from hub.envelope.model import SIGNATURE_NAME, Signature
from hub.envelope.signer import Signer, SignerMemory, own_signer, signer_of
from hub.errors import EnvelopeError
from hub.trust import DEFAULT_ALGORITHMS, algorithms_of, is_signature_valid, key_problem, stated_algorithm

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from hub.trust import SignatureAlgorithm, SigningKey

_T = TypeVar("_T")
_Values = dict[x509.ObjectIdentifier, asn1.TLV]

_KNOWN = SignerMemory()


def sign_manifest(manifest: bytes, key: SigningKey, signed_at: datetime) -> bytes:
    """Sign a manifest and return `META-INF/signature.p7s`.

    Args:
        manifest: the bytes of `META-INF/ASiCManifest.xml`.
        key: whose certificates go along, the signer's first; of a ring, the key it uses at this moment.
        signed_at: UTC; the signing-time attribute, cut to seconds.

    Raises:
        EnvelopeError: the key's algorithm is not allowed.
    """
    key = key.snapshot()
    signer = own_signer(key.certificate_chain, key.algorithm)
    attributes = _expected_attributes(signer, manifest, signed_at)
    return cms.write_signed_data(signer.identity, attributes, signer.with_low_s(key.sign(attributes)))


def verify_cades(
    signature: bytes, content: bytes, allowed: AbstractSet[SignatureAlgorithm] = DEFAULT_ALGORITHMS
) -> Signature:
    """Check a detached CAdES-B signature of any producer over `content`.

    Args:
        signature: CMS in DER.
        content: what was signed.
        allowed: the rows of the table that a policy allows.

    Raises:
        EnvelopeError: `signature_malformed`, `certificate_binding_invalid`, `algorithm_not_allowed`,
            `digest_mismatch` or `signature_invalid`.

    Source: RFC 5652 section 5.6; RFC 5035 section 3.
    """
    signed_data, info, values = _decode(signature)
    signer = _bound_signer(signed_data, info, values, allowed)
    _check_named_signer(info, signer)
    if _parse(values[cms.CONTENT_TYPE], x509.ObjectIdentifier, "content-type") != cms.DATA:
        raise EnvelopeError("envelope.signature_malformed", "content-type is not id-data")
    stated = _parse(values[cms.MESSAGE_DIGEST], bytes, "message-digest")
    if stated != hashlib.new(signer.algorithm.digest, content).digest():
        raise EnvelopeError("envelope.digest_mismatch", "the signature's message-digest is not the content's")
    signed_bytes = cms.set_of(*(asn1.encode_der(a) for a in info.signed_attributes.as_list()))
    if not is_signature_valid(signer.key, signer.algorithm, info.signature, signed_bytes):
        raise EnvelopeError("envelope.signature_invalid", SIGNATURE_NAME)
    return Signature(signer.chain, _signing_time(values), signer.algorithm.name)


def verify_canonical_cades(
    signature: bytes,
    content: bytes,
    signed_at: datetime,
    allowed: AbstractSet[SignatureAlgorithm] = DEFAULT_ALGORITHMS,
) -> Signature:
    """Check a signature made by `sign_manifest`, refusing every encoding but that one.

    The signature is written again from what it must say and compared, so nothing in it escapes the check;
    ECDSA must have the lower of the two possible s values, so nobody can make a second valid form. Of a
    signer met before nothing has to be decoded for that.

    Args:
        signature: `META-INF/signature.p7s`.
        content: the manifest.
        signed_at: UTC, whole seconds; what signing-time must say.
        allowed: the rows of the table that a policy allows.

    Raises:
        EnvelopeError: as `verify_cades`, or `signature_not_canonical` or `signing_time_mismatch`.
    """
    known = _KNOWN.recall(signature)
    if known is not None and known.algorithm in allowed:
        attributes = _expected_attributes(known, content, signed_at)
        value = cms.cut_signature_value(known.identity, attributes, signature)
        if _holds_canonically(known, attributes, value, signature):
            return Signature(known.chain, signed_at, known.algorithm.name)
    return _verify_unknown(signature, content, signed_at, allowed)


def _verify_unknown(
    signature: bytes, content: bytes, signed_at: datetime, allowed: AbstractSet[SignatureAlgorithm]
) -> Signature:
    """Check a canonical signature by decoding it; says what is wrong with one that does not hold."""
    signed_data, info, values = _decode(signature)
    signer = _bound_signer(signed_data, info, values, allowed)
    stated_at = _signing_time(values)
    attributes = _expected_attributes(signer, content, stated_at)
    if not _holds_canonically(signer, attributes, info.signature, signature):
        verify_cades(signature, content, allowed)  # Where more than the encoding is wrong, this says what.
        raise EnvelopeError("envelope.signature_not_canonical", SIGNATURE_NAME)
    if stated_at != signed_at:
        raise EnvelopeError("envelope.signing_time_mismatch", SIGNATURE_NAME)
    _KNOWN.remember(signer)
    return Signature(signer.chain, signed_at, signer.algorithm.name)


def _expected_attributes(signer: Signer, content: bytes, signed_at: datetime) -> bytes:
    digest = hashlib.new(signer.algorithm.digest, content).digest()
    return cms.write_signed_attributes(signer.identity, digest, signed_at)


def _holds_canonically(signer: Signer, attributes: bytes, value: bytes, signature: bytes) -> bool:
    return (
        cms.write_signed_data(signer.identity, attributes, value) == signature
        and is_signature_valid(signer.key, signer.algorithm, value, attributes)
        and signer.with_low_s(value) == value
    )


def _decode(signature: bytes) -> tuple[cms.SignedData, cms.SignerInfo, _Values]:
    try:
        signed_data = asn1.decode_der(cms.ContentInfo, signature).content
    except (ValueError, x509.InvalidVersion) as error:
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


def _bound_signer(
    signed_data: cms.SignedData,
    info: cms.SignerInfo,
    values: _Values,
    allowed: AbstractSet[SignatureAlgorithm],
) -> Signer:
    """Put the certificates in the order in which signing-certificate-v2 binds them, the signer's first."""
    sent = [certificate.public_bytes(Encoding.DER) for certificate in signed_data.certificates.as_list()]
    bound = _parse(
        values[cms.SIGNING_CERTIFICATE_V2], cms.SigningCertificateV2, "signing-certificate-v2"
    ).certificates
    if not bound:
        raise EnvelopeError("envelope.certificate_binding_invalid", "no certificate is bound")
    ordered = []
    for entry in bound:
        ordered.append(_find_bound(entry, sent))
        sent.remove(ordered[-1])
    chain = tuple(x509.load_der_x509_certificate(der) for der in (*ordered, *sent))
    signer = signer_of(chain, _stated_algorithm(info, chain[0], allowed))
    _check_issuer_serial(bound[0], signer)
    return signer


def _stated_algorithm(
    info: cms.SignerInfo, leaf: x509.Certificate, allowed: AbstractSet[SignatureAlgorithm]
) -> SignatureAlgorithm:
    identifier = cms.der_of(info.signature_algorithm)
    row = stated_algorithm(algorithms_of(leaf, allowed), identifier, cms.der_of(info.digest_algorithm))
    if row is None:
        detail = key_problem(leaf, allowed) or f"AlgorithmIdentifier {identifier.hex()}"
        raise EnvelopeError("envelope.algorithm_not_allowed", detail)
    return row


def _find_bound(entry: cms.EssCertificateId, sent: list[bytes]) -> bytes:
    digest = "sha256" if entry.hash_algorithm is None else cms.DIGESTS.get(entry.hash_algorithm.algorithm)
    if digest is None:
        raise EnvelopeError("envelope.certificate_binding_invalid", "bound with a digest that is not allowed")
    for der in sent:
        if hashlib.new(digest, der).digest() == entry.certificate_hash:
            return der
    raise EnvelopeError("envelope.certificate_binding_invalid", "a bound certificate was not sent")


def _check_issuer_serial(entry: cms.EssCertificateId, signer: Signer) -> None:
    """Where the binding also names issuer and serial number, they must be the certificate's (RFC 5035)."""
    stated, leaf = entry.issuer_serial, signer.chain[0]
    if stated is None:
        return
    directory_name = [bytes(name.data) for name in stated.issuer if name.tag_bytes == b"\xa4"]
    if stated.serial_number != leaf.serial_number or directory_name != [leaf.issuer.public_bytes()]:
        raise EnvelopeError(
            "envelope.certificate_binding_invalid", "the binding names another issuer or serial number"
        )


def _check_named_signer(info: cms.SignerInfo, signer: Signer) -> None:
    leaf, issuer = signer.chain[0], info.sid.issuer
    is_named = (
        info.sid.serial_number == leaf.serial_number
        and cms.tlv(issuer.tag_bytes[0], bytes(issuer.data)) == leaf.issuer.public_bytes()
    )
    if not is_named:
        raise EnvelopeError(
            "envelope.certificate_binding_invalid", "the signer named is not the certificate bound first"
        )


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
