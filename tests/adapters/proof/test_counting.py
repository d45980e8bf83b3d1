# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.proof import PersonMonth, Reason, count_months, read_records
from hub.errors import Language
from hub.identifiers import ContractId
from tests.adapters.proof.staff import (
    EMPLOYER,
    MONTHS,
    OTHER_EMPLOYER,
    Rows,
    answers,
    civil,
    contracts,
    military,
    paid,
    person,
    rule,
    worker,
)

LI = person(23)
REVIEW = date(2026, 3, 2)


def counted(
    workers: Rows, certificates: Rows, contributions: Rows, reviewed_on: date = REVIEW
) -> tuple[PersonMonth, ...]:
    given_answers = answers(workers, certificates, contributions)
    return count_months(read_records(*given_answers), rule(), reviewed_on=reviewed_on)


def weights(verdicts: tuple[PersonMonth, ...]) -> list[int]:
    return [one.verdict.weight for one in verdicts]


def reasons(verdicts: tuple[PersonMonth, ...]) -> set[str]:
    return {one.verdict.reason.value for one in verdicts}


@pytest.mark.parametrize(
    ("certificate", "weight"),
    [(civil(LI, grade), 2 if grade <= 2 else 1) for grade in range(1, 5)]
    + [(military(LI, grade), 2 if grade <= 3 else 1) for grade in range(1, 11)],
)
def test_severe_grades_count_double_and_all_others_once(certificate: dict[str, Any], weight: int) -> None:
    assert weights(counted([worker(LI)], [certificate], paid(LI))) == [weight] * 12


@pytest.mark.parametrize(
    ("first", "last", "months"),
    [
        ("2025-03-31", "2025-05-01", [3, 4, 5]),
        ("2025-01-01", "2025-01-01", [1]),
        ("2024-01-01", "2024-12-31", []),
        ("2025-12-31", None, [12]),
        ("2026-01-01", None, []),
    ],
)
def test_one_day_of_employment_in_a_month_is_enough(first: str, last: str | None, months: list[int]) -> None:
    verdicts = counted([worker(LI, employed_from=first, employed_to=last)], [civil(LI)], paid(LI))
    assert weights(verdicts) == [int(month in months) for month in range(1, 13)]
    assert reasons(verdicts) <= {"counted", "not_employed"}


@pytest.mark.parametrize("status", ["02", "03", "04", "05", "06", "07", "99"])
def test_a_certificate_that_is_not_in_force_does_not_count(status: str) -> None:
    verdicts = counted([worker(LI)], [civil(LI, status=status)], paid(LI))
    assert reasons(verdicts) == {"certificate_not_effective"}
    assert sum(weights(verdicts)) == 0


def test_a_certificate_counts_from_the_month_in_which_its_validity_begins() -> None:
    verdicts = counted([worker(LI)], [civil(LI, valid_from="2025-04-30")], paid(LI))
    assert weights(verdicts) == [0, 0, 0] + [1] * 9
    assert verdicts[2].verdict.reason is Reason.CERTIFICATE_NOT_VALID_IN_MONTH


@pytest.mark.parametrize(("valid_to", "weight"), [("2026-03-02", 1), ("2026-03-01", 0), ("2025-06-30", 0)])
def test_a_certificate_out_of_validity_on_the_day_of_review_counts_in_no_month(
    valid_to: str, weight: int
) -> None:
    verdicts = counted([worker(LI)], [civil(LI, valid_to=valid_to)], paid(LI))
    assert weights(verdicts) == [weight] * 12
    assert reasons(verdicts) == {"counted" if weight else "certificate_expired_before_review"}


def test_a_certificate_that_expires_within_the_year_stops_counting_with_its_last_month() -> None:
    certificates = [civil(LI, valid_to="2025-07-01")]
    verdicts = counted([worker(LI)], certificates, paid(LI), reviewed_on=date(2025, 6, 30))
    assert weights(verdicts) == [1] * 7 + [0] * 5


@pytest.mark.parametrize(
    ("insurances", "reason"),
    [
        (["medical", "unemployment"], "pension_missing"),
        (["pension", "work_injury"], "medical_missing"),
        (["maternity"], "pension_missing"),
    ],
)
def test_pension_and_medical_insurance_are_both_needed_in_the_month(
    insurances: list[str], reason: str
) -> None:
    rows = paid(LI, MONTHS[:6]) + paid(LI, MONTHS[6:9], insurances)
    verdicts = counted([worker(LI)], [civil(LI)], rows)
    assert weights(verdicts) == [1] * 6 + [0] * 6
    assert verdicts[7].verdict.reason.value == reason
    assert verdicts[11].verdict.reason is Reason.PENSION_MISSING


