# SPDX-License-Identifier: Apache-2.0
"""What lets a record be verified offline: revocation answers about its authorities.

They stand in the record's cryptoInfos as CAdES revocation-values, or in the tokens themselves, where some
authorities put them. Nothing protects them but their own signatures, and nothing else is needed.

Source: RFC 4998 section 3.1 (cryptoInfos); ETSI EN 319 122-1 clause 5.4 and annex A.1 (revocation-values);
    RFC 5652 section 10.2.1 and RFC 5940 section 2 (OCSP responses in CMS).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from asn1crypto import cms, core
from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

from hub.envelope import der_of, tlv
from hub.errors import EnvelopeError, TrustError
from hub.trust import AnswerKind, HeldRevocation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from cryptography import x509

    from hub.preservation.records import EvidenceRecord
    from hub.trust import RevocationAnswer, RevocationSource

_REVOCATION_VALUES = ObjectIdentifier("1.2.840.113549.1.9.16.2.24")
_OCSP_BASIC = ObjectIdentifier("1.3.6.1.5.5.7.48.1.1")
_OCSP_IN_CMS = "1.3.6.1.5.5.7.16.2"
_SEQUENCE, _SET, _OCTETS, _ENUMERATED = 0x30, 0x31, 0x04, 0x0A
_CRLS, _OCSPS = 0xA0, 0xA1


@asn1.sequence
class _Attribute:
    type: ObjectIdentifier
    values: asn1.SetOf[asn1.TLV]


@asn1.sequence
class _RevocationValues:
    crls: Annotated[list[asn1.TLV] | None, asn1.Explicit(0)]
    ocsps: Annotated[list[asn1.TLV] | None, asn1.Explicit(1)]
    others: Annotated[list[asn1.TLV] | None, asn1.Explicit(2)]


@asn1.sequence
class _ResponseBytes:
    type: ObjectIdentifier
    response: bytes


@asn1.sequence
class _OcspResponse:
    status: asn1.TLV
    response_bytes: Annotated[_ResponseBytes, asn1.Explicit(0)]


@dataclass(frozen=True)
class Answers:
    """Revocation answers in DER: whole OCSP responses, and CRLs."""

    ocsps: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, answers: Iterable[RevocationAnswer]) -> Answers:
        """Sort out what was relied on, each once."""
        found = dict.fromkeys((answer.kind, answer.der) for answer in answers)
        return cls(
            tuple(der for kind, der in found if kind is AnswerKind.OCSP),
            tuple(der for kind, der in found if kind is AnswerKind.CRL),
        )

    def __add__(self, other: Answers) -> Answers:
        """Put two together, each answer once."""
        return Answers(
            tuple(dict.fromkeys((*self.ocsps, *other.ocsps))),
            tuple(dict.fromkeys((*self.crls, *other.crls))),
        )


def write_crypto_infos(answers: Answers) -> tuple[bytes, ...]:
    """Write answers as the cryptoInfos of a record; none when there are none."""
    if not answers.ocsps and not answers.crls:
        return ()
    values = tlv(
        _SEQUENCE,
        tlv(_CRLS, tlv(_SEQUENCE, *answers.crls)) if answers.crls else b"",
        tlv(_OCSPS, tlv(_SEQUENCE, *map(_to_basic, answers.ocsps))) if answers.ocsps else b"",
    )
    return (tlv(_SEQUENCE, asn1.encode_der(_REVOCATION_VALUES), tlv(_SET, values)),)


def read_answers(record: EvidenceRecord) -> Answers:
    """Return all answers that came with a record; what is of another kind is passed over.

    Raises:
        EnvelopeError: `envelope.evidence_record_malformed`: what claims to be answers is none.
    """
    try:
        found = Answers()
        for info in record.crypto_infos:
            attribute = asn1.decode_der(_Attribute, info)
            if attribute.type == _REVOCATION_VALUES:
                for value in attribute.values.as_list():
                    found += _read_values(der_of(value))
        for chain in record.chains:
            for each in chain:
                found += _read_token(each.time_stamp)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as exc:
        detail = f"revocation answers: {type(exc).__name__}: {exc}"[:200]
        raise EnvelopeError("envelope.evidence_record_malformed", detail) from exc
    return found


class AnswersAtHand:
    """The answers that came with a record, and those of another source.

    Args:
        answers: of the record.
        other: what else there is, such as a folder of stored answers.
    """

    def __init__(self, answers: Answers, other: RevocationSource) -> None:
        self._sources: Sequence[RevocationSource] = (HeldRevocation(answers.ocsps, answers.crls), other)

    def ocsp_answers(
        self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
    ) -> tuple[RevocationAnswer, ...]:
        """Return all OCSP answers about a certificate.

        Raises:
            TrustError: `trust.revocation_unknown`: there is none, and a source could not be read.
        """
        return self._ask("ocsp_answers", certificate, issuer, at)

    def crl_answers(
        self, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
    ) -> tuple[RevocationAnswer, ...]:
        """Return all CRLs about a certificate.

        Raises:
            TrustError: `trust.revocation_unknown`: there is none, and a source could not be read.
        """
        return self._ask("crl_answers", certificate, issuer, at)

    def _ask(
        self, kind: str, certificate: x509.Certificate, issuer: x509.Certificate, at: datetime
    ) -> tuple[RevocationAnswer, ...]:
        found: list[RevocationAnswer] = []
        problem: TrustError | None = None
        for source in self._sources:
            try:
                found += getattr(source, kind)(certificate, issuer, at)
            except TrustError as exc:
                problem = exc
        if problem is not None and not found:
            raise problem
        return tuple(found)


def _read_values(der: bytes) -> Answers:
    values = asn1.decode_der(_RevocationValues, der)
    return Answers(
        tuple(_to_response(der_of(each)) for each in values.ocsps or ()),
        tuple(der_of(each) for each in values.crls or ()),
    )


def _read_token(der: bytes) -> Answers:
    signed = cms.ContentInfo.load(der)["content"]
    choices = () if isinstance(signed["crls"], core.Void) else tuple(signed["crls"])
    ocsps, crls = [], []
    for choice in choices:
        if choice.name == "certificate_list":
            crls.append(choice.chosen.dump())
        elif choice.chosen["other_rev_info_format"].dotted == _OCSP_IN_CMS:
            ocsps.append(choice.chosen["other_rev_info"].dump())
    return Answers(tuple(ocsps), tuple(crls))


def _to_basic(response: bytes) -> bytes:
    """Take the BasicOCSPResponse out of an OCSPResponse (RFC 6960 section 4.2.1)."""
    return bytes(asn1.decode_der(_OcspResponse, response).response_bytes.response)


def _to_response(basic: bytes) -> bytes:
    """Write a successful OCSPResponse around a BasicOCSPResponse."""
    inside = tlv(_SEQUENCE, asn1.encode_der(_OCSP_BASIC), tlv(_OCTETS, basic))
    return tlv(_SEQUENCE, tlv(_ENUMERATED, b"\x00"), tlv(0xA0, inside))
