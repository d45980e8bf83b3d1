# SPDX-License-Identifier: Apache-2.0
"""Who counts in which month, and as how many: the counting rule applied to every person and month.

This module gathers the facts; the rule decides. Somebody listed twice, or holding two certificates, is asked
about once for each pair of span and certificate and counted once, with the best verdict.

Source: docs/counting-rules.md; notice 残联厅函 2022 No. 63 section 1 (1) to (4).
"""

from __future__ import annotations

import unicodedata
from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from adapters.proof.verdicts import Facts, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapters.proof.records import Certificate, Span, StaffRecords
    from adapters.proof.rule import CountingRule

# Names of minority peoples are written with several look-alike dots.
_DOTS = str.maketrans(dict.fromkeys("•‧∙⋅・･•.", "·"))


@dataclass(frozen=True)
class PersonMonth:
    """The verdict on one person in one month, and the certificate it rests on."""

    person_id: str
    month: str
    verdict: Verdict
    certificate: Certificate


@dataclass(frozen=True)
class _Case:
    person_id: str
    month: str
    certificate: Certificate
    facts: Facts


def count_months(records: StaffRecords, rule: CountingRule, *, reviewed_on: date) -> tuple[PersonMonth, ...]:
    """Judge everybody who has a certificate, in every month of the headcount.

    Args:
        records: what the three departments say.
        rule: the counting rule to apply.
        reviewed_on: the day of review in China, on which a certificate has to be valid still.

    Returns:
        one verdict for each person and month, ordered by person, then month.

    Raises:
        AdapterError: `adapter.counting_rule_invalid`, the rule leaves a case undecided.
    """
    cases = tuple(_cases(records, reviewed_on))
    judged = zip(cases, rule.judge([case.facts for case in cases]), strict=True)
    return tuple(
        _best(list(group))
        for _, group in groupby(judged, key=lambda pair: (pair[0].person_id, pair[0].month))
    )


def _best(judged: list[tuple[_Case, Verdict]]) -> PersonMonth:
    # The certificate number breaks ties, so that the order of the records changes nothing.
    case, verdict = max(judged, key=lambda pair: (pair[1].rank, pair[0].certificate.certificate_number))
    return PersonMonth(case.person_id, case.month, verdict, case.certificate)


def _cases(records: StaffRecords, reviewed_on: date) -> Iterator[_Case]:
    for person_id, certificates in records.certificates.items():
        for row in records.headcount:
            first, last = month_bounds(row.month)
            for span in records.spans[person_id]:
                for certificate in certificates:
                    yield _Case(
                        person_id,
                        row.month,
                        certificate,
                        Facts(
                            days_employed=_days_in(first, last, span.employed_from, span.employed_to),
                            days_in_month=last.day,
                            employment_kind=span.kind,
                            counted_by=_counted_by(span, records.employer),
                            is_name_matching=_plain(span.name) == _plain(certificate.name),
                            certificate_status=certificate.status,
                            certificate_kind=certificate.kind,
                            certificate_grade=certificate.grade,
                            certificate_days_valid=_days_in(
                                first, last, certificate.valid_from, certificate.valid_to
                            ),
                            is_certificate_valid_on_review=_days_in(
                                reviewed_on, reviewed_on, certificate.valid_from, certificate.valid_to
                            )
                            == 1,
                            insurances=tuple(sorted(records.insurances.get((person_id, row.month), ()))),
                        ),
                    )


def month_bounds(month: str) -> tuple[date, date]:
    """Return the first and the last day of a month written `YYYY-MM`."""
    first = date.fromisoformat(f"{month}-01")
    return first, first.replace(day=monthrange(first.year, first.month)[1])


def _days_in(first: date, last: date, start: date, end: date | None) -> int:
    """Count the days that two spans share; both ends of both are included."""
    shared_last = last if end is None else min(last, end)
    return max((shared_last - max(first, start)).days + 1, 0)


def _counted_by(span: Span, employer: str) -> Literal["none", "this", "other"]:
    if span.counted_by is None:
        return "none"
    return "this" if span.counted_by == employer else "other"


def _plain(name: str) -> str:
    """Write a name so that only real differences remain: width, spaces, kinds of dot."""
    return "".join(unicodedata.normalize("NFKC", name).translate(_DOTS).split()).casefold()