def test_insurances_paid_in_two_rows_of_one_month_add_up() -> None:
    rows = paid(LI, MONTHS, ["pension"]) + paid(LI, MONTHS, ["medical"])
    assert weights(counted([worker(LI)], [civil(LI)], rows)) == [1] * 12


def test_somebody_insured_by_another_unit_counts_where_the_labour_contract_is() -> None:
    rows = [row | {"paid_by": OTHER_EMPLOYER} for row in paid(LI)]
    assert weights(counted([worker(LI)], [civil(LI)], rows)) == [1] * 12


@pytest.mark.parametrize(
    ("counted_by", "weight", "reason"),
    [(None, 1, "counted"), (EMPLOYER, 1, "counted"), (OTHER_EMPLOYER, 0, "counted_elsewhere")],
)
def test_a_dispatched_worker_counts_in_one_unit_only(
    counted_by: str | None, weight: int, reason: str
) -> None:
    verdicts = counted([worker(LI, kind="dispatched", counted_by=counted_by)], [civil(LI)], paid(LI))
    assert weights(verdicts) == [weight] * 12
    assert reasons(verdicts) == {reason}


def test_an_agreement_of_others_does_not_touch_direct_employment() -> None:
    verdicts = counted([worker(LI, counted_by=OTHER_EMPLOYER)], [civil(LI)], paid(LI))
    assert weights(verdicts) == [1] * 12


def test_somebody_listed_twice_counts_once() -> None:
    assert weights(counted([worker(LI), worker(LI)], [civil(LI)], paid(LI) + paid(LI))) == [1] * 12


def test_of_two_spans_the_one_that_counts_decides() -> None:
    spans = [
        worker(LI, employed_to="2025-05-10"),
        worker(LI, employed_from="2025-05-11", kind="dispatched", counted_by=OTHER_EMPLOYER),
    ]
    verdicts = counted(spans, [civil(LI)], paid(LI))
    assert weights(verdicts) == [1] * 5 + [0] * 7
    assert verdicts[8].verdict.reason is Reason.COUNTED_ELSEWHERE


def test_of_two_certificates_the_better_one_decides() -> None:
    certificates = [civil(LI, 4), military(LI, 2, valid_from="2025-09-01"), civil(LI, 1, status="05")]
    assert weights(counted([worker(LI)], certificates, paid(LI))) == [1] * 8 + [2] * 4


@pytest.mark.parametrize(
    ("employed_as", "certified_as", "is_same"),
    [
        ("阿依古丽·买买提", "阿依古丽•买买提", True),
        ("李 晓荷", "李晓荷", True),
        ("\uff2c\uff49", "LI", True),
        ("李晓荷", "李晓河", False),
    ],
)
def test_only_a_real_difference_of_names_stops_counting(
    employed_as: str, certified_as: str, *, is_same: bool
) -> None:
    verdicts = counted([worker(LI, name=employed_as)], [civil(LI, name=certified_as)], paid(LI))
    assert reasons(verdicts) == {"counted" if is_same else "name_differs"}


def test_the_order_of_the_records_changes_nothing() -> None:
    workers = [
        worker(LI, employed_to="2025-03-31"),
        worker(LI, employed_from="2025-06-15"),
        worker(person(7)),
    ]
    certificates = [civil(LI, 2, valid_to="2026-03-01"), civil(LI, 4), military(person(7), 9)]
    rows = paid(LI) + paid(person(7), MONTHS[3:])
    assert counted(workers, certificates, rows) == counted(workers[::-1], certificates[::-1], rows[::-1])


def test_every_reason_has_words_in_both_languages() -> None:
    for language in Language:
        assert len({reason.describe(language) for reason in Reason}) == len(Reason)


def test_fifty_people_and_twelve_months_are_counted_in_less_than_a_second() -> None:
    people = [person(serial) for serial in range(50)]
    given_answers = answers(
        [worker(one) for one in people],
        [civil(one, 1 + place % 4) for place, one in enumerate(people)],
        [row for one in people for row in paid(one)],
    )
    started = time.perf_counter()
    verdicts = count_months(read_records(*given_answers), rule(), reviewed_on=REVIEW)
    assert time.perf_counter() - started < 1
    assert len(verdicts) == 600
    assert sum(weights(verdicts)) == 12 * (26 * 2 + 24)


# The same rules once more, written from the text alone: day by day, in plain Python, sharing no code with the
# table or with what gathers its facts.


