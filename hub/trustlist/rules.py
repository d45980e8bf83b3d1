# SPDX-License-Identifier: Apache-2.0
"""Which version of the trust list may follow which, who may sign it, and how long it is relied on. Pure.

    1  the signer is named by the version before it; for the first, pinned
    2  the number is one higher, the digest is that of the version before it, it was issued later
    3  it is not from the future
    4  no certificate in it is weak

How long a version is relied on says `GRACE`.

Source: docs/protocols/trust-list.md sections 5 to 7.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hub.clock import format_instant
from hub.trust import key_problem, refusal, signature_problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from hub.trustlist.container import SignedTrustList

GRACE = timedelta(days=14)
"""How long a version is relied on after its next update was due; docs/adr/0011-trust-list.md says why."""

_CLOCK_SKEW = timedelta(minutes=5)


def check_first(version: SignedTrustList, pinned: Sequence[x509.Certificate]) -> None:
    """Refuse a version with which a history cannot begin.

    Args:
        version: the first one that is held.
        pinned: certificates that were handed over by another way than the list itself.

    Raises:
        TrustError: `trust.trust_list_untrusted`.
    """
    _check_signer(version, pinned)


def check_next(previous: SignedTrustList, version: SignedTrustList) -> None:
    """Refuse a version that does not follow another.

    Raises:
        TrustError: `trust.trust_list_not_next` (a gap, or issued too early), `trust.trust_list_forked` (it
            follows another version of the same number) or `trust.trust_list_untrusted` (its signer).
    """
    sequence, held = str(version.sequence), str(previous.sequence)
    if version.sequence != previous.sequence + 1:
        raise refusal("list_sequence_gap", sequence=sequence, held=held)
    if version.document.previous_sha256 != previous.sha256:
        raise refusal("list_follows_another", sequence=sequence, held=held)
    _check_signer(version, previous.document.signers)
    if version.document.issued_at <= previous.document.issued_at:
        raise refusal("list_issued_too_early", sequence=sequence, held=held)


def check_age(version: SignedTrustList, now: datetime) -> None:
    """Refuse a version that claims to have been issued later than now.

    Raises:
        TrustError: `trust.trust_list_not_next`.
    """
    issued_at = version.document.issued_at
    if issued_at > now + _CLOCK_SKEW:
        raise refusal(
            "list_from_the_future", at=now, sequence=str(version.sequence), issued=format_instant(issued_at)
        )


def check_certificates(version: SignedTrustList) -> None:
    """Refuse to put weak keys and digests into force.

    Asked of a version that is to come into force, never of one that was: what was strong then is history.

    Raises:
        TrustError: `trust.algorithm_not_allowed`, with the certificate.

    Source: ETSI TS 119 312.
    """
    document = version.document
    services = (*document.time_stamping_authorities, *document.ocsp_responders)
    for row in (*document.authorities, *services):
        problem = key_problem(row.certificate) or signature_problem(row.certificate)
        if problem:
            raise refusal("algorithm_not_allowed", row.certificate, document.issued_at, problem=problem)


def _check_signer(version: SignedTrustList, allowed: Sequence[x509.Certificate]) -> None:
    # The days of the signer's certificate do not count: it is believed because it is named, as a root is
    # (RFC 5280 section 6.1.1 (d)), and a list whose signers expired could never be continued.
    if version.signer not in allowed:
        raise refusal(
            "list_signed_by_stranger",
            version.signer,
            version.document.issued_at,
            sequence=str(version.sequence),
        )
