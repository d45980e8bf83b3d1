# SPDX-License-Identifier: Apache-2.0
"""What a counting rule is asked and what it answers: facts, verdict, reason.

Source: docs/counting-rules.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from hub.errors import Language


class Reason(StrEnum):
    """Why a person counts in a month or not, in the order in which the table asks."""

    NOT_EMPLOYED = "not_employed"
    COUNTED_ELSEWHERE = "counted_elsewhere"
    NAME_DIFFERS = "name_differs"
    CERTIFICATE_NOT_EFFECTIVE = "certificate_not_effective"
    CERTIFICATE_EXPIRED_BEFORE_REVIEW = "certificate_expired_before_review"
    CERTIFICATE_NOT_VALID_IN_MONTH = "certificate_not_valid_in_month"
    PENSION_MISSING = "pension_missing"
    MEDICAL_MISSING = "medical_missing"
    COUNTED = "counted"
    COUNTED_DOUBLE = "counted_double"

    def describe(self, language: Language) -> str:
        """Say it to a caseworker."""
        return _LABELS[self][0 if language is Language.ZH else 1]


_LABELS = {
    Reason.NOT_EMPLOYED: ("当月未在职", "not employed in the month"),
    Reason.COUNTED_ELSEWHERE: (
        "劳务派遣、已协商计入另一单位",
        "dispatched; by agreement counted by another unit",
    ),
    Reason.NAME_DIFFERS: (
        "用工备案与证件姓名不一致",
        "the employment record and the certificate name differ",
    ),
    Reason.CERTIFICATE_NOT_EFFECTIVE: ("证照状态不是有效", "the certificate is not in force"),
    Reason.CERTIFICATE_EXPIRED_BEFORE_REVIEW: (
        "审核之日证件不在有效期内",
        "the certificate is out of validity on the day of review",
    ),
    Reason.CERTIFICATE_NOT_VALID_IN_MONTH: (
        "当月证件不在有效期内",
        "the certificate is out of validity in the month",
    ),
    Reason.PENSION_MISSING: ("当月未缴纳养老保险", "no pension insurance paid for the month"),
    Reason.MEDICAL_MISSING: ("当月未缴纳医疗保险", "no medical insurance paid for the month"),
    Reason.COUNTED: ("计1人", "counts as one"),
    Reason.COUNTED_DOUBLE: ("重度残疾计2人", "severe, counts as two"),
}
_ORDER = {reason: place for place, reason in enumerate(Reason)}


@dataclass(frozen=True)
class Facts:
    """What the table may ask about one span of employment, one certificate and one month.

    Attributes:
        days_employed: days of the month within the span.
        days_in_month: 28 to 31, for tables that ask for whole months.
        counted_by: whom the parties of a dispatch agreed on: nobody, this employer, or another.
        certificate_days_valid: days of the month within the certificate's validity.
        is_certificate_valid_on_review: whether the day of review lies within it.
        insurances: what was paid for the month, whoever paid it, sorted.
    """

    days_employed: int
    days_in_month: int
    employment_kind: Literal["direct", "dispatched"]
    counted_by: Literal["none", "this", "other"]
    is_name_matching: bool
    certificate_status: str
    certificate_kind: Literal["civil", "military"]
    certificate_grade: int
    certificate_days_valid: int
    is_certificate_valid_on_review: bool
    insurances: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What the table says: as how many the person counts, and why."""

    weight: int
    reason: Reason

    @property
    def rank(self) -> tuple[int, int]:
        """Order verdicts: the greater weight first, then the one that got further in the table."""
        return self.weight, _ORDER[self.reason]