def naive_weight(given_answers: tuple[dict[str, Any], ...], who: str, month: str, review: str) -> int:
    employment, register, insurance = given_answers
    days = []
    day = date(int(month[:4]), int(month[5:]), 1)
    while day.isoformat()[:7] == month:
        days.append(day.isoformat())
        day += timedelta(days=1)
    paid_for = [
        kind
        for row in insurance["contributions"]
        if row["person_id"] == who and row["month"] == month
        for kind in row["insurances"]
    ]
    best = 0
    for job in employment["workers"]:
        works = any(job["employed_from"] <= d <= (job["employed_to"] or "9999-12-31") for d in days)
        elsewhere = job["kind"] == "dispatched" and job["counted_by"] not in {None, EMPLOYER}
        if job["person_id"] != who or not works or elsewhere:
            continue
        for paper in register["certificates"]:
            end = paper["valid_to"] or "9999-12-31"
            holds = paper["person_id"] == who and paper["name"] == job["name"] and paper["status"] == "01"
            in_month = any(paper["valid_from"] <= d <= end for d in days)
            at_review = paper["valid_from"] <= review <= end
            if holds and in_month and at_review and "pension" in paid_for and "medical" in paid_for:
                severe = paper["grade"] <= (2 if paper["kind"] == "civil" else 3)
                best = max(best, 2 if severe else 1)
    return best


PEOPLE = [person(serial) for serial in (23, 416, 38, 711)]
NAMES = ["李晓荷", "王建川"]
DAYS = st.dates(date(2024, 11, 1), date(2026, 4, 30)).map(date.isoformat)


@st.composite
def generated_worker(draw: st.DrawFn) -> dict[str, Any]:
    start, end = sorted([draw(DAYS), draw(DAYS)])
    return worker(
        draw(st.sampled_from(PEOPLE)),
        name=draw(st.sampled_from(NAMES)),
        employed_from=start,
        employed_to=draw(st.sampled_from([end, None])),
        kind=draw(st.sampled_from(["direct", "dispatched"])),
        counted_by=draw(st.sampled_from([None, EMPLOYER, OTHER_EMPLOYER])),
    )


@st.composite
def generated_certificate(draw: st.DrawFn, who: str) -> dict[str, Any]:
    start, end = sorted([draw(DAYS), draw(DAYS)])
    made = (
        civil(who, draw(st.integers(1, 4)))
        if draw(st.booleans())
        else military(who, draw(st.integers(1, 10)))
    )
    return made | {
        "name": draw(st.sampled_from(NAMES)),
        "valid_from": start,
        "valid_to": draw(st.sampled_from([end, "2031-01-19", None])),
        "status": draw(st.sampled_from(["01", "01", "01", "02", "05", "99"])),
    }


@st.composite
def generated_answers(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    workers = draw(st.lists(generated_worker(), min_size=1, max_size=6))
    staff = sorted({row["person_id"] for row in workers})
    certificates = [
        paper for who in staff for paper in draw(st.lists(generated_certificate(who), max_size=2))
    ]
    insured = st.lists(
        st.sampled_from(["pension", "medical", "unemployment"]), min_size=1, max_size=3, unique=True
    )
    often = st.one_of(st.just(["pension", "medical"]), insured)
    rows = [
        row
        for who in staff
        for month in draw(st.lists(st.sampled_from(MONTHS), max_size=14))
        for row in paid(who, [month], draw(often))
    ]
    return answers(workers, certificates, rows)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(generated_answers(), st.dates(date(2025, 12, 1), date(2026, 4, 30)))
def test_the_table_agrees_with_a_second_reading_of_the_rules(
    given_answers: tuple[dict[str, Any], dict[str, Any], dict[str, Any]], review: date
) -> None:
    names = ["employment-record/v1", "disability-certificate/v1", "contribution-record/v1"]
    for name, data in zip(names, given_answers, strict=True):
        part = contracts()[ContractId(name)].response[0]
        assert part.validator is not None
        assert part.validator.is_valid(data)
    verdicts = count_months(read_records(*given_answers), rule(), reviewed_on=review)
    certified = sorted({row["person_id"] for row in given_answers[1]["certificates"]})
    assert [(one.person_id, one.month) for one in verdicts] == [(who, m) for who in certified for m in MONTHS]
    for one in verdicts:
        expected = naive_weight(given_answers, one.person_id, one.month, review.isoformat())
        assert one.verdict.weight == expected, (one.person_id, one.month)
        assert (one.verdict.weight > 0) == (one.verdict.reason in {Reason.COUNTED, Reason.COUNTED_DOUBLE})


def test_people_without_a_certificate_are_not_named() -> None:
    verdicts = counted([worker(LI), worker(person(7))], [civil(LI)], paid(LI))
    assert [who for who, _ in groupby(verdicts, key=lambda one: one.person_id)] == [LI]
