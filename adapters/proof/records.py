# SPDX-License-Identifier: Apache-2.0
"""The answers of the three departments, read into values and checked against each other.

Each answer already keeps to its own contract. What no contract can state is checked here: that the three
speak of the same employer, year and people. A person about whom a register said nothing is not a person
without a certificate, so a gap is refused and never counted as zero.

Source: contracts/employment-record/v1, disability-certificate/v1, contribution-record/v1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date  # pydantic reads the annotations at run time
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hub.errors import AdapterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from adapters.ports import JsonObject

MAX_PERSONS_PER_QUESTION = 500
"""As `disability-certificate/v1` allows."""


Row = TypeVar("Row", bound=BaseModel)


class _Row(BaseModel):
    # Fields beyond these are in the contract but not needed to count.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Headcount(_Row):
    """How many people an employer has in a month."""

    month: str
    employees: int


class Span(_Row):
    """One span of employment; both days are included, and an open end is None."""

    person_id: str
    name: str
    employed_from: date
    employed_to: date | None
    kind: Literal["direct", "dispatched"]
    counted_by: str | None


class Certificate(_Row):
    """One certificate; both days are included, and an unlimited validity ends with None."""

    person_id: str
    name: str
    kind: Literal["civil", "military"]
    certificate_number: str
    category: int | None
    grade: int
    valid_from: date
    valid_to: date | None
    status: str


class _Contribution(_Row):
    person_id: str
    month: str
    insurances: tuple[str, ...]


class _Employer(_Row):
    uscc: str
    name: str


class _EmploymentRecord(_Row):
    employer: _Employer
    year: int
    headcount: tuple[Headcount, ...]
    workers: tuple[Span, ...]


class _CertificateRecord(_Row):
    certificates: tuple[Certificate, ...]
    not_found: tuple[str, ...]


class _ContributionRecord(_Row):
    employer: str
    year: int
    contributions: tuple[_Contribution, ...]


@dataclass(frozen=True)
class StaffRecords:
    """What the three departments say of one employer and year.

    Attributes:
        headcount: by month, in order; only these months are counted.
        spans: every span of employment, by person.
        certificates: every certificate, by person; only people who have one.
        insurances: what was paid, by person and month, whoever paid it.
    """

    employer: str
    employer_name: str
    year: int
    headcount: tuple[Headcount, ...]
    spans: Mapping[str, tuple[Span, ...]]
    certificates: Mapping[str, tuple[Certificate, ...]]
    insurances: Mapping[tuple[str, str], frozenset[str]]


def person_batches(employment: JsonObject) -> tuple[tuple[str, ...], ...]:
    """Return whom to ask the certificate register about: everybody once, in questions the contract allows.

    Args:
        employment: the data of an `employment-record/v1` answer.

    Raises:
        AdapterError: `adapter.answer_unreadable`, the data is not such an answer.
    """
    people = sorted({span.person_id for span in _read(_EmploymentRecord, employment).workers})
    size = MAX_PERSONS_PER_QUESTION
    return tuple(tuple(people[start : start + size]) for start in range(0, len(people), size))


def read_records(
    employment: JsonObject, certificates: JsonObject | Sequence[JsonObject], contributions: JsonObject
) -> StaffRecords:
    """Read the three answers and check them against each other.

    Args:
        employment: the data of an `employment-record/v1` answer.
        certificates: the data of the `disability-certificate/v1` answer, or of several when the staff
            was asked for in batches.
        contributions: the data of a `contribution-record/v1` answer.

    Raises:
        AdapterError: `adapter.answer_unreadable`, an answer has another shape;
            `adapter.sources_inconsistent`, the answers contradict each other or leave somebody out.
    """
    staff = _read(_EmploymentRecord, employment)
    answers = [certificates] if isinstance(certificates, Mapping) else certificates
    registers = [_read(_CertificateRecord, answer) for answer in answers]
    insured = _read(_ContributionRecord, contributions)
    _check_same_question(staff, insured)
    _check_spans(staff)
    _check_everybody_answered({span.person_id for span in staff.workers}, registers)
    insurances: dict[tuple[str, str], frozenset[str]] = defaultdict(frozenset)
    for row in insured.contributions:
        insurances[row.person_id, row.month] |= frozenset(row.insurances)
    return StaffRecords(
        employer=staff.employer.uscc,
        employer_name=staff.employer.name,
        year=staff.year,
        headcount=tuple(sorted(staff.headcount, key=lambda row: row.month)),
        spans=_by_person(staff.workers),
        certificates=_by_person(row for register in registers for row in register.certificates),
        insurances=dict(insurances),
    )


def _read(shape: type[Row], answer: JsonObject) -> Row:
    try:
        return shape.model_validate(answer)
    except ValidationError as exc:
        # The input is left out: it holds personal data.
        first = exc.errors(include_input=False, include_url=False, include_context=False)[0]
        place = "/".join(str(step) for step in first["loc"])
        raise AdapterError("adapter.answer_unreadable", f"{shape.__name__} {place}: {first['type']}") from exc


def _check_same_question(staff: _EmploymentRecord, insured: _ContributionRecord) -> None:
    if (staff.employer.uscc, staff.year) != (insured.employer, insured.year):
        _refuse("employment and contributions are of different employers or years")
    months = [row.month for row in staff.headcount]
    if len(set(months)) != len(months):
        _refuse("the headcount gives a month twice")
    if not all(month.startswith(f"{staff.year}-") for month in months):
        _refuse("the headcount gives a month of another year")
    if not all(row.month.startswith(f"{staff.year}-") for row in insured.contributions):
        _refuse("a contribution is for a month of another year")


def _check_spans(staff: _EmploymentRecord) -> None:
    for number, span in enumerate(staff.workers):
        if span.employed_to is not None and span.employed_to < span.employed_from:
            _refuse(f"worker {number} leaves before the first day")


def _check_everybody_answered(staff: set[str], registers: Sequence[_CertificateRecord]) -> None:
    certified = {row.person_id for register in registers for row in register.certificates}
    unknown = {person for register in registers for person in register.not_found}
    if certified & unknown:
        _refuse(f"{len(certified & unknown)} people are both found and not found")
    if (certified | unknown) - staff:
        _refuse(f"the register answered about {len((certified | unknown) - staff)} people nobody asked for")
    if staff - certified - unknown:
        _refuse(f"the register said nothing about {len(staff - certified - unknown)} people")


RowOfPerson = TypeVar("RowOfPerson", Span, Certificate)


def _by_person(rows: Iterable[RowOfPerson]) -> dict[str, tuple[RowOfPerson, ...]]:
    grouped: dict[str, list[RowOfPerson]] = defaultdict(list)
    for row in rows:
        grouped[row.person_id].append(row)
    return {person: tuple(grouped[person]) for person in sorted(grouped)}


def _refuse(reason: str) -> None:
    raise AdapterError("adapter.sources_inconsistent", reason)
