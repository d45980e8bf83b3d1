# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from hub.documents.presentation import REASON_MARKS, day_in_china, mask, minute_in_china, percent, present


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("510107197909044163", "510107********4163"),
        ("51018119710522711X", "510181********711X"),
        ("51010719790904416312B1", "510107************12B1"),
        ("川军A012345", "********5"),
        ("1", "1"),
    ],
)
def test_a_number_of_a_person_is_masked_in_its_middle(number: str, shown: str) -> None:
    assert mask(number) == shown


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [
        ("0.015", "1.50%"),
        ("0.031250", "3.125%"),
        ("0.014996", "1.4996%"),
        ("1.000000", "100.00%"),
        ("0.2", "20.00%"),
    ],
)
def test_a_ratio_is_shown_exactly_and_never_rounded_up_to_the_required_one(ratio: str, shown: str) -> None:
    assert percent(ratio) == shown


def test_days_and_times_are_those_of_china() -> None:
    assert day_in_china("2025-12-31T16:00:00.000Z") == "2026年1月1日"
    assert minute_in_china("2025-12-31T16:00:00.000Z") == "2026-01-01 00:00:00"


def test_every_month_counts_or_says_why_not(proof_data: dict[str, Any]) -> None:
    shown: Any = present(proof_data)
    assert shown["met"] == sum(month["is_met"] for month in proof_data["months"])
    marks = {cell["text"] for person in shown["persons"] for cell in person["months"]}
    assert marks - {"1", "2"} == {reason["mark"] for reason in shown["reasons"]}


def test_every_reason_of_the_contract_has_a_mark_or_a_weight(proof_data: dict[str, Any]) -> None:
    for reason in REASON_MARKS:
        proof_data["persons"][0]["months"][0] = {"month": "2025-01", "weight": 0, "reason": reason}
        shown: Any = present(proof_data)
        assert shown["persons"][0]["months"][0]["text"] == REASON_MARKS[reason]


def test_no_whole_number_of_a_person_is_shown(proof_data: dict[str, Any]) -> None:
    shown = repr(present(proof_data))
    for person in proof_data["persons"]:
        assert person["person_id"] not in shown
        assert person["certificate_number"] not in shown
