# SPDX-License-Identifier: Apache-2.0
"""The one place where a certificate's path is validated.

    1  form, days, usage and strength of the certificate itself      processing.OWN_CHECKS
    2  paths to a root of the trust list, the likeliest first        paths
    3  form, days and strength of every authority in it              processing.OWN_CHECKS
    4  approval, signatures, names, constraints, policies, member    processing.PATH_CHECKS
    5  nobody in the path is revoked, root first; fails closed       judgement

The services named in a certificate are asked only after step 4, so no stranger's certificate makes us call.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from hub.alarms import LoggedAlarms
from hub.errors import TrustError
from hub.trust.checks import Question
from hub.trust.decision import Decider
from hub.trust.explaining import tell_refusal
from hub.trust.judgement import RevocationJudge
from hub.trust.model import ValidatedPath
from hub.trust.names import member_of_certificate
from hub.trust.online import LONGEST_AGE
from hub.trust.paths import Listed
from hub.trust.refusals import refusal
from hub.trust.rules import approvals
from hub.trust.statements import CLOCK_SKEW
from hub.trust.uses import USE_POLICIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from cryptography import x509

    from hub.alarms import AlarmSink
    from hub.trust.algorithms import SignatureAlgorithm
    from hub.trust.decision import Decision
    from hub.trust.explanation import Explanation
    from hub.trust.model import RevocationAnswer, TrustList, Use
    from hub.trust.ports import RevocationSource, TrustLists
    from hub.trust.uses import UsePolicy

_MOST_PATHS_KEPT = 4096
_MOST_LISTS_KEPT = 16
_LONGEST_CHAIN = 6
_LOCKS = 16


class Validator:
    """Validates certificates against a trust list, and remembers the result while it is fresh.

    A remembered result costs one look-up. It is given again for at most `longest_age` after its revocation
    answers were fetched, never past an answer's next update, a certificate's end or an approval's end, and
    never under another version of the trust list than it was found with. A refusal is not remembered. Safe to
    use from several threads.

    Args:
        trust_lists: who is approved, and when.
        revocation_source: where revocation answers come from.
        policies: what each use asks.
        alarms: who is told when an unknown state is let pass; the process's log when left out.
        longest_age: how long a result is given again; nothing is remembered when it is zero.
    """

    def __init__(
        self,
        trust_lists: TrustLists,
        revocation_source: RevocationSource,
        *,
        policies: Mapping[Use, UsePolicy] = USE_POLICIES,
        alarms: AlarmSink | None = None,
        longest_age: timedelta = LONGEST_AGE,
    ) -> None:
        self._trust_lists = trust_lists
        self._policies = policies
        self._judge = RevocationJudge(revocation_source, alarms or LoggedAlarms(), longest_age=longest_age)
        self._longest_age = longest_age
        self._kept: OrderedDict[tuple[Use, x509.Certificate], tuple[TrustList, ValidatedPath]] = OrderedDict()
        self._listed: OrderedDict[int, Listed] = OrderedDict()
        self._lock = threading.Lock()
        # One validation of the same certificate at a time: when a result grows old, one thread renews it.
        self._renewals = [threading.Lock() for _ in range(_LOCKS)]

    def algorithms(self, use: Use) -> frozenset[SignatureAlgorithm]:
        """Return the rows of the table of algorithms that the policy of a use allows."""
        return self._policies[use].algorithms

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
        _check_length(chain, at)
        if judged_at not in {None, at}:
            # Whoever asks later about then must hear what was published since, so nothing remembered serves.
            return self._decide(self._question(chain, use, at, stapled, judged_at))
        if stapled:
            # What came along may say what nobody knew when the result was remembered.
            return self._decide(self._question(chain, use, at, stapled, at))
        key = (use, chain[0])
        kept = self._remembered(key, at)
        if kept:
            return kept
        with self._renewals[hash(key) % _LOCKS]:
            kept = self._remembered(key, at)
            if kept:
                return kept
            question = self._question(chain, use, at, (), at)
            return self._remember(key, question.listed.trust_list, self._decide(question))

    def known(self, chain: Sequence[x509.Certificate], *, use: Use, at: datetime) -> ValidatedPath | None:
        """Return what is remembered of a certificate, or None; never waits for anything."""
        return self._remembered((use, chain[0]), at)

    def explain(
        self,
        chain: Sequence[x509.Certificate],
        *,
        use: Use,
        at: datetime,
        stapled: Sequence[RevocationAnswer] = (),
        judged_at: datetime | None = None,
    ) -> Explanation:
        """Tell every check of every certificate of the path, passed ones too; never raises a TrustError.

        Args:
            chain: as for `validate`.
            use: as for `validate`.
            at: as for `validate`.
            stapled: as for `validate`.
            judged_at: as for `validate`.
        """
        try:
            _check_length(chain, at)
            question = self._question(chain, use, at, stapled, judged_at)
            return Decider(self._judge, self._policies).explain(question)
        except TrustError as exc:
            return tell_refusal(chain, use, at, exc)

    def _question(
        self,
        chain: Sequence[x509.Certificate],
        use: Use,
        at: datetime,
        stapled: Sequence[RevocationAnswer],
        judged_at: datetime | None,
    ) -> Question:
        return Question(
            chain=tuple(chain),
            use=use,
            policy=self._policies[use],
            at=at,
            judged_at=judged_at or at,
            stapled=tuple(stapled),
            listed=self._listed_in(self._trust_lists.of(at)),
        )

    def _listed_in(self, trust_list: TrustList) -> Listed:
        """Return a version of the list as it is searched; the latest few are kept."""
        with self._lock:
            listed = self._listed.get(id(trust_list))
            if listed is None:
                # While it is kept, so is the list, and no other object gets its identity.
                listed = self._listed[id(trust_list)] = Listed(trust_list)
            self._listed.move_to_end(id(trust_list))
            while len(self._listed) > _MOST_LISTS_KEPT:
                self._listed.popitem(last=False)
        return listed

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
        if path.fresh_until <= path.checked_at:
            return path
        with self._lock:
            self._kept[key] = (trust_list, path)
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST_PATHS_KEPT:
                self._kept.popitem(last=False)
        return path

    def _decide(self, question: Question) -> ValidatedPath:
        return self._result(question, Decider(self._judge, self._policies).decide(question))

    def _result(self, question: Question, decision: Decision) -> ValidatedPath:
        at, path = question.at, tuple(contents.certificate for contents in decision.path)
        authority, root = approvals(decision.path, question)
        if authority is None or root is None:
            raise RuntimeError("a path that holds is approved")
        begins = [certificate.not_valid_before_utc for certificate in path]
        ends = [certificate.not_valid_after_utc for certificate in path]
        ends += [at + self._longest_age, *(judgement.holds_until for judgement in decision.judgements)]
        ends += [row.approved_until for row in (authority, root) if row.approved_until]
        return ValidatedPath(
            path=path,
            use=question.use,
            member_id=member_of_certificate(path[0]) if question.policy.binds_member else None,
            authority=authority,
            revocation=decision.answers,
            checked_at=at,
            fresh_from=max(at - CLOCK_SKEW, *begins, authority.approved_from, root.approved_from),
            fresh_until=min(ends),
            warnings=decision.warnings,
        )


def _check_length(chain: Sequence[x509.Certificate], at: datetime) -> None:
    if not 0 < len(chain) <= _LONGEST_CHAIN:
        raise refusal("chain_length", None, at, count=str(len(chain)), most=str(_LONGEST_CHAIN))
