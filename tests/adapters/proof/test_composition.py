# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.proof import is_certificate_identifier, person_batches
from hub.clock import parse_instant
from hub.errors import AdapterError
from hub.identifiers import ContractId, is_resident_id
from tests.adapters.proof.staff import (
    CONTRACTS,
    EMPLOYER,
    LABOUR_BUREAU,
    MONTHS,
    answers,
    civil,
    contracts,
    military,
    paid,
    person,
    proof_of,
    rule,
    worker,
)

LI, WANG, SUN = person(23), person(416), person(711)


def sample() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    workers = [worker(LI), worker(WANG, employed_from="2025-03-17", employed_to="2025-10-31"), worker(SUN)]
    certificates = [civil(LI, 4), civil(WANG, 2)]
    return answers(workers, certificates, paid(LI) + paid(WANG) + paid(SUN), [96] * 6 + [268] * 6)


def example(contract: str, name: str) -> Any:
    file = CONTRACTS / contract / "v1" / "examples" / name
    return json.loads(file.read_text(encoding="utf-8"))


def test_the_proof_keeps_to_its_contract_and_says_what_it_rests_on() -> None:
    proof = proof_of(sample())
    content = json.dumps(proof, ensure_ascii=False).encode()
    contract = contracts()[ContractId("disability-employment-proof/v1")]
    contract.check_response({"response.json": content, "proof.pdf": b"%PDF-1.7\n"})
    assert proof["employer"] == {"uscc": EMPLOYER, "name": "成都锦芯精密制造有限公司"}
    assert proof["issuer"] == {"uscc": LABOUR_BUREAU, "name": "成华区人力资源和社会保障局"}
    assert is_certificate_identifier(str(proof["proof_number"]))
    assert proof["rule"] == {"id": rule().id, "version": rule().version, "sha256": rule().sha256}
    assert isinstance(proof["sources"], list)
    assert len(proof["sources"]) == 3
    assert proof["issued_at"] == "2026-03-02T01:15:36.120Z"


def test_the_published_examples_of_the_four_contracts_belong_together() -> None:
    proof = proof_of(
        (
            example("employment-record", "response.json"),
            example("disability-certificate", "response.json"),
            example("contribution-record", "response.json"),
        )
    )
    assert proof == example("disability-employment-proof", "response.json")


def test_months_and_people_are_added_up_by_weight() -> None:
    proof: Any = proof_of(sample())
    totals = [(row["person_id"], row["months_counted"], row["weighted_months"]) for row in proof["persons"]]
    assert sorted(totals) == sorted([(LI, 12, 12), (WANG, 8, 16)])
    assert [row["weighted_persons"] for row in proof["months"]] == [1, 1] + [3] * 8 + [1, 1]
    assert [row["persons_counted"] for row in proof["months"]] == [1, 1] + [2] * 8 + [1, 1]
    assert proof["months"][0] == {
        "month": "2025-01",
        "employees": 96,
        "persons_counted": 1,
        "weighted_persons": 1,
        "required_persons": "1.440",
        "ratio": "0.010417",
        "is_met": False,
    }


def test_a_ratio_met_exactly_is_met() -> None:
    given_answers = answers([worker(LI)], [civil(LI, 1), military(LI, 3)], paid(LI), [133] * 6 + [134] * 6)
    months: Any = proof_of(given_answers, ratio="0.015")["months"]
    assert [row["is_met"] for row in months] == [True] * 6 + [False] * 6
    # 2 of 133 are shown as 1.5038 %, and 2 of 134 as 1.4925 %: both far from the rounding.
    assert (months[0]["ratio"], months[6]["ratio"]) == ("0.015038", "0.014925")
    exact: Any = proof_of(answers([worker(LI)], [civil(LI, 1)], paid(LI), [80] * 12), ratio="0.025")["months"]
    assert exact[0]["required_persons"] == "2.000"
    assert exact[0]["is_met"]


def test_a_month_without_employees_has_no_ratio_and_asks_for_nobody() -> None:
    months: Any = proof_of(answers([worker(LI)], [civil(LI)], paid(LI), [0] + [10] * 11))["months"]
    assert (months[0]["ratio"], months[0]["required_persons"], months[0]["is_met"]) == (None, "0.000", True)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 10_000_000), min_size=12, max_size=12),
    st.integers(1, 999_999).map(lambda millionths: Decimal(millionths).scaleb(-6)),
)
def test_required_persons_are_exact_and_decide_alone(employees: list[int], ratio: Decimal) -> None:
    given_answers = answers([worker(LI), worker(WANG)], [civil(LI, 1), civil(WANG)], paid(LI) + paid(WANG))
    given_answers[0]["headcount"] = [
        {"month": month, "employees": number} for month, number in zip(MONTHS, employees, strict=True)
    ]
    proof = proof_of(given_answers, ratio=f"{ratio:f}")
    part = contracts()[ContractId("disability-employment-proof/v1")].response[0]
    assert part.validator is not None
    assert part.validator.is_valid(proof)
    months: Any = proof["months"]
    for row, number in zip(months, employees, strict=True):
        needed = Fraction(ratio) * number
        assert Fraction(row["required_persons"]) == needed
        assert row["is_met"] == (row["weighted_persons"] >= needed)
        if number:
            assert abs(Fraction(row["ratio"]) - Fraction(3, number)) <= Fraction(1, 2_000_000)


