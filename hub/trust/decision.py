# SPDX-License-Identifier: Apache-2.0
"""Deciding one question about a certificate: paths are found, checks made, revocation judged.

`decide` stops at the first check that fails, `explain` makes them all; both read the lists of `processing`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from hub.errors import TrustError
from hub.trust.checks import Outcome, Place, first_failure, make
from hub.trust.contents import read
from hub.trust.explaining import PATH, REVOCATION, tell
from hub.trust.model import Use
from hub.trust.paths import find_paths
from hub.trust.processing import OWN_CHECKS, PATH_CHECKS, walk
from hub.trust.refusals import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from cryptography import x509

    from hub.errors import Finding
    from hub.trust.checks import Question
    from hub.trust.contents import Contents
    from hub.trust.explanation import Explanation
    from hub.trust.judgement import Judgement, RevocationJudge, SignerCheck
    from hub.trust.model import Authority, RevocationAnswer
    from hub.trust.uses import UsePolicy

_ORDER = {check.name: number for number, check in enumerate((*OWN_CHECKS, *PATH_CHECKS))}
_MOST_SIGNERS = 4
"""How many signers of revocation answers may stand behind one another."""


@dataclass(frozen=True)
class Decision:
    """A path that holds.

    Attributes:
        path: the certificate first, the root last.
        judgements: about every certificate below the root and about those who signed the answers.
    """

    path: tuple[Contents, ...]
    judgements: tuple[Judgement, ...]

    @property
    def answers(self) -> tuple[RevocationAnswer, ...]:
        """Every revocation answer that was relied on, once."""
        return tuple(dict.fromkeys(answer for each in self.judgements for answer in each.answers))

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What was let pass although it should not be so."""
        return tuple(warning for each in self.judgements for warning in each.warnings)


