# SPDX-License-Identifier: Apache-2.0
"""What is asked about a certificate's revocation, what a believed answer says, and which instants count.

Two instants matter: the one the certificate was used at, and the one the question is asked at. Answers
published in between may be used; a revocation dated in between does not undo what was done before it.

Source: RFC 6960 sections 2.4 and 3.2; RFC 5280 sections 5.1.2, 5.3 and 6.3.3; ETSI EN 319 102-1 clause 5.2.5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hub.clock import format_instant
from hub.errors import TrustError
from hub.trust.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from cryptography import x509

    from hub.trust.model import AnswerKind, RevocationAnswer, TrustList, Use

CLOCK_SKEW = timedelta(seconds=60)
"""How far an authority's clock may differ from ours: so much earlier an answer counts, and so much longer."""

WITHOUT_NEXT_UPDATE = timedelta(minutes=5)
"""How long an OCSP answer holds that does not say when the next one comes (RFC 6960 section 4.2.2.1)."""


NO_ANSWER = frozenset(
    {
        "revocation_no_source",
        "revocation_not_held",
        "revocation_unreachable",
        "revocation_too_slow",
        "revocation_skipped",
        "revocation_too_large",
        "ocsp_unreadable",
        "ocsp_not_successful",
        "crl_unreadable",
        "crl_missing",
        "crl_reasons_open",
        "answer_stale",
        "answer_too_old",
        "answer_signer_unknown",
    }
)
"""The refusals that mean that nobody said anything: the only ones a soft-fail excuses.

Whoever can bring these about can cut the connection as well; every other one means that something was said
and is wrong.
"""


@dataclass(frozen=True)
class Question:
    """Is this certificate revoked?

    Attributes:
        certificate: the one asked about.
        issuer: its issuer, whose own path holds.
        at: UTC; when the certificate was used.
        judged_at: UTC; when the question is asked, `at` or later.
        trust_list: the version in force.
        validate_signer: says whether a responder's or CRL issuer's certificate may be believed.
        supplied: certificates that came along and may be those of CRL issuers.
        longest_answer_age: how old an answer may be, whatever it says itself.
        trusted_signers: whose own path is being checked further out; they are not checked again inside.
    """

    certificate: x509.Certificate
    issuer: x509.Certificate
    at: datetime
    judged_at: datetime
    trust_list: TrustList
    validate_signer: Callable[[x509.Certificate, Use, datetime], None]
    supplied: Sequence[x509.Certificate] = ()
    longest_answer_age: timedelta | None = None
    trusted_signers: frozenset[x509.Certificate] = frozenset()

    def signer_has_to_hold_at(self, produced_at: datetime) -> datetime:
        """Return the instant a signer's certificate is checked for.

        An answer from before the instant in question has to be believable at that instant. A later one is the
        word of whoever signed then, whose certificate need not have existed before.
        """
        return min(max(self.at, produced_at), self.judged_at)

    def refuse(self, reason_id: str, **facts: str) -> TrustError:
        """Make the error that refuses this certificate."""
        return refusal(reason_id, self.certificate, self.at, **facts)


@dataclass(frozen=True)
class Revocation:
    """A certificate was revoked.

    Attributes:
        revoked_at: UTC; when the authority did so.
        reason: RFC 5280 section 5.3.1, in its own spelling; `unspecified` where none is stated.
        invalid_from: UTC; since when the key is not to be believed (RFC 5280 section 5.3.2), where stated.
    """

    revoked_at: datetime
    reason: str = "unspecified"
    invalid_from: datetime | None = None

    @property
    def is_hold(self) -> bool:
        """Whether it may be taken back (RFC 5280 section 5.3.1)."""
        return self.reason == "certificateHold"

    @property
    def since(self) -> datetime:
        """The instant from which the certificate is not believed."""
        return min(self.revoked_at, self.invalid_from or self.revoked_at)

    def counts(self, question: Question) -> bool:
        """Tell whether it speaks against the certificate at the instant in question.

        About the present, whatever an answer lists counts, so that an authority's fast clock hides nothing.
        """
        return question.at >= question.judged_at or self.since <= question.at