def test_the_day_of_review_is_a_day_in_china() -> None:
    given_answers = answers([worker(LI)], [civil(LI, valid_to="2026-03-01")], paid(LI))
    before: Any = proof_of(given_answers, issued_at=parse_instant("2026-03-01T15:59:59.999Z"))
    after: Any = proof_of(given_answers, issued_at=parse_instant("2026-03-01T16:00:00.000Z"))
    assert before["persons"][0]["months_counted"] == 12
    assert after["persons"][0]["months_counted"] == 0


def test_the_certificate_that_carries_most_is_shown() -> None:
    papers = [civil(LI, 4), military(LI, 3, valid_from="2025-02-01"), civil(LI, 1, status="05")]
    shown: Any = proof_of(answers([worker(LI)], papers, paid(LI)))["persons"]
    assert [(row["kind"], row["grade"], row["weighted_months"]) for row in shown] == [("military", 3, 23)]


def test_a_certificate_in_force_is_shown_before_one_that_is_not() -> None:
    papers = [civil(LI, 4, status="05"), civil(LI, 3)]
    shown: Any = proof_of(answers([worker(LI)], papers, []))["persons"]
    assert [row["grade"] for row in shown] == [3]


def test_certificates_asked_for_in_batches_are_joined() -> None:
    employment, register, insurance = sample()
    first = register | {"certificates": register["certificates"][:1], "not_found": []}
    second = register | {"certificates": register["certificates"][1:]}
    assert proof_of((employment, [first, second], insurance)) == proof_of(sample())  # type: ignore[arg-type]  # a list of answers is allowed in this one place


def test_everybody_is_asked_for_once_in_batches_the_contract_allows() -> None:
    people = [person(serial) for serial in range(7)] * 2
    batches = person_batches(answers([worker(one) for one in people], [], [])[0])
    assert batches == (tuple(sorted(set(people))),)
    many = [f"{serial:018d}" for serial in range(1001)]
    sizes = [len(batch) for batch in person_batches(answers([worker(one) for one in many], [], [])[0])]
    assert sizes == [500, 500, 1]


@pytest.mark.parametrize("ratio", ["0", "1", "1.5", "-0.015", "0.0150001"])
def test_an_impossible_ratio_is_refused(ratio: str) -> None:
    with pytest.raises(ValueError, match="ratio"):
        proof_of(sample(), ratio=ratio)


def broken(which: int, **change: object) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    given_answers = sample()
    given_answers[which].update(change)
    return given_answers


@pytest.mark.parametrize(
    ("given_answers", "said"),
    [
        (broken(2, year=2024), "different employers or years"),
        (broken(2, employer="91510108MA6C00002F"), "different employers or years"),
        (broken(0, headcount=[{"month": "2025-01", "employees": 1}] * 2), "a month twice"),
        (broken(0, headcount=[{"month": "2024-12", "employees": 1}]), "month of another year"),
        (broken(2, contributions=paid(LI, ["2024-12"])), "a contribution is for a month of another year"),
        (broken(0, workers=[worker(LI, employed_to="2019-03-31")]), "worker 0 leaves before the first day"),
        (broken(1, not_found=[]), "said nothing about 1 people"),
        (broken(1, not_found=[SUN, LI]), "1 people are both found and not found"),
        (broken(1, not_found=[SUN, person(1)]), "about 1 people nobody asked for"),
    ],
)
def test_answers_that_contradict_each_other_are_refused(
    given_answers: tuple[dict[str, Any], dict[str, Any], dict[str, Any]], said: str
) -> None:
    with pytest.raises(AdapterError, match=said) as refusal:
        proof_of(given_answers)
    assert refusal.value.code == "adapter.sources_inconsistent"
    assert not any(is_resident_id(word) for word in refusal.value.detail.split())


def test_an_answer_of_another_shape_is_refused_without_repeating_it() -> None:
    with pytest.raises(AdapterError) as refusal:
        proof_of(broken(0, workers=[worker(LI, kind="李晓荷")]))
    assert refusal.value.code == "adapter.answer_unreadable"
    assert refusal.value.detail.endswith("workers/0/kind: literal_error")
    assert LI not in str(refusal.value)
