# SPDX-License-Identifier: Apache-2.0
"""Whether an OCSP response may be believed, and what it says about a certificate.

1  it can be read, was successful, and is about this certificate        RFC 6960 3.2 (1), 4.2.1
2  its digest is strong, its critical extensions are understood         ETSI TS 119 312, RFC 6960 4.4
3  the issuer, its delegate or a listed responder signed it             RFC 6960 3.2 (2) to (4), 4.2.2.2
4  it reaches the instant in question and is not of the future          RFC 6960 3.2 (5) and (6)
5  the status is good, or revoked; unknown is no answer                 RFC 6960 2.2
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from hub.clock import format_instant
from hub.errors import TrustError
from hub.trust.answers import load_ocsp
from hub.trust.distinguishednames import comparable
from hub.trust.model import AnswerKind, Use
from hub.trust.statements import (
    CLOCK_SKEW,
    Statement,
    check_covers_expired,
    check_times,
    is_silence,
    with_more,
)

if TYPE_CHECKING:
    from datetime import datetime

    from hub.trust.answers import ReadOcsp, Single
    from hub.trust.model import ListedService, RevocationAnswer
    from hub.trust.statements import Question

_MOST_SIGNERS_TRIED = 8


def believe_ocsp(answer: RevocationAnswer, question: Question) -> Statement:
    """Check an OCSP response and return what it says.

    Raises:
        TrustError: `trust.revocation_unknown` with the step that fails.
    """
    response = load_ocsp(answer.der)
    single = response.newest_about(question.certificate, question.issuer)
    if single is None:
        raise question.refuse("ocsp_other_certificate")
    if response.weak_algorithm:
        raise question.refuse("answer_weak", kind="OCSP", why=response.weak_algorithm)
    unknown = response.unknown_critical or single.unknown_critical
    if unknown:
        raise question.refuse("ocsp_critical_extension", oid=unknown)
    _check_signer(response, question)
    check_times(question, AnswerKind.OCSP, single.this_update, single.next_update)
    _check_production(response, single, question)
    if single.status is ocsp.OCSPCertStatus.UNKNOWN:
        raise question.refuse("ocsp_says_unknown")
    if single.revocation is None:
        check_covers_expired(question, AnswerKind.OCSP, single.this_update, single.covers_from)
    return Statement((answer,), single.this_update, single.revocation)


def _check_production(response: ReadOcsp, single: Single, question: Question) -> None:
    """Refuse an answer that was signed in the future, or before what it says was known.

    Source: RFC 6960 section 2.4.
    """
    produced = format_instant(response.produced_at)
    if response.produced_at > question.judged_at + CLOCK_SKEW:
        raise question.refuse("answer_from_the_future", kind="OCSP", stated=produced)
    if single.this_update > response.produced_at + CLOCK_SKEW:
        raise question.refuse("answer_times_contradict", kind="OCSP", stated=produced)


def _check_signer(response: ReadOcsp, question: Question) -> None:
    """Find a signer who may speak for the issuer.

    Raises:
        TrustError: nobody at hand may; why the first one named may not.
    """
    if response.names(question.issuer) and response.is_signed_by(question.issuer):
        return None
    listed = question.trust_list.ocsp_responders
    if any(_is_listed(row, response, question) for row in listed):
        return None
    refusals = []
    named = [
        each
        for each in dict.fromkeys([*response.certificates, *question.supplied])
        if each != question.issuer and response.names(each)
    ]
    for signer in named[:_MOST_SIGNERS_TRIED]:
        row = next((row for row in listed if row.certificate == signer), None)
        try:
            if row is not None:
                raise question.refuse("ocsp_signer_not_approved", signer=_name(signer))
            return _check_delegate(response, signer, question)
        except TrustError as exc:
            refusals.append(exc)
    if refusals:
        raise refusals[0]
    if response.names(question.issuer):
        raise question.refuse("ocsp_signature_invalid", signer=_name(question.issuer))
    raise question.refuse("ocsp_signer_missing")


def _is_listed(row: ListedService, response: ReadOcsp, question: Question) -> bool:
    """Tell whether an approved responder signed.

    Both the use and the signing fall into its approval, and into its certificate's days; whoever takes the
    approval back has thereby revoked it.
    """
    signer = row.certificate
    instants = (question.at, response.produced_at)
    return (
        response.names(signer)
        and all(row.is_approved(instant) for instant in instants)
        and all(signer.not_valid_before_utc <= each <= signer.not_valid_after_utc for each in instants)
        and response.is_signed_by(signer)
    )


def _check_delegate(response: ReadOcsp, signer: x509.Certificate, question: Question) -> None:
    """Check a responder the issuer itself appointed by a certificate with OCSPSigning.

    Source: RFC 6960 section 4.2.2.2; whether it is revoked is section 4.2.2.2.1.
    """
    name = _name(signer)
    if not response.is_signed_by(signer):
        raise question.refuse("ocsp_signature_invalid", signer=name)
    if not _is_issued_by(signer, question.issuer):
        raise question.refuse("ocsp_signer_not_appointed", signer=name)
    if not _may_sign_ocsp(signer):
        raise question.refuse("ocsp_signer_without_usage", signer=name)
    if signer in question.trusted_signers:
        # It would vouch for itself.
        raise question.refuse("answer_signer_unknown", signer=name, kind="OCSP")
    at = question.signer_has_to_hold_at(response.produced_at)
    check_signer_path(signer, Use.OCSP, question, AnswerKind.OCSP, at)


def check_signer_path(
    signer: x509.Certificate, use: Use, question: Question, kind: AnswerKind, at: datetime
) -> None:
    """Ask the validator whether a signer's own certificate holds.

    Raises:
        TrustError: `trust.revocation_unknown` with the validator's reason added.
    """
    try:
        question.validate_signer(signer, use, at)
    except TrustError as exc:
        facts = {"signer": _name(signer), "kind": kind.upper()}
        if exc.code == "trust.revocation_unknown" and is_silence(exc):
            raise with_more(question.refuse("answer_signer_unknown", **facts), exc) from exc
        raise with_more(question.refuse("answer_signer_refused", code=exc.code, **facts), exc) from exc


@lru_cache(maxsize=1024)
def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if comparable(certificate.issuer) != comparable(issuer.subject):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _may_sign_ocsp(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError, x509.DuplicateExtension):
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usages


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()