@dataclass(frozen=True)
class Statement:
    """What one believed answer, or a CRL with its delta, says about the certificate.

    Attributes:
        answers: as received; what an auditor verifies again.
        this_update: UTC; from when it is known to be right.
        revocation: None where the certificate is not revoked.
        reasons: the reasons for revocation it would tell of; empty where the kind knows no such division.
    """

    answers: tuple[RevocationAnswer, ...]
    this_update: datetime
    revocation: Revocation | None
    reasons: frozenset[str] = frozenset()


def decide(statements: Sequence[Statement], question: Question) -> None:
    """Refuse the certificate when any statement revokes it.

    A hold is over when a newer statement from before the instant no longer knows of it; every other
    revocation stands, whatever else is said.

    Raises:
        TrustError: `trust.certificate_revoked`.
    """
    for statement in sorted(statements, key=lambda each: each.this_update, reverse=True):
        revocation = statement.revocation
        if revocation is None or not revocation.counts(question):
            continue
        if revocation.is_hold and any(
            statement.this_update < other.this_update <= question.at + CLOCK_SKEW
            and other.revocation is None
            and statement.reasons <= other.reasons
            for other in statements
        ):
            continue
        raise question.refuse(
            "revoked",
            since=format_instant(revocation.since),
            why=revocation.reason,
            kind=statement.answers[0].kind.upper(),
            stated=format_instant(statement.this_update),
        )


def check_times(
    question: Question, kind: AnswerKind, this_update: datetime, next_update: datetime | None
) -> None:
    """Refuse an answer that does not reach the instant in question, or comes from the future.

    Raises:
        TrustError: `trust.revocation_unknown`.

    Source: RFC 6960 sections 3.2 (5) and (6), 4.2.2.1; RFC 5280 section 6.3.3 (a).
    """
    facts = {"kind": kind.upper(), "stated": format_instant(this_update)}
    if this_update > question.judged_at + CLOCK_SKEW:
        raise question.refuse("answer_from_the_future", **facts)
    if next_update is not None and next_update < this_update:
        raise question.refuse("answer_times_contradict", **facts)
    until = next_update or this_update + WITHOUT_NEXT_UPDATE
    if question.at >= until + CLOCK_SKEW:
        raise question.refuse("answer_stale", until=format_instant(until), **facts)
    longest = question.longest_answer_age
    if longest is not None and question.at >= this_update + longest + CLOCK_SKEW:
        raise question.refuse("answer_too_old", most=f"{longest.total_seconds():.0f}", **facts)


def check_covers_expired(
    question: Question, kind: AnswerKind, this_update: datetime, covers_from: datetime | None
) -> None:
    """Refuse to take silence about a certificate that had ended before as a good word.

    Authorities drop certificates that have ended from their lists.

    Args:
        question: what is asked.
        kind: of the answer.
        this_update: UTC; from when the answer is known to be right.
        covers_from: UTC; certificates that ended at or after this instant are still covered, where stated.

    Source: RFC 6960 section 4.4.4 (archive cutoff); ITU-T X.509 clause 9.5.2.10 (expiredCertsOnCRL).
    """
    end = question.certificate.not_valid_after_utc
    if end < this_update and (covers_from is None or end < covers_from):
        raise question.refuse("answer_after_expiry", kind=kind.upper(), stated=format_instant(this_update))


def is_silence(error: TrustError) -> bool:
    """Tell whether a refusal means that nobody said anything."""
    return error.finding is None or error.finding.reason_id in NO_ANSWER


def with_more(error: TrustError, *others: TrustError) -> TrustError:
    """Add what else was found to an error's words, in each language."""
    finding = error.finding
    if finding is None or not others:
        return error
    findings = [other.finding for other in others if other.finding is not None]
    reason = {
        language: " ".join([words, *(other.reason[language] for other in findings)])
        for language, words in finding.reason.items()
    }
    details = "; ".join([error.detail, *(other.detail for other in others)])
    return TrustError(error.code, details, replace(finding, reason=reason))
