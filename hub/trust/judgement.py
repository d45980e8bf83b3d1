# SPDX-License-Identifier: Apache-2.0
"""Whether a certificate of a path is revoked: which answers are asked for, and what follows from them.

    1  what came along and what is remembered is heard first; where that suffices, nobody is asked
    2  the OCSP responders are asked, one after another, then the CRLs, as the authority's row demands
    3  any answer that may be believed and says revoked ends it
    4  without the answers the row demands the certificate is refused, except where the row names the
       exception `unsafe_accepts_unknown_revocation` and nobody answered; wrong answers are refused even there

Source: RFC 6960 (OCSP), RFC 5280 section 6.3 (CRLs); ADR 0016.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cryptography import x509

from hub.errors import TrustError
from hub.trust.answers import load_ocsp
from hub.trust.crls import believe_crls
from hub.trust.description import describe
from hub.trust.lists import load_crl
from hub.trust.model import AnswerKind, RevocationPolicy, Use
from hub.trust.ocsp import believe_ocsp
from hub.trust.online import LONGEST_AGE
from hub.trust.reading import MALFORMED
from hub.trust.revocation import crl_issuers
from hub.trust.statements import CLOCK_SKEW, Question, Statement, decide, is_silence, with_more

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from hub.alarms import AlarmSink
    from hub.errors import Finding
    from hub.trust.model import Authority, RevocationAnswer, TrustList
    from hub.trust.ports import RevocationSource

SignerCheck = Callable[[x509.Certificate, Use, "datetime"], None]
"""Given by the validator: validates the certificate of a delegated OCSP responder or of a CRL issuer.

