# SPDX-License-Identifier: Apache-2.0
"""The one place where a certificate's path is validated.

    1  form, days, usage and strength of the certificate itself      rules
    2  a path to a root of the trust list                            pyhanko-certvalidator
    3  form, days and strength of every authority in it              rules
    4  the issuer is approved, for this use, at this instant         the trust list
    5  signatures, names, constraints and policies along the path    RFC 5280 section 6.1
    6  nobody in the path is revoked, root first; fails closed       RFC 6960, RFC 5280 section 6.3

The services named in a certificate are asked only after step 5, so no stranger's certificate makes us call.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from hub.errors import TrustError
from hub.trust import rules
from hub.trust.answers import CLOCK_SKEW
from hub.trust.model import RevocationPolicy, Use, ValidatedPath
from hub.trust.names import describe, member_of_certificate
from hub.trust.pathfinder import CandidatePath, PathFinder, RevocationMissingError
from hub.trust.revocation import LONGEST_AGE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from hub.trust.model import Authority, RevocationAnswer, TrustList
    from hub.trust.ports import RevocationSource

_MOST_PATHS_KEPT = 4096
_LONGEST_CHAIN = 6
_LOCKS = 16
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the two libraries raise on parts of a certificate that they read late."""

_USES_OF_MEMBERS = frozenset({Use.ENVELOPE, Use.SEAL})


