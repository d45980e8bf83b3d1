# SPDX-License-Identifier: Apache-2.0
"""Reading a time-stamp token, and everything it proves by itself. Pure; whose key it is, `timestamps` asks.

    1  one signer, one form: nothing that the signature does not cover can be written otherwise
    2  the content is a TSTInfo of version 1, with no critical extension
    3  a digest of the SHA-2 family; genTime as UTC; an accuracy
    4  the signed attributes: once each; content type; digest of the content
    5  the signing certificate is bound by its digest
    6  the signature holds under that certificate's key
    7  the authority's name, where the token states one, is one of the certificate's

Source: RFC 3161 section 2.4.2, RFC 5816, RFC 5652 sections 5 and 11, RFC 5035.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from hub.clock import to_milliseconds
from hub.trust.algorithms import algorithms_of, is_signature_valid, stated_algorithm
from hub.trust.bilingual import Bilingual
from hub.trust.refusals import refusal

if TYPE_CHECKING:
    from datetime import datetime

DIGEST_BYTES = {"sha256": 32, "sha384": 48, "sha512": 64}
"""Digests a token may use, by their `hashlib` names."""

MOST_TOKEN_BYTES = 256 * 1024

_GEN_TIME = re.compile(rb"[0-9]{14}(\.[0-9]*[1-9])?Z")
_SIGNED_DATA = core.ObjectIdentifier("1.2.840.113549.1.7.2").dump()
_TST_INFO = core.ObjectIdentifier("1.2.840.113549.1.9.16.1.4").dump()
_OTHER_FORM = Bilingual("it can be written otherwise, or something was added", "可写成其他形式，或有附加内容")
_TOO_LONG = Bilingual(f"more than {MOST_TOKEN_BYTES} bytes", f"超过{MOST_TOKEN_BYTES}字节")
_NOT_ONE_SIGNER = Bilingual("not one signer", "签名者不是恰好一个")
_SIGNER_NAMED_OTHERWISE = Bilingual(
    "the signer is not named by issuer and serial number", "签名者未以签发者和序列号标明"
)
_OTHER_LENGTH = Bilingual("the digest has another length than its algorithm", "摘要长度与算法不符")
_SIGNER_NOT_ONCE = Bilingual("the signer's certificate is not there once", "签名者证书不是恰好一份")
_OTHER_DIGESTS = Bilingual("the digest algorithms are not those of the signer", "摘要算法与签名者的不一致")
_OTHER_DIGEST = Bilingual("the content does not have the signed digest", "内容与所签摘要不符")
_ATTRIBUTE_MISSING = Bilingual(
    "content type, digest or signing certificate is missing", "缺少内容类型、摘要或签名证书属性"
)
_BINDINGS = ("signing_certificate_v2", "signing_certificate")
# SHA-1 stands only in the older attribute. What it has to withstand there is a second certificate of the same
# digest, for the same key, from an approved authority; the signature itself never relies on it.
_ALLOWED_BINDINGS = frozenset({"sha1", *DIGEST_BYTES})
_UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
)
"""What the two libraries raise on hostile bytes."""


@dataclass(frozen=True)
class Token:
    """A time-stamp token whose signature holds under the certificate it carries.

    Attributes:
        der: its ContentInfo.
        at: UTC; when the authority saw the digest, by its clock, cut to milliseconds.
        accuracy: how far that may be off, or None where the token does not say.
        policy: object identifier of the authority's policy, dotted.
        serial_number: the authority's number of the token.
        nonce: what the request carried, or None.
        digest_algorithm: of what was stamped, by its `hashlib` name.
        digest: of what was stamped.
        certificates: the authority's first, then others in the token's order.
    """

    der: bytes
    at: datetime
    accuracy: timedelta | None
    policy: str
    serial_number: int
    nonce: int | None
    digest_algorithm: str
    digest: bytes
    certificates: tuple[x509.Certificate, ...]


def read_token(der: bytes) -> Token:
    """Read a token and check what it proves by itself.

    Args:
        der: in the one form of `to_one_form`.

    Raises:
        TrustError: `trust.timestamp_invalid`, with the failed check.
    """
    try:
        parts = _take_apart(der)
        if _put_together(parts) != der:
            raise refusal("timestamp_form", problem=_OTHER_FORM)
        return _read(der, parts)
    except _UNREADABLE as exc:
        raise refusal("timestamp_unreadable", problem=type(exc).__name__) from exc


def to_one_form(der: bytes, keep: frozenset[x509.Certificate] | None = None) -> bytes:
    """Write a token anew, in the one form that `read_token` takes; what is signed stays as it is.

    Many authorities write BER, send their certificates unsorted or more of them than are needed, or add what
    their signature does not cover. The one form is DER with the certificates sorted and nothing unsigned.

    Args:
        der: the token, in BER.
        keep: the certificates that stay; None keeps all.

    Raises:
        TrustError: `trust.timestamp_invalid` when it cannot be read.

    Source: RFC 5652 section 5.1; X.690 clause 11.6 (a SET OF in DER is sorted).
    """
    try:
        parts = _take_apart(der)
        if keep is not None:
            wanted = {each.public_bytes(Encoding.DER) for each in keep}
            parts = replace(parts, certificates=tuple(each for each in parts.certificates if each in wanted))
        return _put_together(parts)
    except _UNREADABLE as exc:
        raise refusal("timestamp_unreadable", problem=type(exc).__name__) from exc


@dataclass(frozen=True)
class _Parts:
    """What a token of one signer consists of, each in DER where nothing else is said.

    `content` is the TSTInfo; `signed_attributes` the SET OF with its implicit tag; `signature` raw octets.
    """

    digest_algorithms: tuple[bytes, ...]
    content: bytes
    certificates: tuple[bytes, ...]
    issuer: bytes
    serial_number: int
    digest_algorithm: bytes
    signed_attributes: bytes
    signature_algorithm: bytes
    signature: bytes


def _take_apart(der: bytes) -> _Parts:
    """Parse a token; nothing is checked but that it is one.

    Source: RFC 5652 sections 5.1 and 5.3.
    """
    if len(der) > MOST_TOKEN_BYTES:
        raise refusal("timestamp_unreadable", problem=_TOO_LONG)
    outer = cms.ContentInfo.load(der, strict=True)
    if outer["content_type"].native != "signed_data":
        raise refusal("timestamp_unreadable", problem=Bilingual("not signed data", "不是签名数据"))
    signed = outer["content"]
    if signed["encap_content_info"]["content_type"].native != "tst_info":
        raise refusal(
            "timestamp_unreadable", problem=Bilingual("the content is no time stamp", "内容不是时间戳")
        )
    if len(signed["signer_infos"]) != 1:
        raise refusal("timestamp_form", problem=_NOT_ONE_SIGNER)
    signer = signed["signer_infos"][0]
    if signer["sid"].name != "issuer_and_serial_number":
        raise refusal("timestamp_form", problem=_SIGNER_NAMED_OTHERWISE)
    choices = () if isinstance(signed["certificates"], core.Void) else tuple(signed["certificates"])
    if any(choice.name != "certificate" for choice in choices):
        raise refusal("timestamp_form", problem=Bilingual("certificates of another kind", "含其他类型的证书"))
    return _Parts(
        digest_algorithms=tuple(each.dump() for each in signed["digest_algorithms"]),
        content=bytes(signed["encap_content_info"]["content"]),
        certificates=tuple(each.chosen.dump() for each in choices),
        issuer=signer["sid"].chosen["issuer"].dump(),
        serial_number=signer["sid"].chosen["serial_number"].native,
        digest_algorithm=signer["digest_algorithm"].dump(),
        signed_attributes=signer["signed_attrs"].dump(),
        signature_algorithm=signer["signature_algorithm"].dump(),
        signature=signer["signature"].native,
    )


def _put_together(parts: _Parts) -> bytes:
    """Write a token.

    asn1crypto could write what it has read, but needs time exponential in the depth to write it anew.

    Source: RFC 5652 sections 5.1 and 5.3: version 3 for a content other than data; version 1 for a signer
    named by issuer and serial number.
    """
    signer = _tlv(
        0x30,
        core.Integer(1).dump(),
        _tlv(0x30, parts.issuer, core.Integer(parts.serial_number).dump()),
        parts.digest_algorithm,
        parts.signed_attributes,
        parts.signature_algorithm,
        _tlv(0x04, parts.signature),
    )
    signed = _tlv(
        0x30,
        core.Integer(3).dump(),
        _tlv(0x31, *sorted(parts.digest_algorithms)),
        _tlv(0x30, _TST_INFO, _tlv(0xA0, _tlv(0x04, parts.content))),
        _tlv(0xA0, *sorted(set(parts.certificates))) if parts.certificates else b"",
        _tlv(0x31, signer),
    )
    return _tlv(0x30, _SIGNED_DATA, _tlv(0xA0, signed))


def _tlv(tag: int, *contents: bytes) -> bytes:
    length = sum(map(len, contents))
    size = (length.bit_length() + 7) // 8
    header = bytes((tag, length)) if length < 0x80 else bytes((tag, 0x80 | size)) + length.to_bytes(size)
    return b"".join((header, *contents))


def _read(der: bytes, parts: _Parts) -> Token:
    stated = tsp.TSTInfo.load(parts.content, strict=True)
    if stated["version"].native != "v1":
        raise refusal("timestamp_version", version=str(stated["version"].native))
    for extension in () if isinstance(stated["extensions"], core.Void) else stated["extensions"]:
        if extension["critical"].native:
            raise refusal("timestamp_extension", extension=extension["extn_id"].dotted)
    imprint = stated["message_imprint"]
    name, digest = imprint["hash_algorithm"]["algorithm"].native, imprint["hashed_message"].native
    _require_strong(name)
    if len(digest) != DIGEST_BYTES[name]:
        raise refusal("timestamp_unreadable", problem=_OTHER_LENGTH)
    if not _GEN_TIME.fullmatch(stated["gen_time"].contents):
        raise refusal("timestamp_time_form")
    chain = _chain(parts)
    _check_signature(parts, chain[0])
    _check_name(stated["tsa"], chain[0])
    return Token(
        der=der,
        at=to_milliseconds(stated["gen_time"].native),
        accuracy=_accuracy(stated["accuracy"]),
        policy=stated["policy"].dotted,
        serial_number=stated["serial_number"].native,
        nonce=stated["nonce"].native,
        digest_algorithm=name,
        digest=digest,
        certificates=chain,
    )


def _accuracy(stated: Any) -> timedelta | None:
    if isinstance(stated, core.Void):
        return None
    seconds, millis, micros = (stated[each].native or 0 for each in ("seconds", "millis", "micros"))
    if seconds < 0 or not 0 <= millis <= 999 or not 0 <= micros <= 999:
        raise refusal("timestamp_time_form")
    return timedelta(seconds=seconds, milliseconds=millis, microseconds=micros)


def _chain(parts: _Parts) -> tuple[x509.Certificate, ...]:
    """Return the certificates, the signer's first."""
    found = [x509.load_der_x509_certificate(each) for each in parts.certificates]
    wanted = (parts.issuer, parts.serial_number)
    is_signers = [(each.issuer.public_bytes(), each.serial_number) == wanted for each in found]
    if is_signers.count(True) != 1:
        raise refusal("timestamp_form", problem=_SIGNER_NOT_ONCE)
    first = is_signers.index(True)
    return (found[first], *found[:first], *found[first + 1 :])


