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
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from hub.alarms import LoggedAlarms
from hub.errors import TrustError
from hub.trust import rules
from hub.trust.judgement import RevocationJudge
from hub.trust.model import Use, ValidatedPath
from hub.trust.names import describe, member_of_certificate
from hub.trust.online import LONGEST_AGE
from hub.trust.pathfinder import CandidatePath, PathFinder
from hub.trust.statements import CLOCK_SKEW

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from hub.alarms import AlarmSink
    from hub.trust.judgement import Judgement, SignerCheck
    from hub.trust.model import Authority, RevocationAnswer, TrustList
    from hub.trust.ports import RevocationSource, TrustLists

_MOST_PATHS_KEPT = 4096
_LONGEST_CHAIN = 6
_LOCKS = 16
_MOST_SIGNERS = 3
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


@dataclass(frozen=True)
class _Question:
    """What was asked of the validator, and the list that answers it."""

    chain: tuple[x509.Certificate, ...]
    use: Use
    at: datetime
    judged_at: datetime
    stapled: tuple[RevocationAnswer, ...]
    trust_list: TrustList


class Validator:
    """Validates certificates against a trust list, and remembers the result while it is fresh.

    A remembered result costs one look-up. It is given again for at most `longest_age` after its revocation
    answers were fetched, never past an answer's next update, a certificate's end or an approval's end, and
    never under another version of the trust list than it was found with. A refusal is not remembered. Safe to
    use from several threads.

    Args:
        trust_lists: who is approved, and when.
        revocation_source: where revocation answers come from.
        alarms: who is told when an unknown state is let pass; the process's log when left out.
        longest_age: how long a result is given again.
    """

    def __init__(
        self,
        trust_lists: TrustLists,
        revocation_source: RevocationSource,
        *,
        alarms: AlarmSink | None = None,
        longest_age: timedelta = LONGEST_AGE,
    ) -> None:
        self._trust_lists = trust_lists
        self._judge = RevocationJudge(revocation_source, alarms or LoggedAlarms(), longest_age=longest_age)
        self._kept: OrderedDict[tuple[Use, x509.Certificate], tuple[TrustList, ValidatedPath]] = OrderedDict()
        self._lock = threading.Lock()
        # One validation of the same certificate at a time: when a result grows old, one thread renews it.
        self._renewals = [threading.Lock() for _ in range(_LOCKS)]

    def validate(
        self,
        chain: Sequence[x509.Certificate],
        *,
        use: Use,
        at: datetime,
        stapled: Sequence[RevocationAnswer] = (),
        judged_at: datetime | None = None,
    ) -> ValidatedPath:
        """Validate a certificate for a use at an instant.

        Args:
            chain: the certificate first; then, in any order, what may help to find its issuers. Only the
                trust list makes any of them believed.
            use: what the certificate was used for.
            at: UTC; the instant it was used.
            stapled: revocation answers that came along.
            judged_at: UTC; when the question is asked. Answers published after `at` and up to this instant
                may be used; None means `at`.

        Raises:
            TrustError: which check failed, on which certificate: `trust.certificate_unreadable`,
                `trust.certificate_expired`, `trust.certificate_not_yet_valid`, `trust.usage_not_allowed`,
                `trust.algorithm_not_allowed`, `trust.unknown_authority`, `trust.path_invalid`,
                `trust.certificate_revoked`, `trust.revocation_unknown`, or for an envelope or seal
                `trust.wrong_member` when the certificate names no member at all; and what refuses the list
                itself, such as `trust.trust_list_outdated`.
        """
        if not 0 < len(chain) <= _LONGEST_CHAIN:
            detail = f"{len(chain)} certificates were given, 1 to {_LONGEST_CHAIN} are possible"
            raise TrustError("trust.certificate_unreadable", detail)
        question = _Question(tuple(chain), use, at, judged_at or at, tuple(stapled), self._trust_lists.of(at))
        if question.judged_at != at:
            # Whoever asks later about then must hear what was published since, so nothing remembered serves.
            return self._answer(question)
        key = (use, chain[0])
        kept = self._remembered(key, at)
        if kept:
            return kept
        with self._renewals[hash(key) % _LOCKS]:
            kept = self._remembered(key, at)
            return kept or self._remember(key, question.trust_list, self._answer(question))

    def known(self, chain: Sequence[x509.Certificate], *, use: Use, at: datetime) -> ValidatedPath | None:
        """Return what is remembered of a certificate, or None; never waits for anything."""
        return self._remembered((use, chain[0]), at)

    def _remembered(self, key: tuple[Use, x509.Certificate], at: datetime) -> ValidatedPath | None:
        with self._lock:
            kept = self._kept.get(key)
        if kept is None or not kept[1].fresh_from <= at < kept[1].fresh_until:
            return None
        # What one version of the list approved, another may not.
        return kept[1] if kept[0] is self._trust_lists.of(at) else None

    def _remember(
        self, key: tuple[Use, x509.Certificate], trust_list: TrustList, path: ValidatedPath
    ) -> ValidatedPath:
        with self._lock:
            self._kept[key] = (trust_list, path)
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST_PATHS_KEPT:
                self._kept.popitem(last=False)
        return path

    def _answer(self, question: _Question) -> ValidatedPath:
        try:
            return self._validate(question)
        except _UNREADABLE as exc:
            digest = question.chain[0].fingerprint(hashes.SHA256()).hex()
            detail = f"the certificate with SHA-256 {digest}, or one of its chain, cannot be read"
            raise TrustError("trust.certificate_unreadable", detail) from exc

    def _validate(self, question: _Question) -> ValidatedPath:
        leaf = question.chain[0]
        rules.check_form(leaf)
        rules.check_days(leaf, question.at)
        rules.check_usage(leaf, question.use)
        rules.check_strength(leaf)
        refusals = []
        for candidate in PathFinder(question.trust_list).find(leaf, question.chain[1:]):
            try:
                return self._check(candidate, question)
            except TrustError as exc:
                refusals.append(exc)
        raise refusals[0]

    def _check(self, candidate: CandidatePath, question: _Question) -> ValidatedPath:
        path = candidate.certificates
        for certificate in path[1:]:
            rules.check_form(certificate)
            rules.check_days(certificate, question.at)
            rules.check_strength(certificate)
        rows = _approvals(path, question)
        candidate.check_signatures(question.at)
        judgements = [
            self._judge_revocation(path, position, question) for position in range(len(path) - 2, -1, -1)
        ]
        return self._result(path, question, rows, judgements)

    def _judge_revocation(
        self, path: tuple[x509.Certificate, ...], position: int, question: _Question
    ) -> Judgement:
        certificate, issuer = path[position : position + 2]
        return self._judge.judge(
            certificate,
            issuer,
            row=question.trust_list.find(issuer),
            trust_list=question.trust_list,
            at=question.at,
            judged_at=question.judged_at,
            stapled=question.stapled,
            validate_signer=self._signer_check(path[-1], question),
            supplied=question.chain[1:],
        )

    def _signer_check(self, root: x509.Certificate, question: _Question, depth: int = 0) -> SignerCheck:
        """Return what validates who signed an answer; responders of responders end at a depth."""

        def check(signer: x509.Certificate, use: Use) -> None:
            if depth >= _MOST_SIGNERS:
                raise TrustError("trust.path_invalid", f"too many signers vouch for {describe(signer)}")
            rules.check_form(signer)
            rules.check_days(signer, question.at)
            rules.check_usage(signer, use)
            rules.check_strength(signer)
            refusals = []
            for candidate in PathFinder(question.trust_list).find(signer, question.chain):
                if candidate.certificates[-1] != root:
                    continue
                try:
                    return self._check_signer(candidate, question, depth)
                except TrustError as exc:
                    refusals.append(exc)
            if refusals:
                raise refusals[0]
            raise TrustError("trust.unknown_authority", f"no path from {describe(signer)} to the same root")

        return check

    def _check_signer(self, candidate: CandidatePath, question: _Question, depth: int) -> None:
        path = candidate.certificates
        candidate.check_signatures(question.at)
        start = 1 if rules.needs_no_revocation(path[0]) else 0
        for position in range(len(path) - 2, start - 1, -1):
            issuer = path[position + 1]
            self._judge.judge(
                path[position],
                issuer,
                row=question.trust_list.find(issuer),
                trust_list=question.trust_list,
                at=question.at,
                judged_at=question.judged_at,
                stapled=question.stapled,
                validate_signer=self._signer_check(path[-1], question, depth + 1),
                supplied=question.chain[1:],
            )

    def _result(
        self,
        path: tuple[x509.Certificate, ...],
        question: _Question,
        rows: tuple[Authority, Authority],
        judgements: list[Judgement],
    ) -> ValidatedPath:
        at = question.at
        answers = tuple(answer for judgement in judgements for answer in judgement.answers)
        begins = [certificate.not_valid_before_utc for certificate in path]
        ends = [certificate.not_valid_after_utc for certificate in path]
        ends += [judgement.holds_until for judgement in judgements]
        ends += [row.approved_until for row in rows if row.approved_until]
        return ValidatedPath(
            path=path,
            use=question.use,
            member_id=member_of_certificate(path[0]) if question.use in _USES_OF_MEMBERS else None,
            authority=rows[0],
            revocation=answers,
            checked_at=at,
            fresh_from=max(at - CLOCK_SKEW, *begins, *(row.approved_from for row in rows)),
            fresh_until=min(ends),
            warnings=tuple(warning for judgement in judgements for warning in judgement.warnings),
        )


def _approvals(path: tuple[x509.Certificate, ...], question: _Question) -> tuple[Authority, Authority]:
    """Find the rows of the certificate's issuer and of the root, and ask whether both hold."""
    at = question.at
    anchor = question.trust_list.find(path[-1])
    authority = question.trust_list.find(path[1]) if len(path) > 1 else None
    if authority is None or anchor is None:
        raise TrustError("trust.unknown_authority", f"the issuer of {describe(path[0])} is not listed")
    for row in (anchor, authority):
        if not row.is_approved(at):
            detail = f"the approval of {describe(row.certificate)} does not hold at {at.isoformat()}"
            raise TrustError("trust.unknown_authority", detail)
    if question.use not in authority.uses:
        detail = f"for {question.use}, the issuer of {describe(path[0])} is not approved"
        raise TrustError("trust.usage_not_allowed", detail)
    return authority, anchor
