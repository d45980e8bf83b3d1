# SPDX-License-Identifier: Apache-2.0
"""The proof's figures counted a second time, from the invented people and docs/counting-rules.md alone.

Nothing of the adapters' mappings, of the rule's table or of its engine is used here.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from adapters.simulators.population import EMPLOYERS, months_until, population

if TYPE_CHECKING:
    from datetime import date

    from adapters.simulators.population import Certificate, Engagement

_RATIO = Decimal("0.015")


def verdict(one: Engagement, paper: Certificate, month: str, review: date) -> tuple[int, str]:  # noqa: PLR0911 - one return a row of the document's table
    """Return weight and reason of one person in one month, row by row as the document lists them."""
    if not one.covers(month):
        return 0, "not_employed"
    if one.counted_by not in {None, one.employer}:
        return 0, "counted_elsewhere"
    if paper.name not in {None, one.person.name}:
        return 0, "name_differs"
    if paper.status != "0":
        return 0, "certificate_not_effective"
    if paper.valid_from > review or (paper.valid_to is not None and paper.valid_to < review):
        return 0, "certificate_expired_before_review"
    if f"{paper.valid_from:%Y-%m}" > month or (paper.valid_to and f"{paper.valid_to:%Y-%m}" < month):
        return 0, "certificate_not_valid_in_month"
    if month in one.unpaid_months:
        return 0, "pension_missing"
    if paper.grade <= (3 if paper.is_military else 2):
        return 2, "counted_double"
    return 1, "counted"


def expected_proof(employer: str, year: int, *, today: date, review: date) -> dict[str, Any]:
    """Return what a proof about an invented employer has to say about its people and months.

    Args:
        employer: one of `EMPLOYERS`.
        year: the year asked for.
        today: the day the stand-ins live on; months after it have not begun.
        review: the day of issue in China.
    """
    months = months_until(year, today)
    staff = population(year).staff(employer, year)
    persons, weights = [], {month: [0, 0] for month in months}
    for one in staff:
        paper = one.person.certificate
        if paper is None:
            continue
        verdicts = [(month, *verdict(one, paper, month, review)) for month in months]
        for month, weight, _ in verdicts:
            weights[month][0] += weight > 0
            weights[month][1] += weight
        persons.append(_person(one, paper, verdicts))
    rows = [_month(month, sum(one.covers(month) for one in staff), *weights[month]) for month in months]
    return {
        "employer": {"uscc": employer, "name": EMPLOYERS[employer]},
        "year": year,
        "required_ratio": str(_RATIO),
        "persons": sorted(persons, key=lambda row: str(row["person_id"])),
        "months": rows,
    }


def _person(one: Engagement, paper: Certificate, verdicts: list[tuple[str, int, str]]) -> dict[str, Any]:
    return {
        "person_id": one.person.person_id,
        "name": one.person.name,
        "certificate_number": paper.number,
        "kind": "military" if paper.is_military else "civil",
        "category": paper.category,
        "grade": paper.grade,
        "months": [
            {"month": month, "weight": weight, "reason": reason} for month, weight, reason in verdicts
        ],
        "months_counted": sum(weight > 0 for _, weight, _ in verdicts),
        "weighted_months": sum(weight for _, weight, _ in verdicts),
    }


def _month(month: str, employees: int, persons: int, weighted: int) -> dict[str, Any]:
    required = _RATIO * employees
    ratio = (Decimal(weighted) / employees).quantize(Decimal("0.000001"), ROUND_HALF_UP)
    return {
        "month": month,
        "employees": employees,
        "persons_counted": persons,
        "weighted_persons": weighted,
        "required_persons": f"{required:f}",
        "ratio": f"{ratio:f}",
        "is_met": weighted >= required,
    }