def _check_signature(parts: _Parts, certificate: x509.Certificate) -> None:
    """Check steps 4 to 6.

    Source: RFC 5652 sections 5.4, 5.6, 11.1 and 11.2.
    """
    if parts.digest_algorithms != (parts.digest_algorithm,):
        raise refusal("timestamp_form", problem=_OTHER_DIGESTS)
    name: str = cms.DigestAlgorithm.load(parts.digest_algorithm)["algorithm"].native
    _require_strong(name)
    attributes = _attributes(_signed_set(parts))
    if attributes["content_type"].native != "tst_info":
        raise refusal("timestamp_attributes", problem=Bilingual("content type", "内容类型"))
    if attributes["message_digest"].native != hashlib.new(name, parts.content).digest():
        raise refusal("timestamp_attributes", problem=_OTHER_DIGEST)
    _check_binding(attributes, certificate)
    algorithm = stated_algorithm(
        algorithms_of(certificate), parts.signature_algorithm, parts.digest_algorithm
    )
    if algorithm is None or not is_signature_valid(
        certificate.public_key(), algorithm, parts.signature, _signed_set(parts)
    ):
        raise refusal("timestamp_signature", certificate)


def _signed_set(parts: _Parts) -> bytes:
    """Return what is signed: the SET OF itself, not its implicit tag [0] (RFC 5652 section 5.4)."""
    return b"\x31" + parts.signed_attributes[1:]