class Validator:
    """Validates certificates against a trust list, and remembers the result while it is fresh.

    A remembered result costs one look-up. It is given again for at most `longest_age` after its revocation
    answers were fetched, and never past an answer's next update, a certificate's end or an approval's end. A
    refusal is not remembered. Safe to use from several threads.

    Args:
        trust_list: who is approved.
        revocation_source: where revocation answers come from.
        longest_age: how long a result is given again.
    """

    def __init__(
        self,
        trust_list: TrustList,
        revocation_source: RevocationSource,
        *,
        longest_age: timedelta = LONGEST_AGE,
    ) -> None:
        self._trust_list = trust_list
        self._source = revocation_source
        self._longest_age = longest_age
        self._finder = PathFinder(trust_list)
        self._kept: OrderedDict[tuple[Use, x509.Certificate], ValidatedPath] = OrderedDict()
        self._lock = threading.Lock()
        # One validation of the same certificate at a time: when a result grows old, one thread renews it.
        self._renewals = [threading.Lock() for _ in range(_LOCKS)]

    def validate(self, chain: Sequence[x509.Certificate], *, use: Use, at: datetime) -> ValidatedPath:
        """Validate a certificate for a use at an instant.

        Args:
            chain: the certificate first; then, in any order, what may help to find its issuers. Only the
                trust list makes any of them believed.
            use: what the certificate was used for.
            at: UTC; the instant it was used.

        Raises:
            TrustError: which check failed, on which certificate: `trust.certificate_unreadable`,
                `trust.certificate_expired`, `trust.certificate_not_yet_valid`, `trust.usage_not_allowed`,
                `trust.algorithm_not_allowed`, `trust.unknown_authority`, `trust.path_invalid`,
                `trust.certificate_revoked`, `trust.revocation_unknown`, or for an envelope or seal
                `trust.wrong_member` when the certificate names no member at all.
        """
        if not 0 < len(chain) <= _LONGEST_CHAIN:
            detail = f"{len(chain)} certificates were given, 1 to {_LONGEST_CHAIN} are possible"
            raise TrustError("trust.certificate_unreadable", detail)
        key = (use, chain[0])
        kept = self._remembered(key, at)
        if kept:
            return kept
        with self._renewals[hash(key) % _LOCKS]:
            kept = self._remembered(key, at)
            if kept:
                return kept
            try:
                path = self._validate(chain, use, at)
            except _UNREADABLE as exc:
                digest = chain[0].fingerprint(hashes.SHA256()).hex()
                detail = f"the certificate with SHA-256 {digest}, or one of its chain, cannot be read"
                raise TrustError("trust.certificate_unreadable", detail) from exc
            return self._remember(key, path)

    def known(self, chain: Sequence[x509.Certificate], *, use: Use, at: datetime) -> ValidatedPath | None:
        """Return what is remembered of a certificate, or None; never waits for anything."""
        return self._remembered((use, chain[0]), at)

    def _remembered(self, key: tuple[Use, x509.Certificate], at: datetime) -> ValidatedPath | None:
        with self._lock:
            kept = self._kept.get(key)
        return kept if kept and kept.fresh_from <= at < kept.fresh_until else None

    def _remember(self, key: tuple[Use, x509.Certificate], path: ValidatedPath) -> ValidatedPath:
        with self._lock:
            self._kept[key] = path
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST_PATHS_KEPT:
                self._kept.popitem(last=False)
        return path

    def _validate(self, chain: Sequence[x509.Certificate], use: Use, at: datetime) -> ValidatedPath:
        leaf = chain[0]
        rules.check_form(leaf)
        rules.check_days(leaf, at)
        rules.check_usage(leaf, use)
        rules.check_strength(leaf, is_signer=True)
        refusals = []
        for candidate in self._finder.find(leaf, chain[1:]):
            try:
                return self._check(candidate, use, at)
            except TrustError as exc:
                refusals.append(exc)
        raise refusals[0]

    def _check(self, candidate: CandidatePath, use: Use, at: datetime) -> ValidatedPath:
        path = candidate.certificates
        for certificate in path[1:]:
            rules.check_form(certificate)
            rules.check_days(certificate, at)
            rules.check_strength(certificate, is_signer=False)
        rows = self._approvals(path, use, at)
        candidate.check_signatures(at)
        answers: list[RevocationAnswer] = []
        for position in range(len(path) - 2, -1, -1):
            answers += self._check_revocation(candidate, position, at)
        return self._result(path, use, rows, tuple(answers), at)

    def _approvals(
        self, path: tuple[x509.Certificate, ...], use: Use, at: datetime
    ) -> tuple[Authority, Authority]:
        """Find the rows of the certificate's issuer and of the root, and ask whether both hold."""
        anchor = self._trust_list.find(path[-1])
        authority = self._trust_list.find(path[1]) if len(path) > 1 else None
        if authority is None or anchor is None:
            raise TrustError("trust.unknown_authority", f"the issuer of {describe(path[0])} is not listed")
        for row in (anchor, authority):
            if not row.is_approved(at):
                detail = f"the approval of {describe(row.certificate)} does not hold at {at.isoformat()}"
                raise TrustError("trust.unknown_authority", detail)
        if use not in authority.uses:
            detail = f"for {use}, the issuer of {describe(path[0])} is not approved"
            raise TrustError("trust.usage_not_allowed", detail)
        return authority, anchor

    def _check_revocation(
        self, candidate: CandidatePath, position: int, at: datetime
    ) -> list[RevocationAnswer]:
        """Ask OCSP first, the CRL where that does not suffice; no good answer means no."""
        certificate, issuer = candidate.certificates[position : position + 2]
        row = self._trust_list.find(issuer)
        policy = row.revocation if row else RevocationPolicy.EITHER
        answers: list[RevocationAnswer] = []
        failures: list[str] = []
        sources = {
            RevocationPolicy.OCSP: [self._source.ocsp_answers],
            RevocationPolicy.CRL: [self._source.crl_answers],
        }.get(policy, [self._source.ocsp_answers, self._source.crl_answers])
        for ask in sources:
            if policy is not RevocationPolicy.BOTH:
                answers = []  # What did not suffice is no part of what is relied on.
            try:
                answers += ask(certificate, issuer, at)
            except TrustError as exc:
                failures.append(exc.detail)
            try:
                candidate.check_revocation(position, answers, policy, at)
            except RevocationMissingError as exc:
                failures.append(str(exc))
            else:
                return answers
        detail = f"for {describe(certificate)} at {at.isoformat()}: {'; '.join(failures)}"
        raise TrustError("trust.revocation_unknown", detail)

    def _result(
        self,
        path: tuple[x509.Certificate, ...],
        use: Use,
        rows: tuple[Authority, Authority],
        answers: tuple[RevocationAnswer, ...],
        at: datetime,
    ) -> ValidatedPath:
        obtained = [answer.obtained_at for answer in answers if answer.obtained_at]
        begins = [certificate.not_valid_before_utc for certificate in path]
        ends = [certificate.not_valid_after_utc for certificate in path]
        ends += [answer.usable_until for answer in answers]
        ends += [instant + self._longest_age for instant in [at, *obtained]]
        ends += [row.approved_until for row in rows if row.approved_until]
        return ValidatedPath(
            path=path,
            use=use,
            member_id=member_of_certificate(path[0]) if use in _USES_OF_MEMBERS else None,
            authority=rows[0],
            revocation=answers,
            checked_at=at,
            fresh_from=max(at - CLOCK_SKEW, *begins, *(row.approved_from for row in rows)),
            fresh_until=min(ends),
        )
