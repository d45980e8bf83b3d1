# SPDX-License-Identifier: Apache-2.0
"""The data of a disability-employment proof, composed from three answers, a counting rule and a ratio.

Everything here is pure: the same answers, rule, ratio, number and instant give the same data.

Source: contracts/disability-employment-proof/v1; docs/counting-rules.md; measures 财税 2015 No. 72
article 8 (the difference of persons is what the formula gives and need not be whole, so nothing that decides
is rounded).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003
from decimal import ROUND_HALF_UP, Decimal
from itertools import groupby
from typing import TYPE_CHECKING

from adapters.proof.counting import PersonMonth, count_months
from adapters.proof.records import read_records
from hub.clock import day_in_china, format_instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters.ports import JsonObject as Answer
    from adapters.proof.records import Certificate, Headcount, StaffRecords
    from adapters.proof.rule import CountingRule
    from hub.contracts import JsonObject, JsonValue
    from hub.identifiers import ContractId, MemberId, MessageId, ServiceId

_RATIO_PLACES = Decimal("0.000001")


@dataclass(frozen=True)
class Party:
    """An authority or employer, by code and name."""

    uscc: MemberId
    name: str


@dataclass(frozen=True)
class SourceReference:
    """Where a part of the proof's data came from.

    Attributes:
        message_id: the answering message; None for the issuer's own system, which sends none.
        response_sha256: of the answer's `response.json`, 64 lower-case hexadecimal digits.
    """

    contract: ContractId
    service: ServiceId
    message_id: MessageId | None
    response_sha256: str
    answered_at: datetime


def compose(  # noqa: PLR0913  # one argument for each thing the proof states
    employment: Answer,
    certificates: Answer | Sequence[Answer],
    contributions: Answer,
    *,
    rule: CountingRule,
    issuer: Party,
    sources: Sequence[SourceReference],
    proof_number: str,
    issued_at: datetime,
    required_ratio: Decimal,
) -> JsonObject:
    """Compose the data of one `disability-employment-proof/v1` answer.

    Args:
        employment: data of the `employment-record/v1` answer.
        certificates: data of the `disability-certificate/v1` answer, or of several for batches of staff.
        contributions: data of the `contribution-record/v1` answer.
        rule: the counting rule to apply.
        issuer: the authority that issues the proof.
        sources: one reference for each answer.
        proof_number: an electronic certificate identifier, see `numbering`.
        issued_at: the instant of issue; its day in China is the day of review.
        required_ratio: of disabled staff to all staff, as the province sets it, for example 0.015.

    Raises:
        AdapterError: `adapter.answer_unreadable`, `adapter.sources_inconsistent` or
            `adapter.counting_rule_invalid`.
        ValueError: the ratio is not between 0 and 1, or has more than six places.
    """
    if not 0 < required_ratio < 1 or required_ratio != required_ratio.quantize(_RATIO_PLACES):
        raise ValueError("the required ratio lies between 0 and 1 and has at most six places")
    records = read_records(employment, certificates, contributions)
    verdicts = count_months(records, rule, reviewed_on=day_in_china(issued_at))
    return {
        "proof_number": proof_number,
        "issuer": {"uscc": issuer.uscc, "name": issuer.name},
        "employer": {"uscc": records.employer, "name": records.employer_name},
        "year": records.year,
        "required_ratio": f"{required_ratio:f}",
        "persons": [
            _person(records, list(months)) for _, months in groupby(verdicts, key=lambda one: one.person_id)
        ],
        "months": [_month(row, verdicts, required_ratio) for row in records.headcount],
        "rule": {"id": rule.id, "version": rule.version, "sha256": rule.sha256},
        "sources": [_source(source) for source in sources],
        "issued_at": format_instant(issued_at),
    }


def _person(records: StaffRecords, months: list[PersonMonth]) -> JsonValue:
    weights = [one.verdict.weight for one in months]
    shown = _certificate_shown(months)
    return {
        "person_id": shown.person_id,
        "name": records.spans[shown.person_id][0].name,
        "certificate_number": shown.certificate_number,
        "kind": shown.kind,
        "category": shown.category,
        "grade": shown.grade,
        "months": [
            {"month": one.month, "weight": one.verdict.weight, "reason": str(one.verdict.reason)}
            for one in months
        ],
        "months_counted": sum(weight > 0 for weight in weights),
        "weighted_months": sum(weights),
    }


def _certificate_shown(months: Sequence[PersonMonth]) -> Certificate:
    """Choose, of several certificates, the one that carries most, then one in force, then by number."""
    carried: Counter[Certificate] = Counter()
    for one in months:
        carried[one.certificate] += one.verdict.weight
    return max(carried, key=lambda one: (carried[one], one.status == "01", one.certificate_number))


def _month(row: Headcount, verdicts: Sequence[PersonMonth], required_ratio: Decimal) -> JsonValue:
    weights = [one.verdict.weight for one in verdicts if one.month == row.month]
    required = required_ratio * row.employees
    ratio = Decimal(sum(weights)) / row.employees if row.employees else None
    return {
        "month": row.month,
        "employees": row.employees,
        "persons_counted": sum(weight > 0 for weight in weights),
        "weighted_persons": sum(weights),
        "required_persons": f"{required:f}",
        # The ratio is for reading only; whether it is met is decided on whole and exact numbers.
        "ratio": None if ratio is None else f"{ratio.quantize(_RATIO_PLACES, ROUND_HALF_UP):f}",
        "is_met": sum(weights) >= required,
    }


def _source(source: SourceReference) -> JsonValue:
    return {
        "contract": source.contract,
        "service": source.service,
        "message_id": source.message_id,
        "response_sha256": source.response_sha256,
        "answered_at": format_instant(source.answered_at),
    }
