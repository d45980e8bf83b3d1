# SPDX-License-Identifier: Apache-2.0
"""Whether CRLs may be believed, and what they say about a certificate: RFC 5280 section 6.3.3.

For every distribution point of the certificate, and one that stands for its issuer, each CRL at hand goes
through

    (a)       complete or delta, and current
    (b)       of the right issuer, and its scope covers the certificate
    (c)       a delta that continues it, of the same issuer, scope and key
    (d) (e)   the reasons it tells of
    (f)       its issuer's certificate, down from the same root, with cRLSign
    (g) (h)   its signature, and the delta's
    (i) to (k)  the entry, the delta's first
    (l)       done when all reasons are covered

Every CRL that holds is heard, not only the first that would do: a list that says revoked is never overlooked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509

from hub.clock import format_instant
from hub.errors import TrustError
from hub.trust.distinguishednames import comparable
from hub.trust.lists import load_crl
from hub.trust.model import AnswerKind, Use
from hub.trust.ocsp import check_signer_path
from hub.trust.statements import CLOCK_SKEW, Statement, check_covers_expired, check_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hub.trust.lists import ReadCrl
    from hub.trust.model import RevocationAnswer
    from hub.trust.statements import Question

ALL_REASONS = frozenset(
    flag.value
    for flag in x509.ReasonFlags
    if flag not in {x509.ReasonFlags.unspecified, x509.ReasonFlags.remove_from_crl}
)
"""The reasons a CRL may be divided by (RFC 5280 section 4.2.1.13; there is no flag for `unspecified`)."""

_ComparableName = tuple[frozenset[tuple[str, str | bytes]], ...]


class _Point(NamedTuple):
    """Where CRLs about a certificate are announced.

    Attributes:
        names: of the distribution point; empty where it has none.
        issuers: of the CRL, where somebody else than the certificate's issuer is named.
        reasons: the CRLs there tell of.
    """

    names: frozenset[object]
    issuers: frozenset[_ComparableName]
    reasons: frozenset[str]


class _List(NamedTuple):
    answer: RevocationAnswer
    crl: ReadCrl


def believe_crls(answers: Sequence[RevocationAnswer], question: Question) -> list[Statement]:
    """Check CRLs and return what they say; together they cover every reason for a revocation, or one revokes.

    Raises:
        TrustError: `trust.revocation_unknown` with the step that fails.
    """
    lists = [_List(answer, load_crl(answer.der)) for answer in answers]
    complete = [each for each in lists if each.crl.base_number is None]
    deltas = [each for each in lists if each.crl.base_number is not None]
    statements: dict[tuple[RevocationAnswer, ...], Statement] = {}
    refusals: list[TrustError] = []
    for point in _points(question):
        for base in complete:
            try:
                for statement in _statements(base, deltas, point, question):
                    statements[statement.answers] = _merged(statement, statements.get(statement.answers))
            except _OtherIssuerError:
                continue
            except TrustError as exc:
                refusals.append(exc)
    found = list(statements.values())
    covered = frozenset().union(*(each.reasons for each in found))
    if covered == ALL_REASONS or any(each.revocation and each.revocation.counts(question) for each in found):
        return found
    telling = [each for each in refusals if not _is_about_scope(each)]
    if telling or (refusals and not covered):
        raise (telling or refusals)[0]
    if covered:
        raise question.refuse("crl_reasons_open", open=", ".join(sorted(ALL_REASONS - covered)))
    if deltas and not complete:
        raise question.refuse("crl_delta_without_base")
    raise question.refuse("crl_other_issuer" if lists else "crl_missing")


def _is_about_scope(error: TrustError) -> bool:
    """Tell whether a CRL only belongs to another distribution point, which says little to people."""
    return error.finding is not None and error.finding.reason_id == "crl_out_of_scope"


class _OtherIssuerError(Exception):
    """The CRL is somebody else's, and not about this certificate at all."""


def _merged(new: Statement, old: Statement | None) -> Statement:
    """Join what a CRL covers at several distribution points."""
    if old is None:
        return new
    return Statement(new.answers, new.this_update, new.revocation, new.reasons | old.reasons)


def _statements(base: _List, deltas: Iterable[_List], point: _Point, question: Question) -> list[Statement]:
    """Carry out (a) to (k) for one complete CRL."""
    reasons = _covered(base.crl, point, question)
    _check_form(base.crl, question)
    signer = _signer(base.crl, question)
    delta = _delta(base.crl, signer, deltas, question)
    revocation = base.crl.entry(question.certificate)
    found = []
    if delta is not None:
        changed = delta.crl.entry(question.certificate)
        check_times(question, AnswerKind.CRL, delta.crl.this_update, delta.crl.next_update)
        now = changed or revocation
        if now is not None and now.reason == x509.ReasonFlags.remove_from_crl.value:
            now = None
        found.append(Statement((base.answer, delta.answer), delta.crl.this_update, now, reasons))
    if delta is None or delta.crl.this_update > question.at + CLOCK_SKEW:
        # What the delta took back later was in force at the instant in question.
        check_times(question, AnswerKind.CRL, base.crl.this_update, base.crl.next_update)
        found.append(Statement((base.answer,), base.crl.this_update, revocation, reasons))
    for each in found:
        if each.revocation is None:
            check_covers_expired(question, AnswerKind.CRL, each.this_update, base.crl.covers_from)
    return found


def _points(question: Question) -> list[_Point]:
    """Return the certificate's distribution points, and last the one that stands for its issuer."""
    own = comparable(question.certificate.issuer)
    implied = _Point(frozenset({own}), frozenset(), ALL_REASONS)
    try:
        value = question.certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return [implied]
    return [*(_point(each, own) for each in value), implied]


