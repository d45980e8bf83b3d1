# SPDX-License-Identifier: Apache-2.0
"""What is asked of a certificate by itself (form, days, usage, strength), and of its authority: the approval.

Pure; what is asked along the path is in `processing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from hub.clock import format_instant
from hub.trust.algorithms import key_problem, signature_problem
from hub.trust.names import member_of_certificate
from hub.trust.refusals import refusal
from hub.trust.uses import ExtendedUsageRule

if TYPE_CHECKING:
    from hub.trust.checks import Place, Question
    from hub.trust.contents import Contents
    from hub.trust.model import Authority
    from hub.trust.uses import UsePolicy


def check_form(place: Place) -> None:
    """Refuse a certificate whose signature is not whole octets.

    The count of unused bits is outside what the authority signed, and parsers let it pass when the dropped
    bits happen to be zero; then one certificate would have several forms and several digests.

    Source: RFC 5280 section 4.1.1.3; X.690 clause 8.6.2; every signature allowed here is an octet string.
    """
    certificate = place.contents.certificate
    if certificate.public_bytes(Encoding.DER)[-len(certificate.signature) - 1] != 0:
        raise place.refuse("unused_bits")


def check_days(place: Place) -> None:
    """Refuse a certificate outside its validity.

    Source: RFC 5280 section 4.1.2.5: both ends belong to the validity.
    """
    certificate, at = place.contents.certificate, place.question.at
    if at < certificate.not_valid_before_utc:
        raise place.refuse("not_yet_valid", begin=format_instant(certificate.not_valid_before_utc))
    if at > certificate.not_valid_after_utc:
        raise place.refuse("expired", end=format_instant(certificate.not_valid_after_utc))


def check_usage(place: Place) -> None:
    """Refuse a certificate that was not issued for the use.

    Source: RFC 5280 sections 4.2.1.3, 4.2.1.9 and 4.2.1.12; RFC 3161 section 2.3; RFC 6960 section 4.2.2.2.
    """
    contents, use, policy = place.contents, place.question.use, place.question.policy
    if contents.is_authority and not policy.may_be_authority:
        raise place.refuse("usage_of_authority", use=use)
    if contents.key_usage is None:
        raise place.refuse("usage_not_stated", use=use)
    if not any(usage.is_in(contents.key_usage) for usage in policy.key_usages):
        raise place.refuse("usage_missing", use=use, usages=", ".join(sorted(policy.key_usages)))
    if policy.extended_usages and not _has_purpose(contents, policy):
        raise place.refuse(_PURPOSE_REFUSALS[policy.extended_usage_rule], use=use)


def check_strength(place: Place) -> None:
    """Refuse a key and a signature that the table of `algorithms` does not allow for the use.

    Source: ETSI TS 119 312.
    """
    certificate, allowed = place.contents.certificate, place.question.policy.algorithms
    problem = key_problem(certificate, allowed) or signature_problem(certificate, allowed=allowed)
    if problem:
        raise place.refuse("algorithm_not_allowed", problem=problem)


def check_approval(place: Place) -> None:
    """Refuse a certificate whose authority or root is not approved at that instant, for that use.

    Source: the trust list; ETSI TS 119 612 clause 5.5.
    """
    question = place.question
    authority, root = approvals(place.path, question)
    if authority is None or root is None:
        raise place.refuse("issuer_not_listed")
    for row in (root, authority):
        if not row.is_approved(question.at):
            raise refusal("approval_over", row.certificate, question.at)
    if question.root is None and question.use not in authority.uses:
        raise place.refuse("use_not_approved", use=question.use)


def approvals(path: tuple[Contents, ...], question: Question) -> tuple[Authority | None, Authority | None]:
    """Return the rows that approve the certificate's issuer, and the root of its path.

    The issuer's own row decides; where it has none, that of the nearest listed authority above it if that
    row reaches below.
    """
    root = question.listed.row_of(path[-1].certificate)
    for distance, contents in enumerate(path[1:]):
        row = question.listed.row_of(contents.certificate)
        if row is not None:
            return (row if distance == 0 or row.reaches_below else None), root
    # A root that signs its own revocation lists has nobody above it; nothing else is believed of itself.
    return (root if question.root is not None else None), root


def check_member(place: Place) -> None:
    """Refuse a certificate that speaks for no member, where the use binds one.

    Source: ETSI EN 319 412-1 clause 5.1.4.
    """
    if place.question.policy.binds_member:
        member_of_certificate(place.contents.certificate)


def _has_purpose(contents: Contents, policy: UsePolicy) -> bool:
    stated = contents.extended_usages
    match policy.extended_usage_rule:
        case ExtendedUsageRule.ONE_IF_STATED:
            return stated is None or bool(stated & policy.extended_usages)
        case ExtendedUsageRule.ONE:
            return stated is not None and bool(stated & policy.extended_usages)
        case ExtendedUsageRule.ALONE_AND_CRITICAL:
            return contents.is_extended_usage_critical and stated == policy.extended_usages


_PURPOSE_REFUSALS = {
    ExtendedUsageRule.ONE_IF_STATED: "purposes_others",
    ExtendedUsageRule.ONE: "purpose_missing",
    ExtendedUsageRule.ALONE_AND_CRITICAL: "purpose_not_alone",
}