It does so down from the root of the path in question (signatures, days, usage, its own revocation unless it
says ocsp-nocheck), for the instant given, and raises a TrustError.
"""

SOFT_FAIL_AGE = timedelta(seconds=60)
"""How long a result holds that was let pass without an answer, or with one that could not be renewed."""

_MOST_SERVICES_TRIED = 4
_MOST_REASONS_TOLD = 4
_KINDS = {
    RevocationPolicy.EITHER: (AnswerKind.OCSP, AnswerKind.CRL),
    RevocationPolicy.OCSP: (AnswerKind.OCSP,),
    RevocationPolicy.CRL: (AnswerKind.CRL,),
    RevocationPolicy.BOTH: (AnswerKind.OCSP, AnswerKind.CRL),
}


@runtime_checkable
class RevocationServices(Protocol):
    """A source that asks others, and remembers what they gave."""

    def one_judgement(self) -> AbstractContextManager[None]:
        """Let everything that is asked inside share one time."""
        ...

    def kept_answers(
        self, certificate: x509.Certificate, issuer: x509.Certificate
    ) -> tuple[RevocationAnswer, ...]:
        """Return what is remembered about a certificate; asks nobody."""
        ...

    def disbelieve(self, answers: Iterable[RevocationAnswer]) -> None:
        """Forget answers that do not hold, and ask those who gave them no more within this judgement."""
        ...


@dataclass(frozen=True)
class Judgement:
    """A certificate that is not known to be revoked, and why.

    Attributes:
        answers: what was relied on.
        warnings: what was let pass although it should not be so: a state nobody told.
        holds_until: UTC; from here on it has to be judged again.
    """

    answers: tuple[RevocationAnswer, ...]
    warnings: tuple[Finding, ...]
    holds_until: datetime


class RevocationJudge:
    """Decides whether certificates are revoked. Safe to use from several threads.

    Args:
        source: where answers come from.
        alarms: who is told when an unknown state is let pass.
        longest_age: how long a fetched answer is relied on before a newer one is asked for.
    """

    def __init__(
        self, source: RevocationSource, alarms: AlarmSink, *, longest_age: timedelta = LONGEST_AGE
    ) -> None:
        self._source = source
        self._services = source if isinstance(source, RevocationServices) else None
        self._nobody = "revocation_no_source" if self._services else "revocation_not_held"
        self._alarms = alarms
        self._longest_age = longest_age
        self._answering: dict[str, bool] = {}
        self._mine = threading.local()

    def one_validation(self) -> AbstractContextManager[None]:
        """Let the judgements of one validation share the time for asking services."""
        return self._services.one_judgement() if self._services else nullcontext()

    def judge(  # noqa: PLR0913 (one question has these parts; all but the certificates are named)
        self,
        certificate: x509.Certificate,
        issuer: x509.Certificate,
        *,
        row: Authority | None,
        trust_list: TrustList,
        at: datetime,
        judged_at: datetime,
        stapled: Sequence[RevocationAnswer] = (),
        validate_signer: SignerCheck,
        supplied: Sequence[x509.Certificate] = (),
    ) -> Judgement:
        """Decide whether a certificate is revoked.

        Args:
            certificate: the one asked about.
            issuer: its issuer, whose own path holds.
            row: the issuer's row in the trust list; without one, either kind of answer is needed.
            trust_list: the version in force.
            at: UTC; when the certificate was used.
            judged_at: UTC; when the question is asked; answers published until then count.
            stapled: answers that came along; those about other certificates are passed over.
            validate_signer: see `SignerCheck`.
            supplied: certificates that came along; may be those of responders and CRL issuers.

        Raises:
            TrustError: `trust.certificate_revoked`, or `trust.revocation_unknown` when nobody says that it
                is good.
        """
        question = Question(
            certificate,
            issuer,
            at,
            judged_at,
            trust_list,
            self._guarded(validate_signer),
            supplied,
            row.longest_answer_age if row else None,
            self._signers_in_check(),
        )
        case = _Case(question, row.revocation if row else RevocationPolicy.EITHER)
        with self.one_validation(), self._gathering() as about_signers:
            self._hear_at_hand(case, stapled)
            for kind in case.kinds:
                if not case.is_settled:
                    self._ask(case, kind)
        judgement = self._settle(case) if case.is_settled else self._let_pass(case, row)
        if row and not any(each.warnings for each in (judgement, *about_signers)):
            self._note_answers(case, row)
        outer: list[Judgement] | None = self._mine.gathered
        if outer is not None:
            outer.append(judgement)
        return judgement

    @contextmanager
    def _gathering(self) -> Iterator[list[Judgement]]:
        """Gather what is judged inside about those who signed answers."""
        outer: list[Judgement] | None = getattr(self._mine, "gathered", None)
        gathered: list[Judgement] = []
        self._mine.gathered = gathered
        try:
            yield gathered
        finally:
            self._mine.gathered = outer

    def _hear_at_hand(self, case: _Case, stapled: Sequence[RevocationAnswer]) -> None:
        """Hear what came along, together with what is remembered, which may already know better."""
        question = case.question
        came = [answer for answer in dict.fromkeys(stapled) if _is_about(answer, question)]
        if not came:
            return
        kept = self._services.kept_answers(question.certificate, question.issuer) if self._services else ()
        for kind in case.kinds:
            if any(answer.kind is kind for answer in came):
                case.hear(kind, [answer for answer in dict.fromkeys([*came, *kept]) if answer.kind is kind])

    def _ask(self, case: _Case, kind: AnswerKind) -> None:
        """Ask for one kind of answer until one holds or nobody is left."""
        question = case.question
        ask = self._source.ocsp_answers if kind is AnswerKind.OCSP else self._source.crl_answers
        for attempt in range(_MOST_SERVICES_TRIED):
            try:
                answers = ask(question.certificate, question.issuer, question.judged_at)
            except TrustError as exc:
                case.failures.append(exc)
                return
            if not answers and not attempt:
                case.failures.append(question.refuse(self._nobody, kind=kind.upper()))
            if kind is AnswerKind.OCSP:
                answers = _timely(answers, question) or answers
            if not answers and attempt:
                self._hear_before(case, kind)
            if not answers or case.hear(kind, answers) or self._services is None:
                return
            self._services.disbelieve(answers)

    def _hear_before(self, case: _Case, kind: AnswerKind) -> None:
        """Hear again what was remembered before a liar came, which may still hold."""
        question = case.question
        if self._services is None or case.is_disowned:
            return
        kept = self._services.kept_answers(question.certificate, question.issuer)
        before = [answer for answer in kept if answer.kind is kind]
        if before:
            case.hear(kind, before)

    def _let_pass(self, case: _Case, row: Authority | None) -> Judgement:
        """Refuse, unless the row names the exception and nobody said anything wrong.

        Raises:
            TrustError: `trust.revocation_unknown`.
        """
        question = case.question
        unknown = case.unknown()
        wrong = any(not is_silence(failure) for failure in case.failures)
        if row is None or not row.unsafe_accepts_unknown_revocation or wrong:
            raise unknown
        subject = _subject(row)
        self._answering[subject] = False
        self._alarms.raise_alarm("trust.revocation_unknown", subject, unknown.detail)
        finding = with_more(question.refuse("unsafe_unknown_accepted", authority=subject), unknown).finding
        if finding is None:
            raise unknown
        return Judgement(case.answers, (replace(finding, code=None),), question.at + SOFT_FAIL_AGE)

    def _note_answers(self, case: _Case, row: Authority) -> None:
        """End the alarm when an authority that may be passed over answers again."""
        if not row.unsafe_accepts_unknown_revocation:
            return
        subject = _subject(row)
        if self._answering.get(subject) is not True and any(answer.obtained_at for answer in case.answers):
            self._answering[subject] = True
            self._alarms.clear("trust.revocation_unknown", subject)

    def _settle(self, case: _Case) -> Judgement:
        at, longest = case.question.at, case.question.longest_answer_age
        ends = [at + self._longest_age]
        for answer in case.answers:
            ends.append(answer.usable_until)
            if longest is not None:
                ends.append(answer.this_update + longest)
            if answer.obtained_at is not None:
                renewal = answer.obtained_at + self._longest_age
                ends.append(renewal if renewal > at else at + SOFT_FAIL_AGE)
        return Judgement(case.answers, (), min(ends))

    def _guarded(self, validate_signer: SignerCheck) -> SignerCheck:
        """Note whose path is being checked, so that a signer that vouches for itself ends no recursion."""

        def check(signer: x509.Certificate, use: Use, at: datetime) -> None:
            before = self._signers_in_check()
            self._mine.signers = before | {signer}
            try:
                validate_signer(signer, use, at)
            finally:
                self._mine.signers = before

        return check

    def _signers_in_check(self) -> frozenset[x509.Certificate]:
        signers: frozenset[x509.Certificate] = getattr(self._mine, "signers", frozenset())
        return signers


class _Case:
    """One certificate's judgement while it is made."""

    def __init__(self, question: Question, policy: RevocationPolicy) -> None:
        self.question = question
        self.kinds = _KINDS[policy]
        self.failures: list[TrustError] = []
        self._needs_all = policy is RevocationPolicy.BOTH
        self._statements: dict[AnswerKind, list[Statement]] = {}

    @property
    def is_settled(self) -> bool:
        """Whether the answers the row demands are there; any that revoked would have ended the case."""
        return len(self._statements) >= (len(self.kinds) if self._needs_all else 1)

    @property
    def is_disowned(self) -> bool:
        """Whether a responder that may be believed says that it does not know the certificate."""
        return any(each.finding and each.finding.reason_id == "ocsp_says_unknown" for each in self.failures)

    @property
    def answers(self) -> tuple[RevocationAnswer, ...]:
        """What is relied on, each once."""
        return tuple(
            dict.fromkeys(
                answer for each in self._statements.values() for one in each for answer in one.answers
            )
        )

    def hear(self, kind: AnswerKind, answers: Sequence[RevocationAnswer]) -> bool:
        """Take in answers of one kind; tell whether that kind is settled now.

        Raises:
            TrustError: `trust.certificate_revoked`.
        """
        said: list[Statement] = []
        if kind is AnswerKind.CRL:
            try:
                said = believe_crls(answers, self.question)
            except TrustError as exc:
                self.failures.append(exc)
            except MALFORMED:
                self.failures.append(self.question.refuse("crl_unreadable"))
        else:
            for answer in answers:
                try:
                    said.append(believe_ocsp(answer, self.question))
                except TrustError as exc:
                    self.failures.append(exc)
                except MALFORMED:
                    self.failures.append(self.question.refuse("ocsp_unreadable"))
        decide([*said, *(each for one in self._statements.values() for each in one)], self.question)
        if said:
            self._statements.setdefault(kind, []).extend(said)
        return kind in self._statements

    def unknown(self) -> TrustError:
        """Return why it is not known whether the certificate is revoked; what was wrong comes first."""
        failures = sorted(self.failures, key=_rank)
        known = {failure.detail: failure for failure in failures if failure.finding}
        if not known:
            details = "; ".join(dict.fromkeys(failure.detail for failure in failures))
            silent = self.question.refuse("revocation_unheard")
            return TrustError(silent.code, f"{silent.detail}; {details}", silent.finding)
        first, *more = known.values()
        return with_more(self._about(first), *more[:_MOST_REASONS_TOLD])

    def _about(self, failure: TrustError) -> TrustError:
        """Let a finding that names no certificate, such as a service's silence, name the one in question."""
        finding = failure.finding
        if finding is None or finding.subject:
            return failure
        certificate = self.question.certificate
        named = replace(
            finding,
            subject=certificate.subject.rfc4514_string(),
            issuer=certificate.issuer.rfc4514_string(),
            serial=f"{certificate.serial_number:x}",
            at=self.question.at,
        )
        return TrustError(failure.code, f"{failure.detail}; {describe(certificate)}", named)