def _point(point: x509.DistributionPoint, issuer: _ComparableName) -> _Point:
    issuers = _directory_names(point.crl_issuer or ())
    reasons = frozenset(flag.value for flag in point.reasons) if point.reasons else ALL_REASONS
    above = next(iter(issuers), issuer)
    return _Point(_names(point.full_name, point.relative_name, above), issuers, reasons & ALL_REASONS)


def _covered(crl: ReadCrl, point: _Point, question: Question) -> frozenset[str]:
    """Carry out (b), (d) and (e): return the reasons the CRL covers here.

    Raises:
        TrustError: the scope does not cover the certificate.
    """
    scope = crl.scope
    expected = point.issuers or {comparable(question.certificate.issuer)}
    if crl.issuer_name not in expected:
        raise _OtherIssuerError
    problem = ""
    if point.issuers and not (scope and scope.indirect_crl):
        problem = "indirectCRL"
    elif scope is not None:
        problem = _scope_problem(crl, scope, point, question)
    if problem:
        raise question.refuse("crl_out_of_scope", why=problem, stated=format_instant(crl.this_update))
    some = scope.only_some_reasons if scope else None
    return point.reasons if some is None else point.reasons & {flag.value for flag in some}


def _scope_problem(
    crl: ReadCrl, scope: x509.IssuingDistributionPoint, point: _Point, question: Question
) -> str:
    names = _names(scope.full_name, scope.relative_name, crl.issuer_name)
    if names and not names & (point.names or point.issuers):
        return "distributionPoint"
    is_authority = _is_authority(question.certificate)
    if scope.only_contains_user_certs and is_authority:
        return "onlyContainsUserCerts"
    if scope.only_contains_ca_certs and not is_authority:
        return "onlyContainsCACerts"
    return "onlyContainsAttributeCerts" if scope.only_contains_attribute_certs else ""


def _check_form(crl: ReadCrl, question: Question) -> None:
    unknown = crl.unknown_critical
    if unknown:
        raise question.refuse("crl_critical_extension", oid=unknown)
    if crl.unknown_critical_in_entries:
        raise question.refuse("crl_entry_critical_extension", oid=crl.unknown_critical_in_entries)
    if crl.weak_algorithm:
        raise question.refuse("answer_weak", kind="CRL", why=crl.weak_algorithm)


def _signer(crl: ReadCrl, question: Question) -> x509.Certificate:
    """Carry out (f) and (g): return the certificate whose key signed, when it may."""
    listed = (row.certificate for row in question.trust_list.authorities)
    named = [
        each
        for each in dict.fromkeys([question.issuer, *question.supplied, *listed])
        if comparable(each.subject) == crl.issuer_name
    ]
    name = crl.issuer.rfc4514_string()
    if not named:
        raise question.refuse("crl_signer_missing", signer=name)
    refusals = [question.refuse("crl_signature_invalid", signer=name)]
    for signer in named:
        if not crl.is_signed_by(signer):
            continue
        if not _may_sign_crls(signer):
            refusals.append(question.refuse("crl_signer_without_usage", signer=name))
        elif signer == question.issuer or signer in question.trusted_signers:
            return signer
        else:
            try:
                at = question.signer_has_to_hold_at(crl.this_update)
                check_signer_path(signer, Use.CRL, question, AnswerKind.CRL, at)
            except TrustError as exc:
                refusals.append(exc)
            else:
                return signer
    raise refusals[-1]


def _delta(
    base: ReadCrl, signer: x509.Certificate, deltas: Iterable[_List], question: Question
) -> _List | None:
    """Carry out (c) and (h): return the newest delta that continues a CRL, if there is one.

    A delta that does not hold changes nothing; the complete CRL then has to be current by itself.

    Source: RFC 5280 section 5.2.4.
    """
    fitting = [each for each in deltas if _continues(each.crl, base) and _holds(each.crl, signer, question)]
    return max(fitting, key=lambda each: each.crl.number or 0, default=None)


def _continues(delta: ReadCrl, base: ReadCrl) -> bool:
    if base.number is None or delta.number is None or delta.base_number is None:
        return False
    return (
        delta.issuer_name == base.issuer_name
        and delta.scope == base.scope
        and delta.key_id == base.key_id
        and delta.base_number <= base.number < delta.number
    )


def _holds(delta: ReadCrl, signer: x509.Certificate, question: Question) -> bool:
    is_readable = not (delta.unknown_critical or delta.unknown_critical_in_entries or delta.weak_algorithm)
    begins, ends = delta.this_update - CLOCK_SKEW, delta.next_update + CLOCK_SKEW
    is_current = begins <= question.judged_at and question.at < ends
    return is_readable and is_current and delta.is_signed_by(signer)


def _names(
    full: Iterable[x509.GeneralName] | None,
    relative: x509.RelativeDistinguishedName | None,
    issuer: _ComparableName,
) -> frozenset[object]:
    """Return a distribution point's names in comparable form; a relative one hangs below its CRL's issuer."""
    if relative is not None:
        return frozenset({(*issuer, *comparable(x509.Name([relative])))})
    names = full or ()
    return frozenset(
        comparable(each.value) if isinstance(each, x509.DirectoryName) else each for each in names
    )


def _directory_names(names: Iterable[x509.GeneralName]) -> frozenset[_ComparableName]:
    return frozenset(comparable(each.value) for each in names if isinstance(each, x509.DirectoryName))


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _may_sign_crls(certificate: x509.Certificate) -> bool:
    """Tell whether the key usage allows it; without that extension it does."""
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True