def _attributes(signed: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for attribute in cms.CMSAttributes.load(signed, strict=True):
        kind = attribute["type"].native
        if kind in found or len(attribute["values"]) != 1:
            raise refusal(
                "timestamp_attributes", problem=Bilingual(f"{kind} is not there once", f"{kind}不是恰好一个")
            )
        found[kind] = attribute["values"][0]
    missing = {"content_type", "message_digest"} - found.keys()
    if missing or not found.keys() & set(_BINDINGS):
        raise refusal("timestamp_attributes", problem=_ATTRIBUTE_MISSING)
    return found


def _check_binding(attributes: dict[str, Any], certificate: x509.Certificate) -> None:
    """Check that the first certificate each signing-certificate attribute names is the signer's.

    Source: RFC 5035 section 3 (the first identifies the certificate that verifies the signature); RFC 5816
    section 2.2.1 (either attribute, by the digest used).
    """
    der = certificate.public_bytes(Encoding.DER)
    for kind in _BINDINGS:
        if kind not in attributes:
            continue
        bound = attributes[kind]["certs"][0]
        name = "sha1" if kind == "signing_certificate" else bound["hash_algorithm"]["algorithm"].native
        if name not in _ALLOWED_BINDINGS or (name == "sha1") != (kind == "signing_certificate"):
            raise refusal("timestamp_digest_weak", certificate, digest=str(name))
        if bound["cert_hash"].native != hashlib.new(name, der, usedforsecurity=name != "sha1").digest():
            raise refusal("timestamp_binding", certificate)
        serial = bound["issuer_serial"]
        if not isinstance(serial, core.Void):
            names = [each.chosen.untag().dump() for each in serial["issuer"] if each.name == "directory_name"]
            is_same = serial["serial_number"].native == certificate.serial_number
            if not is_same or names != [certificate.issuer.public_bytes()]:
                raise refusal("timestamp_binding", certificate)


def _check_name(stated: Any, certificate: x509.Certificate) -> None:
    if isinstance(stated, core.Void):
        return
    parsed = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
    others = parsed.subject_alt_name_value or ()
    is_subject = stated.name == "directory_name" and stated.chosen == parsed.subject
    if not is_subject and stated.untag().dump() not in [each.untag().dump() for each in others]:
        raise refusal("timestamp_name", certificate)


def _require_strong(digest: str) -> None:
    if digest not in DIGEST_BYTES:
        raise refusal("timestamp_digest_weak", digest=str(digest))