class Decider:
    """Decides questions about one certificate at one instant; what was judged once is not judged again.

    Args:
        judge: decides about revocation.
        policies: what each use asks, those of signers of revocation answers among them.
    """

    def __init__(self, judge: RevocationJudge, policies: Mapping[Use, UsePolicy]) -> None:
        self._judge = judge
        self._policies = policies
        self._judged: dict[tuple[x509.Certificate, x509.Certificate, datetime], Judgement] = {}
        self._pending: list[x509.Certificate] = []

    def decide(self, question: Question) -> Decision:
        """Find a path that holds.

        Raises:
            TrustError: why none does; of several paths, that of the one which came furthest.
        """
        leaf = read(question.chain[0], question.at)
        failure = first_failure(make(OWN_CHECKS, [Place((leaf,), 0, question)]))
        if failure is not None and failure.error is not None:
            raise failure.error
        refusals: list[tuple[int, TrustError]] = []
        for path in _paths(leaf, question):
            places = walk(path, question)
            failure = first_failure(_outcomes(places))
            if failure is not None and failure.error is not None:
                refusals.append((_ORDER[failure.check.name], failure.error))
                continue
            try:
                with self._judge.one_validation():
                    for place in filter(self._is_to_be_judged, places[1:]):
                        self._judge_revocation(place)
            except TrustError as exc:
                refusals.append((len(_ORDER), exc))
                continue
            return Decision(path, tuple(self._judged.values()))
        if not refusals:
            raise _no_path(question)
        raise max(refusals, key=lambda each: each[0])[1]

    def explain(self, question: Question) -> Explanation:
        """Make every check of the path that comes furthest, also after one has failed.

        Raises:
            TrustError: the certificate cannot be read at all.
        """
        leaf = read(question.chain[0], question.at)
        own = list(make(OWN_CHECKS, [Place((leaf,), 0, question)]))
        found: list[tuple[int, tuple[Place, ...], list[Outcome]]] = []
        for path in _paths(leaf, question):
            places = walk(path, question)
            outcomes = list(_outcomes(places))
            failure = first_failure(iter(outcomes))
            found.append((_ORDER[failure.check.name] if failure else len(_ORDER), places, outcomes))
        if not found:
            place = Place((leaf,), 0, question)
            return tell((place,), [*own, Outcome(PATH, place, _no_path(question))], {})
        _, places, outcomes = max(found, key=lambda each: each[0])
        outcomes = [*own, *outcomes]
        judgements = self._judged_or_not(places, outcomes)
        return tell(places, outcomes, judgements)

    def _judged_or_not(self, places: tuple[Place, ...], outcomes: list[Outcome]) -> dict[int, Judgement]:
        """Have a path judged whose checks all hold, and add how that ended; not asked is not passed."""
        judgements: dict[int, Judgement] = {}
        is_sound = all(each.error is None for each in outcomes)
        with self._judge.one_validation():
            for place in places[1:]:
                try:
                    if not is_sound:
                        raise place.refuse("not_checked")
                    judgements[place.index] = self._judge_revocation(place)
                except TrustError as exc:
                    is_sound = False
                    outcomes.append(Outcome(REVOCATION, place, exc))
                else:
                    outcomes.append(Outcome(REVOCATION, place, None))
        return judgements

    def _judge_revocation(self, place: Place) -> Judgement:
        """6.1.3 (a)(3): have one certificate judged, once."""
        question, certificate = place.question, place.contents.certificate
        key = (certificate, place.issuer.certificate, question.at)
        if key in self._judged:
            return self._judged[key]
        if certificate in self._pending or len(self._pending) > _MOST_SIGNERS:
            raise place.refuse("signers_in_a_circle")
        self._pending.append(certificate)
        try:
            judgement = self._judge.judge(
                certificate,
                place.issuer.certificate,
                row=_row_above(place),
                trust_list=question.listed.trust_list,
                at=question.at,
                judged_at=question.judged_at,
                stapled=question.stapled,
                validate_signer=self._signer_check(place),
                supplied=question.chain[1:],
            )
        finally:
            self._pending.remove(certificate)
        self._judged[key] = judgement
        return judgement

    def _signer_check(self, place: Place) -> SignerCheck:
        """Return what validates those who signed answers about a certificate, down from the same root."""
        question, root = place.question, place.path[-1].certificate

        def check(signer: x509.Certificate, use: Use, at: datetime) -> None:
            self.decide(
                replace(
                    question,
                    at=at,
                    chain=(signer, *question.chain),
                    use=use,
                    policy=self._policies[use],
                    root=root,
                )
            )

        return check

    def _is_to_be_judged(self, place: Place) -> bool:
        question = place.question
        if question.root is None or not place.is_leaf:
            return True
        if question.use is Use.OCSP:
            return not place.contents.needs_no_revocation
        # A list may tell of the very certificate it is signed with (RFC 5280 section 5.2.5, indirect lists).
        return place.contents.certificate not in self._pending


def _paths(leaf: Contents, question: Question) -> Iterator[tuple[Contents, ...]]:
    """Return the paths of a question; those of signers end with the root in question."""
    for path in find_paths(leaf, question.chain[1:], question.listed, longest=question.policy.longest_path):
        if question.root in {None, path[-1].certificate}:
            yield path


def _outcomes(places: tuple[Place, ...]) -> Iterator[Outcome]:
    """Make the checks of a path; the certificate in question was looked at by itself before."""
    return chain(make(OWN_CHECKS, places[:-1]), make(PATH_CHECKS, places))


def _row_above(place: Place) -> Authority | None:
    """Return the row that says which answers are needed: the issuer's, or one above that reaches below."""
    for contents in place.path[place.index + 1 :]:
        row = place.question.listed.row_of(contents.certificate)
        if row is not None and contents is place.issuer:
            return row
        if row is not None:
            # What an authority asks reaches below with its approval; what it is spared does not.
            return replace(row, unsafe_accepts_unknown_revocation=False) if row.reaches_below else None
    return None


def _no_path(question: Question) -> TrustError:
    """Say that no path was found, and if a certificate that came along cannot be read, that one first."""
    for certificate in question.chain[1:]:
        try:
            read(certificate, question.at)
        except TrustError as exc:
            return exc
    reason = "no_path" if question.root is None else "no_path_to_same_root"
    return refusal(reason, question.chain[0], question.at)