_NO_SOURCE = frozenset({"revocation_no_source", "revocation_not_held"})


def _rank(failure: TrustError) -> int:
    """Order reasons for people: what was wrong, what was silent, what was never named."""
    has_no_source = failure.finding is not None and failure.finding.reason_id in _NO_SOURCE
    return is_silence(failure) + has_no_source


def _timely(answers: Sequence[RevocationAnswer], question: Question) -> tuple[RevocationAnswer, ...]:
    """Return the OCSP answers whose own times let them speak about the instant.

    The others would be refused one by one. A folder may hold thousands, of every other day.
    """
    earliest, latest = question.at - CLOCK_SKEW, question.judged_at + CLOCK_SKEW
    return tuple(each for each in answers if each.this_update <= latest and earliest < each.usable_until)


def _is_about(answer: RevocationAnswer, question: Question) -> bool:
    """Tell whether an answer that came along is about the certificate; what is unreadable is about none."""
    try:
        if answer.kind is AnswerKind.OCSP:
            return load_ocsp(answer.der).newest_about(question.certificate, question.issuer) is not None
        return load_crl(answer.der).issuer_name in crl_issuers(question.certificate)
    except TrustError:
        return False


def _subject(row: Authority) -> str:
    return row.name or row.certificate.subject.rfc4514_string()
